//! The bus over a real broker, named by `ORCH_TEST_KAFKA` (bootstrap servers): what every bus promises
//! (`tests/suite`), what a killed process leaves behind, and what a secured broker says.

// A failed expectation ends the test.
#![allow(clippy::unwrap_used, clippy::panic)]

mod absent;
mod anew;
mod gap;
mod killed;
mod leaving;
mod place;
mod secured;
#[path = "../suite/mod.rs"]
mod suite;

use std::time::{SystemTime, UNIX_EPOCH};

use orch_bus::Bus;
use orch_bus::kafka::{KafkaBus, KafkaConfig};

/// Bootstrap servers of the broker under test. With `RUST_LOG=orch_bus=debug` the bus tells what it does.
fn servers() -> String {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    // Only the first test of a process starts it.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
    std::env::var("ORCH_TEST_KAFKA").unwrap_or_else(|_| {
        panic!("ORCH_TEST_KAFKA is not set: it names a broker for tests, such as localhost:9092")
    })
}

/// A prefix that no other test and no earlier run has.
fn prefix(name: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("bus-test.{name}.{}.", since.as_micros())
}

/// Each promise gets a bus and topics of its own; the topics go at the end.
async fn on_kafka(name: &str, promise: impl AsyncFnOnce(&dyn Bus, &str)) {
    let bus = KafkaBus::new(KafkaConfig::plain(&servers())).unwrap();
    let prefix = prefix(name);
    promise(&bus, &prefix).await;
    let left = bus.list_topics(&prefix).await.unwrap();
    bus.delete_topics(&left).await.unwrap();
}

mod kafka {
    crate::suite::every_promise!(crate::on_kafka);
}
