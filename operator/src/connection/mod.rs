//! Connections to Kafka: the operator's own, and those that Secrets name. One client set a connection.

mod own;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use orch_bus::kafka::{KafkaBus, KafkaConfig};
use orch_bus::{Bus, BusError};
use orch_crds::condition::accepted;
use tracing::info;

use self::own::Own;
use crate::lock::lock;
use crate::missing::Missing;
use crate::stages::StageSet;

/// Keys of a folder or Secret that say how to reach Kafka.
const KEYS: [&str; 4] = ["client.properties", "ca.crt", "tls.crt", "tls.key"];

/// Who asks whether the operator is ready waits for Kafka so long: a kubelet gives up after three seconds.
const ANSWER: Duration = Duration::from_secs(2);
/// A topic to ask for. That there is none is an answer.
const NO_TOPIC: &str = "orchestrator.none";

/// The contents of such a folder or Secret, by key.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// All connections of this process.
pub(crate) struct Connections {
    own: Own,
    /// Whether the operator's own Kafka has answered since the start.
    has_answered: AtomicBool,
    buses: Mutex<HashMap<Files, Arc<dyn Bus>>>,
}

impl Connections {
    /// `folder` holds the operator's own connection; `bootstrap` overrides what it says, and may stand alone.
    pub(crate) fn new(folder: &Path, bootstrap: Option<&str>) -> Result<Self, BusError> {
        let own = Own::new(folder, bootstrap)?;
        Ok(Self { own, has_answered: AtomicBool::new(false), buses: Mutex::default() })
    }

    /// The bus behind a connection: the same one for the same contents.
    pub(crate) fn bus(&self, files: &Files) -> Result<Arc<dyn Bus>, BusError> {
        let own = self.own.now();
        let mut buses = lock(&self.buses);
        // Nobody uses these any more: a Secret says something else by now, and the clients would try the old for ever.
        buses.retain(|files, bus| *files == own || Arc::strong_count(bus) > 1);
        if let Some(bus) = buses.get(files) {
            return Ok(bus.clone());
        }
        let config = KafkaConfig::from_files(files, None)?;
        info!(kafka = ?config.effective()?, "a connection to Kafka");
        let bus: Arc<dyn Bus> = Arc::new(KafkaBus::new(config)?);
        buses.insert(files.clone(), bus.clone());
        Ok(bus)
    }

    /// The trouble of the operator's own connection, for readiness.
    pub(crate) async fn own_trouble(&self) -> Option<String> {
        let bus = match self.bus(&self.own.now()) {
            Ok(bus) => bus,
            Err(error) => return Some(error.to_string()),
        };
        // A client that was never asked knows of no trouble.
        if !self.has_answered.load(Ordering::Relaxed) {
            match tokio::time::timeout(ANSWER, bus.bounds(NO_TOPIC)).await {
                Ok(Err(error @ BusError::Unreachable { .. })) => return Some(error.to_string()),
                Ok(_) => self.has_answered.store(true, Ordering::Relaxed),
                Err(_) => return Some(bus.trouble().unwrap_or_else(|| "no answer yet".to_owned())),
            }
        }
        bus.trouble()
    }
}

/// `bootstrap.servers` of a connection; empty for one that has none, which the bus then refuses.
pub(crate) fn servers(files: &Files) -> String {
    KafkaConfig::from_files(files, None).map_or_else(|_| String::new(), |config| config.servers().to_owned())
}

/// The connection that a Secret describes; the error names the key that is missing.
fn from_secret(secret: &Secret) -> Result<Files, String> {
    let data = secret.data.iter().flatten();
    let files: Files = data
        .filter(|(key, _)| KEYS.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.0.clone()))
        .collect();
    if files.contains_key(KEYS[0]) { Ok(files) } else { Err(format!("the Secret has no key `{}`", KEYS[0])) }
}

/// The connection that a set of stages uses: its Secret's, else the operator's own.
pub(crate) async fn of_set(
    client: &Client,
    connections: &Connections,
    set: &StageSet,
) -> Result<Result<Files, Missing>, kube::Error> {
    let invalid = |message| Missing { reason: accepted::SECRET_INVALID, message };
    let Some(name) = &set.secret else {
        return Ok(Ok(connections.own.now()));
    };
    let api: Api<Secret> = Api::namespaced(client.clone(), &set.namespace);
    Ok(match api.get_opt(name).await? {
        None => Err(Missing {
            reason: accepted::SECRET_NOT_FOUND,
            message: format!("the Secret `{name}` does not exist in this namespace"),
        }),
        Some(secret) => from_secret(&secret).map_err(|problem| invalid(format!("`{name}`: {problem}"))),
    })
}
