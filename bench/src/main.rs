//! `make bench`: how fast runs are, beside what the broker alone allows. See `bench/README.md`.
//!
//! Everything here panics with a text when a server is missing or a wait runs out, as the library of the end-to-end
//! tests does, by which it starts its processes. Whatever ends it, processes and topics go with it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod args;
mod cluster;
mod engine;
mod hops;
mod lag;
mod large;
mod local;
mod log;
mod machine;
mod metrics;
mod numbers;
mod observer;
mod plot;
mod replay;
mod results;
mod rounds;
mod shapes;
mod subject;
mod table;
mod usage;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use orch_bus::kafka::{KafkaBus, KafkaConfig};
use orch_bus::{Bus, BusError};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Args;
use crate::results::Results;

/// A replay that is under way may take so long to see that nobody waits for it.
const LEAVE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let name = format!("bench-{}", std::process::id());
    let measured = runtime.block_on(measure_or_stop(&args, &name));
    runtime.shutdown_timeout(LEAVE);
    // Of this program's own topics none is left, also on a broker that others use.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Err(error) = runtime.block_on(delete_topics(&args.kafka, &format!("{name}."))) {
        eprintln!("error: topics {name}.* may be left behind: {error}");
    }
    let Some(results) = measured else { return ExitCode::FAILURE };
    say(&table::all(&results));
    std::fs::create_dir_all(&args.out).unwrap();
    let json = serde_json::to_string_pretty(&results).unwrap() + "\n";
    for (name, text) in [("bench.json", json), ("bench.svg", plot::svg(&results))] {
        let file = args.out.join(name);
        std::fs::write(&file, text).unwrap();
        say(&format!("written: {}", file.display()));
    }
    ExitCode::SUCCESS
}

/// `None` when somebody interrupts, or it fails, which was said by then.
async fn measure_or_stop(args: &Args, name: &str) -> Option<Results> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt()).unwrap(), signal(SignalKind::terminate()).unwrap());
    let mut measuring = tokio::spawn(rounds::measure(args.clone(), name.to_owned()));
    let stopped = tokio::select! {
        measured = &mut measuring => return measured.ok(),
        _ = interrupt.recv() => "interrupted",
        _ = terminate.recv() => "told to end",
    };
    eprintln!("{stopped}: nothing was measured");
    measuring.abort();
    // Its processes end with it.
    let _ = measuring.await;
    None
}

async fn delete_topics(kafka: &str, prefix: &str) -> Result<(), BusError> {
    let bus = KafkaBus::new(KafkaConfig::plain(kafka))?;
    let topics = bus.list_topics(prefix).await?;
    bus.delete_topics(&topics).await
}

/// A line for whoever watches.
fn say(text: &str) {
    println!("{text}");
}
