//! A broker that was never there.

use orch_bus::kafka::{KafkaBus, KafkaConfig};
use orch_bus::{Bus, BusError};

use crate::suite::{soon, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_not_there_is_named() {
    // Port 1 is nobody's.
    let bus = KafkaBus::new(KafkaConfig::plain("127.0.0.1:1")).unwrap();
    let error = soon("an error", bus.bounds("any")).await.unwrap_err();
    assert!(matches!(&error, BusError::Unreachable { servers, .. } if servers == "127.0.0.1:1"), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    until("the trouble", || async { bus.trouble().filter(|text| text.contains("refused")) }).await;
}
