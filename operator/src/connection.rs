//! Connections to Kafka: the operator's own, and those that Secrets name. One client set a connection.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use orch_bus::kafka::{KafkaBus, KafkaConfig};
use orch_bus::{Bus, BusError};
use orch_crds::condition::accepted;
use tracing::info;

use crate::missing::Missing;
use crate::stages::StageSet;

/// Keys of a folder or Secret that say how to reach Kafka.
const KEYS: [&str; 4] = ["client.properties", "ca.crt", "tls.crt", "tls.key"];

/// The contents of such a folder or Secret, by key.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// All connections of this process.
pub(crate) struct Connections {
    own: Own,
    buses: Mutex<HashMap<Files, Arc<dyn Bus>>>,
}

/// Where the operator's own connection stands.
struct Own {
    folder: PathBuf,
    bootstrap: Option<String>,
}

impl Own {
    /// What stands there now: a Secret that is mounted changes when its password does.
    fn read(&self) -> Result<Files, BusError> {
        let Self { folder, bootstrap } = self;
        let mut own: Files = KEYS
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), std::fs::read(folder.join(key)).ok()?)))
            .collect();
        if let Some(bootstrap) = bootstrap {
            let properties = own.entry(KEYS[0].to_owned()).or_default();
            let kept: Vec<String> = String::from_utf8_lossy(properties)
                .lines()
                .filter(|line| !line.trim_start().starts_with("bootstrap.servers"))
                .map(str::to_owned)
                .chain([format!("bootstrap.servers={bootstrap}")])
                .collect();
            *properties = (kept.join("\n") + "\n").into_bytes();
        }
        if own.is_empty() {
            let problem = format!(
                "no client.properties in {}, and ORCH_BOOTSTRAP_SERVERS is not set",
                folder.display()
            );
            return Err(BusError::Config(problem));
        }
        Ok(own)
    }
}

impl Connections {
    /// `folder` holds the operator's own connection; `bootstrap` overrides what it says, and may stand alone.
    pub(crate) fn new(folder: &Path, bootstrap: Option<&str>) -> Result<Self, BusError> {
        let own = Own { folder: folder.to_owned(), bootstrap: bootstrap.map(str::to_owned) };
        own.read()?;
        Ok(Self { own, buses: Mutex::default() })
    }

    /// The operator's own connection, as workers get it.
    pub(crate) fn own(&self) -> Result<Files, BusError> {
        self.own.read()
    }

    /// The bus behind a connection: the same one for the same contents.
    pub(crate) fn bus(&self, files: &Files) -> Result<Arc<dyn Bus>, BusError> {
        let mut buses = self.buses.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody uses these any more: a Secret says something else by now, and the clients would try the old for ever.
        let own = self.own().unwrap_or_default();
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
    pub(crate) fn own_trouble(&self) -> Option<String> {
        match self.own().and_then(|own| self.bus(&own)) {
            Ok(bus) => bus.trouble(),
            Err(error) => Some(error.to_string()),
        }
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
        return Ok(connections.own().map_err(|error| invalid(error.to_string())));
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
