//! A worker as a process of its own: settings from the environment, logs, probes, signals.

mod args;
mod probes;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use orch_bus::kafka::{KafkaBus, KafkaConfig};
use orch_core::drain::Drain;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

use crate::{Registry, Worker};
use args::{Args, LogFormat};

/// Runs a worker of these processors until SIGTERM or SIGINT: what `main` of a worker consists of.
///
/// Settings come from the environment, as the operator gives it to the pods of a stage, or from flags; `--help` lists
/// them. Logs go to standard error. `/healthz` and `/readyz` are served.
pub fn run(registry: Registry) -> ExitCode {
    let args = Args::parse();
    if let Err(problem) = start_logging(&args) {
        eprintln!("error: {problem}");
        return ExitCode::from(2);
    }
    let runtime = match runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(problem) => {
            error!(error = %problem, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(work(args, registry));
    // Work that does not hear that it shall stop keeps the process no longer than this.
    runtime.shutdown_timeout(Drain::EXIT / 2);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            error!(error = problem, "the worker cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn work(args: Args, registry: Registry) -> Result<(), String> {
    let stop = stop_on_signals().map_err(|error| format!("no signal handler: {error}"))?;
    let processors = registry.for_stage(&args.processor()?);
    let kafka = KafkaConfig::load(Some(&args.kafka_dir()), args.servers());
    let mut kafka = kafka.map_err(|error| error.to_string())?;
    if let Some(place) = args.place() {
        kafka = kafka.with_place(place);
    }
    let effective = kafka.effective().map_err(|error| error.to_string())?;
    let bus = KafkaBus::new(kafka).map_err(|error| error.to_string())?;
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let worker = Worker::new(Arc::new(bus), args.settings(), processors);
    info!(version = env!("CARGO_PKG_VERSION"), stage = args.stage, listen = %args.listen, kafka = ?effective, "started");
    tokio::spawn(probes::serve(listener, worker.health()));
    worker.run(stop).await.map_err(|error| error.to_string())?;
    info!("stopped");
    Ok(())
}

fn stop_on_signals() -> io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        asked.cancel();
    });
    Ok(stop)
}

fn start_logging(args: &Args) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(&args.log).map_err(|error| format!("ORCH_LOG `{}`: {error}", args.log))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    match args.log_format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder.init(),
    }
    // A panic of a processor is the failure of an object; here it gets its place in the log's own form.
    std::panic::set_hook(Box::new(|panic| error!(error = %panic, "panic")));
    Ok(())
}
