//! Client settings: what the user gives, what is ours, and what came of both.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use crate::BusError;

/// librdkafka settings, a `key=value` a line, `#` comments.
pub const CLIENT_PROPERTIES: &str = "client.properties";
/// Files beside it that become settings, so that no path is needed in them.
const PEM_FILES: [(&str, &str); 3] =
    [("ca.crt", "ssl.ca.pem"), ("tls.crt", "ssl.certificate.pem"), ("tls.key", "ssl.key.pem")];

/// In every client, unless the user says otherwise.
const DEFAULTS: [(&str, &str); 2] = [
    ("client.id", "kafka-orchestrator"),
    // Records are much alike: a batch of them shrinks to less than a tenth, and the broker has half the work.
    ("compression.type", "lz4"),
];

/// In every client that somebody polls: see `sight`.
const SEEN: [(&str, &str); 1] = [("statistics.interval.ms", "2000")];

/// Ours in every client.
const COMMON: [(&str, &str); 9] = [
    ("allow.auto.create.topics", "false"),
    // A client that was told "no such topic" gives up after this, and not after 30 s.
    ("topic.metadata.propagation.max.ms", "5000"),
    ("topic.metadata.refresh.fast.interval.ms", "100"),
    ("socket.nagle.disable", "true"),
    ("socket.keepalive.enable", "true"),
    ("socket.connection.setup.timeout.ms", "10000"),
    ("reconnect.backoff.ms", "100"),
    // A broker that is back is found within a second, and not within 10.
    ("reconnect.backoff.max.ms", "1000"),
    ("log.connection.close", "false"),
];

const PRODUCER: [(&str, &str); 9] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // The most that keeps the order; librdkafka would lower it by itself, but not say so.
    ("max.in.flight.requests.per.connection", "5"),
    // Nothing waits for it: the producer is told when what it has is complete. See `producer`.
    ("linger.ms", "5"),
    ("batch.num.messages", "10000"),
    // 0 is for ever: while the broker is away records wait.
    ("message.timeout.ms", "0"),
    ("queue.buffering.max.messages", "100000"),
    ("queue.buffering.max.kbytes", "131072"),
    ("retry.backoff.max.ms", "1000"),
];

const CONSUMER: [(&str, &str); 9] = [
    ("enable.auto.commit", "false"),
    ("enable.partition.eof", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "earliest"),
    ("fetch.min.bytes", "1"),
    ("fetch.wait.max.ms", "100"),
    ("fetch.error.backoff.ms", "100"),
    // When the queue was full: 1 s by default.
    ("fetch.queue.backoff.ms", "5"),
    ("queued.max.messages.kbytes", "16384"),
];

const MEMBER: [(&str, &str); 7] = [
    ("group.protocol", "classic"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("session.timeout.ms", "6000"),
    // Members learn of a rebalance by their next heartbeat.
    ("heartbeat.interval.ms", "500"),
    ("max.poll.interval.ms", "300000"),
    ("queued.min.messages", "10000"),
    // Whose topic was deleted and is there again learns it by this alone: 5 minutes by default.
    ("topic.metadata.refresh.interval.ms", "5000"),
];

/// Other names of the above, and settings that would break what the bus promises.
const REFUSED: [&str; 17] = [
    "request.required.acks",
    "queue.buffering.max.ms",
    "delivery.timeout.ms",
    "enable.gapless.guarantee",
    "retries",
    "message.send.max.retries",
    "max.in.flight",
    "transactional.id",
    "group.id",
    "group.instance.id",
    "group.remote.assignor",
    "isolation.level",
    "offset.store.method",
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "plugin.library.paths",
    "log.queue",
];

/// What is worth printing: it decides about durability, order, latency and safety.
const EFFECTIVE: [&str; 17] = [
    "bootstrap.servers",
    "security.protocol",
    "sasl.mechanisms",
    "acks",
    "enable.idempotence",
    "max.in.flight.requests.per.connection",
    "linger.ms",
    "batch.num.messages",
    "compression.type",
    "message.timeout.ms",
    "enable.auto.commit",
    "auto.offset.reset",
    "fetch.wait.max.ms",
    "fetch.min.bytes",
    "partition.assignment.strategy",
    "session.timeout.ms",
    "max.poll.interval.ms",
];

/// How to reach Kafka.
#[derive(Clone)]
pub struct KafkaConfig {
    settings: BTreeMap<String, String>,
    /// The name under which a member keeps its place in the group.
    place: Option<String>,
}

/// Names only: values may be passwords and keys.
impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("servers", &self.servers())
            .field("settings", &self.settings.keys().collect::<Vec<_>>())
            .field("place", &self.place)
            .finish()
    }
}

impl KafkaConfig {
    /// A broker without encryption and login, such as `localhost:9092`.
    pub fn plain(servers: &str) -> Self {
        let settings = BTreeMap::from([("bootstrap.servers".to_owned(), servers.to_owned())]);
        Self { settings, place: None }
    }

    /// From the folder, if it exists, and the bootstrap servers, which win over those in the folder.
    pub fn load(dir: Option<&Path>, servers: Option<&str>) -> Result<Self, BusError> {
        let mut files = BTreeMap::new();
        let names = std::iter::once(CLIENT_PROPERTIES).chain(PEM_FILES.map(|(file, _)| file));
        for (dir, name) in dir.iter().flat_map(|dir| names.clone().map(move |name| (dir, name))) {
            let path = dir.join(name);
            match std::fs::read(&path) {
                Ok(bytes) => drop(files.insert(name.to_owned(), bytes)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(BusError::Config(format!("{}: {error}", path.display()))),
            }
        }
        Self::from_files(&files, servers)
    }

    /// The same from the entries of a Secret. Other entries are ignored.
    pub fn from_files(files: &BTreeMap<String, Vec<u8>>, servers: Option<&str>) -> Result<Self, BusError> {
        let text = |name: &str| match files.get(name).map(|bytes| std::str::from_utf8(bytes)) {
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(BusError::Config(format!("{name} is not UTF-8"))),
            None => Ok(None),
        };
        let mut settings = parse(text(CLIENT_PROPERTIES)?.unwrap_or_default())?;
        for (file, setting) in PEM_FILES {
            if let Some(pem) = text(file)? {
                settings.insert(setting.to_owned(), pem.to_owned());
            }
        }
        if let Some(servers) = servers {
            settings.insert("bootstrap.servers".to_owned(), servers.to_owned());
        }
        let config = Self { settings, place: None };
        if config.servers().is_empty() {
            return Err(BusError::Config(format!("{CLIENT_PROPERTIES} has no bootstrap.servers")));
        }
        // What librdkafka does not know or take is found now.
        config.effective()?;
        Ok(config)
    }

    /// Members of groups keep their partitions under this name: a process that is killed and started again within the
    /// session gets them back at once. At any time one process at most may have the name; the newer one ends the other.
    /// 1 to 249 letters, digits, `.`, `_` and `-`; a group takes no other.
    #[must_use]
    pub fn with_place(mut self, name: &str) -> Self {
        self.place = Some(name.to_owned());
        self
    }

    pub(super) fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// The bootstrap servers.
    pub fn servers(&self) -> &str {
        self.settings.get("bootstrap.servers").map_or("", String::as_str)
    }

    /// The settings that matter, as the clients have them, defaults included. No secrets.
    pub fn effective(&self) -> Result<Vec<(&'static str, String)>, BusError> {
        let mut all = self.with(&[&COMMON, &PRODUCER, &CONSUMER, &MEMBER]);
        let native = all.set("group.id", "none").create_native_config().map_err(|e| refused(&e))?;
        EFFECTIVE.iter().map(|name| Ok((*name, native.get(name).map_err(|e| refused(&e))?))).collect()
    }

    /// A client that asks about topics.
    pub(super) fn client(&self) -> ClientConfig {
        // A listener that wants TLS or a login just closes the connection: this client is asked to say so.
        let mut config = self.with(&[&COMMON, &SEEN, &[("log.connection.close", "true")]]);
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }

    /// A client that nobody polls. It asks about no topic, and so keeps its brokers.
    pub(super) fn admin(&self) -> ClientConfig {
        let mut config = self.with(&[&COMMON]);
        config.set_log_level(RDKafkaLogLevel::Emerg);
        config
    }

    pub(super) fn producer(&self) -> ClientConfig {
        self.with(&[&COMMON, &SEEN, &PRODUCER])
    }

    /// A consumer by `assign`. librdkafka wants a group's name for it all the same; nothing is committed.
    pub(super) fn reader(&self, group: &str) -> ClientConfig {
        let mut config = self.with(&[&COMMON, &SEEN, &CONSUMER]);
        config.set("group.id", group);
        config
    }

    pub(super) fn member(&self, group: &str) -> ClientConfig {
        let mut config = self.with(&[&COMMON, &SEEN, &CONSUMER, &MEMBER]);
        config.set("group.id", group);
        if let Some(place) = &self.place {
            config.set("group.instance.id", place);
        }
        config
    }

    /// The user's settings and ours over them.
    fn with(&self, ours: &[&[(&str, &str)]]) -> ClientConfig {
        // OpenSSL frees its state when the process ends, and crashes the threads of clients that are still connecting.
        // Whoever starts it first decides: here without that, and every client of ours begins here.
        openssl_sys::init();
        let mut config = ClientConfig::new();
        for (name, value) in DEFAULTS {
            config.set(name, value);
        }
        for (name, value) in &self.settings {
            config.set(name, value);
        }
        let has = |name| self.settings.contains_key(name);
        let protocol = self.settings.get("security.protocol").map(|text| text.to_ascii_lowercase());
        if protocol.is_some_and(|text| text.contains("ssl")) && !has("ssl.ca.pem") && !has("ssl.ca.location")
        {
            // OpenSSL is built in and does not know where this system keeps its authorities.
            config.set("ssl.ca.location", "probe");
        }
        for (name, value) in ours.iter().copied().flatten() {
            config.set(*name, *value);
        }
        config.set_log_level(RDKafkaLogLevel::Warning);
        config
    }
}

/// The lines of `client.properties`.
fn parse(text: &str) -> Result<BTreeMap<String, String>, BusError> {
    let mut settings = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = |what: String| BusError::Config(format!("{CLIENT_PROPERTIES} line {}: {what}", number + 1));
        let (name, value) =
            line.split_once('=').ok_or_else(|| at("not of the form name=value".to_owned()))?;
        let name = name.trim();
        let ours =
            [&COMMON[..], &SEEN, &PRODUCER, &CONSUMER, &MEMBER].into_iter().flatten().map(|(name, _)| *name);
        if ours.chain(REFUSED).any(|own| own == name) {
            return Err(at(format!(
                "`{name}` is set by kafka-orchestrator and cannot be changed: remove it"
            )));
        }
        settings.insert(name.to_owned(), value.trim().to_owned());
    }
    Ok(settings)
}

/// Without the value, which may be a secret.
pub(super) fn refused(error: &KafkaError) -> BusError {
    let KafkaError::ClientConfig(_, reason, name, value) = error else {
        return BusError::Config(error.to_string());
    };
    let reason = if reason.contains("No such configuration property") {
        "no such setting (the names are librdkafka's, not Java's)"
    } else if reason.contains(value) {
        "librdkafka does not take this value"
    } else {
        reason
    };
    BusError::Config(format!("`{name}`: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(properties: &str) -> Result<KafkaConfig, BusError> {
        let files = BTreeMap::from([(CLIENT_PROPERTIES.to_owned(), properties.as_bytes().to_vec())]);
        KafkaConfig::from_files(&files, None)
    }

    #[test]
    fn reads_lines_and_keeps_what_is_ours() {
        let config =
            from("# a comment\n\n bootstrap.servers = a:1,b:2 \ncompression.type=zstd\n").expect("good");
        assert_eq!(config.servers(), "a:1,b:2");
        let effective: BTreeMap<_, _> = config.effective().expect("good").into_iter().collect();
        assert_eq!(effective["bootstrap.servers"], "a:1,b:2");
        assert_eq!(effective["compression.type"], "zstd");
        assert_eq!(effective["acks"], "-1", "all, in librdkafka's words");
        assert_eq!(effective["enable.idempotence"], "true");
        assert_eq!(effective["max.in.flight.requests.per.connection"], "5");
        assert_eq!(effective["linger.ms"], "5");
        assert_eq!(effective["message.timeout.ms"], "0");
    }

    #[test]
    fn given_servers_win_and_suffice() {
        let config = KafkaConfig::load(None, Some("c:3")).expect("good");
        assert_eq!(config.servers(), "c:3");
        assert!(config.effective().expect("good").contains(&("compression.type", "lz4".to_owned())));
        let files = BTreeMap::from([(CLIENT_PROPERTIES.to_owned(), b"bootstrap.servers=a:1".to_vec())]);
        assert_eq!(KafkaConfig::from_files(&files, Some("c:3")).expect("good").servers(), "c:3");
    }

    #[test]
    fn refusals_name_the_setting_and_never_a_value() {
        for (properties, message) in [
            ("", "no bootstrap.servers"),
            ("bootstrap.servers=a:1\nacks=1", "line 2: `acks` is set by kafka-orchestrator"),
            ("bootstrap.servers=a:1\nenable.auto.commit=true", "`enable.auto.commit` is set by"),
            ("bootstrap.servers=a:1\nmax.in.flight=9", "`max.in.flight` is set by"),
            ("bootstrap.servers=a:1\nsasl.jaas.config=s3cret", "`sasl.jaas.config`: Java JAAS"),
            ("bootstrap.servers=a:1\nssl.truststore.type=s3cret", "`ssl.truststore.type`: no such setting"),
            (
                "bootstrap.servers=a:1\nsecurity.protocol=s3cret",
                "`security.protocol`: librdkafka does not take",
            ),
            ("bootstrap.servers=a:1\ns3cret-line", "line 2: not of the form"),
        ] {
            let error = from(properties).expect_err(properties).to_string();
            assert!(error.contains(message), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = from("bootstrap.servers=a:1\nsasl.password=s3cret").expect("good");
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
