//! The operator: reads its settings, joins the election, and drives PipelineRuns while it leads.

mod api_server;
mod config;
mod connection;
mod context;
mod controller;
mod ensure;
mod error;
mod finalizer;
mod findings;
mod guarded;
mod lease;
mod leave;
mod lock;
mod missing;
mod outage;
mod pipeline;
mod removal;
mod run;
mod scope;
mod stages;
mod status;
mod telemetry;
mod truncation;

use std::process::ExitCode;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::api_server::ApiServer;
use crate::config::{Command, Config};
use crate::connection::Connections;
use crate::context::Context;

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    if let Err(problem) = telemetry::init(&config.log, config.log_format) {
        eprintln!("error: {problem}");
        return ExitCode::from(2);
    }
    let command = config.command.clone();
    let ended = match &command {
        None => operate(config).await,
        Some(Command::Leave { deployment }) => leave_for_good(&config, deployment.as_deref()).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            error!(error = %problem, "the operator cannot go on");
            ExitCode::FAILURE
        }
    }
}

/// The clients of the API server and of Kafka.
async fn connect(config: &Config) -> Result<(ApiServer, Connections), String> {
    // Before the first TLS client: the libraries come without a provider of their own. A second install is refused,
    // and there is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let connections = Connections::new(&config.kafka_dir, config.bootstrap_servers.as_deref());
    let connections = connections.map_err(|error| format!("Kafka: {error}"))?;
    Ok((ApiServer::connect().await?, connections))
}

async fn leave_for_good(config: &Config, deployment: Option<&str>) -> Result<(), String> {
    let (api_server, connections) = connect(config).await?;
    leave::leave(api_server, config, connections, deployment).await
}

/// A task that panics alone would leave a process that answers its probes, keeps the Lease and does nothing more. It ends
/// as a whole instead: whoever leads next folds the same log.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

async fn operate(config: Config) -> Result<(), String> {
    end_on_panic();
    let (api_server, connections) = connect(&config).await?;
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
    info!(version = env!("CARGO_PKG_VERSION"), identity = %config.identity(), listen = %config.listen, "started");
    let context = Context::new(api_server, config, connections);
    let stop = CancellationToken::new();
    let server = tokio::spawn(telemetry::serve(context.clone(), listener, stop.clone()));
    let election = tokio::spawn(lease::lead(context, stop.clone()));
    terminated().await?;
    info!("stopping");
    stop.cancel();
    // What runs is handed over: the next leader folds the same log.
    for task in [election, server] {
        task.await.map_err(|error| format!("a task ended badly: {error}"))?;
    }
    Ok(())
}

async fn terminated() -> Result<(), String> {
    let on = |kind| signal(kind).map_err(|error| format!("no signal handler: {error}"));
    let (mut term, mut int) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
