//! Brokers with TLS, SCRAM, client certificates and access rules. `ORCH_TEST_KAFKA_SECURE` is the folder of their
//! clients, as `local/kafka/secure.sh up` makes it: `admin` may do everything, `stranger` and `stranger-tls` nothing.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use orch_bus::kafka::{CLIENT_PROPERTIES, KafkaBus, KafkaConfig};
use orch_bus::{Bus, BusError};

use crate::suite::{read, record, soon, spec, take, tokens, topic, until, write};

/// A bad login has to be named within this.
const NAMED: Duration = Duration::from_secs(30);

/// The folder of a client: the keys that a connection Secret has.
pub(crate) fn folder(client: &str) -> PathBuf {
    let clients = std::env::var("ORCH_TEST_KAFKA_SECURE").unwrap_or_else(|_| {
        panic!("ORCH_TEST_KAFKA_SECURE is not set: `make it-kafka` starts secured brokers and sets it")
    });
    PathBuf::from(clients).join(client)
}

fn config(client: &str) -> KafkaConfig {
    KafkaConfig::load(Some(&folder(client)), None).unwrap()
}

/// A client like this one, but for one file.
fn changed(client: &str, file: &str, change: impl Fn(&str) -> String) -> KafkaConfig {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder(client)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let path = copy.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(&text)).unwrap();
    KafkaConfig::load(Some(copy.path()), None).unwrap()
}

fn with_wrong_password(properties: &str) -> String {
    let lines = properties.lines().map(|line| match line.split_once('=') {
        Some(("sasl.password", _)) => "sasl.password=wrong",
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The reason reaches the caller's error and the readiness.
async fn is_named(config: KafkaConfig, wanted: &[&str]) {
    let bus = KafkaBus::new(config).unwrap();
    let has_all = |text: &str| wanted.iter().all(|word| text.to_lowercase().contains(word));
    let since = Instant::now();
    let error = bus.bounds("any").await.unwrap_err();
    assert!(matches!(&error, BusError::Unreachable { reason, .. } if has_all(reason)), "{error}");
    until("the trouble", || async { bus.trouble().filter(|text| has_all(text)) }).await;
    assert!(since.elapsed() < NAMED, "took {:?}", since.elapsed());
    println!("{error} ({:?})", since.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_lets_in() {
    let bus = KafkaBus::new(config("admin")).unwrap();
    let topic = topic(&bus, &crate::prefix("scram"), "all", 1).await;
    let producer = bus.producer().await.unwrap();
    write(&*producer, &topic, 0, 0..100).await;
    assert_eq!(read(&mut *bus.read(&topic, 0, 0..0).await.unwrap(), 100).await.len(), 100);
    let mut member = bus.join(&topic, &topic).await.unwrap();
    let records = take(&mut *member, 100, 100).await;
    assert_eq!(tokens(&records).len(), 100);
    for record in records {
        member.finish(0, record.offset);
    }
    member.leave().await.unwrap();
    assert_eq!(bus.committed(&topic, &topic).await.unwrap()[0].as_ref().map(|c| c.offset), Some(100));
    bus.delete_topics(&[topic]).await.unwrap();
    assert_eq!(bus.trouble(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_lets_in_and_denied_access_is_named() {
    let name = crate::prefix("mtls");
    let admin = KafkaBus::new(config("admin")).unwrap();
    let topic = topic(&admin, &name, "closed", 1).await;
    let bus = KafkaBus::new(config("stranger-tls")).unwrap();
    let is_denied = |error: &BusError| matches!(error, BusError::Denied(what) if what.contains(&topic));
    let error = bus.ensure_topics(&[spec(&format!("{name}new"), 1)], true).await.unwrap_err();
    assert!(matches!(error, BusError::Denied(_)), "{error}");
    let error = bus.bounds(&topic).await.unwrap_err();
    assert!(is_denied(&error), "{error}");
    let error = bus.join(&topic, &topic).await.err().unwrap();
    assert!(is_denied(&error), "{error}");
    let producer = bus.producer().await.unwrap();
    let mut undelivered = producer.undelivered().unwrap();
    producer.send(vec![record(&topic, 0, 1)]);
    let back = soon("the record to come back", undelivered.recv()).await.unwrap();
    assert!(is_denied(&back.error), "{}", back.error);
    admin.delete_topics(std::slice::from_ref(&topic)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_named() {
    is_named(changed("admin", CLIENT_PROPERTIES, with_wrong_password), &["authentication"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_authority_is_named() {
    let other = std::fs::read_to_string(folder("admin").join("../../certs/other-ca.crt")).unwrap();
    is_named(changed("stranger-tls", "ca.crt", |_| other.clone()), &["certificate"]).await;
}
