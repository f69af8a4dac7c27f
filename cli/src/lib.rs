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
mod phases;
mod printer;
mod progress;
mod report;
mod shown;
mod subject;
mod table;
mod wide;

use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::Arguments;
use crate::printer::Printer;

/// Reads the arguments, does what they say, and gives the exit status.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let printer = Printer::new(arguments.quiet);
    start_log(arguments.verbose);
    #[cfg(any(feature = "cluster", feature = "http"))]
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
    let given = std::env::var("ORCH_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let targets = given.or_else(|| default.parse().ok()).unwrap_or_default();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let log = tracing_subscriber::registry().with(targets).with(lines);
    // A second log in the same process is none of our business.
    let _ = log.try_init();
}
