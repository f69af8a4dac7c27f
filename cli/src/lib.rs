//! The command line `orch`: local runs, submit, status, why, graph.
//!
//! One module a command under `commands`; `local` runs a graph on this machine; `cluster` (feature `cluster`) is the
//! only part that talks to a Kubernetes API server. All output goes through `printer`.

// The documentation of arguments is their help text, where backticks would be shown; the rest speaks of the same kinds.
#![allow(clippy::doc_markdown)]
// A failed expectation ends the test.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
#[cfg(feature = "cluster")]
mod cluster;
mod commands;
mod convert;
mod draw;
mod error;
mod input;
mod local;
mod printer;
mod progress;
mod report;
mod subject;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Arguments;
use crate::printer::Printer;

/// Reads the arguments, does what they say, and gives the exit status.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let printer = Printer::new(arguments.quiet);
    start_log(arguments.verbose);
    // One provider for every TLS client in the process; a second call finds it there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exit = commands::execute(arguments.command, &printer).unwrap_or_else(|error| {
        printer.error(&error);
        error.exit()
    });
    ExitCode::from(exit.code())
}

/// Logs go to standard error; without `-v` only errors do.
fn start_log(verbose: u8) {
    let default = match verbose {
        // What the client says it returns as an error too.
        0 => "error,kube_client=off",
        1 => "info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("ORCH_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A second log in the same process is none of our business.
    let _ = log.try_init();
}
