//! The bus in memory: what every bus promises (`tests/suite`); and the one on Kafka with answers that a broker gives only
//! for moments. What needs a broker is in `tests/kafka`.

// A failed expectation ends the test.
#![allow(clippy::unwrap_used, clippy::panic)]

#[cfg(feature = "kafka")]
mod moments;
#[path = "../suite/mod.rs"]
mod suite;

use orch_bus::Bus;
use orch_bus::memory::MemoryBus;

/// Each promise gets a bus of its own.
async fn in_memory(name: &str, promise: impl AsyncFnOnce(&dyn Bus, &str)) {
    promise(&MemoryBus::new(), &format!("{name}.")).await;
}

mod memory {
    crate::suite::every_promise!(crate::in_memory);
}
