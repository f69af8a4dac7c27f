//! A broker with TLS and SCRAM: `ORCH_TEST_KAFKA_SECURE` is a folder with `ca.crt`, `operator.crt` and `operator.key`,
//! `ORCH_TEST_KAFKA_SECURE_SCRAM` and `ORCH_TEST_KAFKA_SECURE_MTLS` are bootstrap servers. The user `admin` with
//! the password `admin-secret` may do everything, the certificate's owner nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use orch_bus::kafka::{CLIENT_PROPERTIES, KafkaBus, KafkaConfig};
use orch_bus::{Bus, BusError};

use crate::suite::{read, record, soon, spec, take, tokens, topic, until, write};

/// A bad login has to be named within this.
const NAMED: Duration = Duration::from_secs(30);

struct Secure {
    files: BTreeMap<String, Vec<u8>>,
    scram: String,
    mtls: String,
}

/// `None`, with a line that says so, when there is no such broker.
fn secure() -> Option<Secure> {
    let Ok(dir) = std::env::var("ORCH_TEST_KAFKA_SECURE") else {
        println!("skipped: ORCH_TEST_KAFKA_SECURE is not set");
        return None;
    };
    let file = |name: &str| std::fs::read(format!("{dir}/{name}")).unwrap();
    let files = BTreeMap::from([
        ("ca.crt".to_owned(), file("ca.crt")),
        ("tls.crt".to_owned(), file("operator.crt")),
        ("tls.key".to_owned(), file("operator.key")),
    ]);
    let scram = std::env::var("ORCH_TEST_KAFKA_SECURE_SCRAM").unwrap();
    let mtls = std::env::var("ORCH_TEST_KAFKA_SECURE_MTLS").unwrap();
    Some(Secure { files, scram, mtls })
}

impl Secure {
    fn config(&self, servers: &str, properties: &str, without: &[&str]) -> KafkaConfig {
        let mut files = self.files.clone();
        files.retain(|name, _| !without.contains(&name.as_str()));
        files.insert(CLIENT_PROPERTIES.to_owned(), properties.as_bytes().to_vec());
        KafkaConfig::from_files(&files, Some(servers)).unwrap()
    }

    fn scram(&self, password: &str) -> KafkaConfig {
        let login = format!("sasl.username=admin\nsasl.password={password}");
        let properties = format!("security.protocol=sasl_ssl\nsasl.mechanisms=SCRAM-SHA-512\n{login}\n");
        self.config(&self.scram, &properties, &["tls.crt", "tls.key"])
    }
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
    let Some(secure) = secure() else { return };
    let bus = KafkaBus::new(secure.scram("admin-secret")).unwrap();
    let topic = topic(&bus, &crate::prefix("scram"), "all", 1).await;
    let producer = bus.producer().await.unwrap();
    write(&*producer, &topic, 0, 0..100).await;
    assert_eq!(read(&mut *bus.read(&topic, 0, 0).await.unwrap(), 100).await.len(), 100);
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
    let Some(secure) = secure() else { return };
    let name = crate::prefix("mtls");
    let admin = KafkaBus::new(secure.scram("admin-secret")).unwrap();
    let topic = topic(&admin, &name, "closed", 1).await;
    let bus = KafkaBus::new(secure.config(&secure.mtls, "security.protocol=ssl\n", &[])).unwrap();
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
    let Some(secure) = secure() else { return };
    is_named(secure.scram("wrong"), &["authentication"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_authority_is_named() {
    let Some(secure) = secure() else { return };
    let config = secure.config(&secure.mtls, "security.protocol=ssl\n", &["ca.crt"]);
    is_named(config, &["certificate"]).await;
}
