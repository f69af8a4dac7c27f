//! Topics and positions, and the probe that says whether a broker answers. The functions on [`Core`] that are not
//! `async` block: they run on threads of their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::{Offset, TopicPartitionList};

use super::config::{KafkaConfig, refused};
use super::context::{Context, Health, is_unknown_topic};
use super::member::Members;
use crate::{Bounds, BusError, Committed, TopicMismatch, TopicSpec};

/// How long one question may take. A wrong password has to be named within 30 s.
const ASK: Duration = Duration::from_secs(10);
/// So often somebody who waits for an answer looks whether the broker refuses us: then there will be none.
const LOOK_FOR_REFUSAL: Duration = Duration::from_secs(1);
/// How long a topic may take to appear everywhere, or to go.
const SETTLE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a probe waits, and the pause before the next one.
const PROBE: Duration = Duration::from_secs(2);
const PROBE_AGAIN: Duration = Duration::from_millis(500);
/// Without a suspicion it is asked this often.
const PROBE_ANYWAY: Duration = Duration::from_secs(5);
/// A topic that nearly every cluster has; that it exists does not matter.
const PROBE_TOPIC: &str = "__consumer_offsets";

/// The clients for questions, shared by everything of a bus.
pub(super) struct Core {
    pub(super) config: KafkaConfig,
    pub(super) health: Arc<Health>,
    pub(super) members: Members,
    client: BaseConsumer<Context>,
    admin: AdminClient<DefaultClientContext>,
    closed: AtomicBool,
}

/// What the metadata says of a topic.
struct Found {
    partitions: usize,
    /// Every partition has a leader.
    ready: bool,
}

impl Core {
    pub(super) fn new(config: KafkaConfig) -> Result<Arc<Self>, BusError> {
        let health = Arc::new(Health::new(config.servers()));
        let settings = config.client();
        let client = settings.create_with_context(Context::new(&health)).map_err(|e| refused(&e))?;
        let admin = config.admin().create().map_err(|e| refused(&e))?;
        let (members, closed) = (Members::default(), AtomicBool::new(false));
        let core = Arc::new(Self { config, health, members, client, admin, closed });
        let watched = Arc::downgrade(&core);
        spawn("kafka-probe", move || watch(&watched))?;
        Ok(core)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Asks when there is a suspicion, and now and then without one: of a broker that stands still librdkafka says
    /// nothing for a minute. Serves the callbacks.
    fn probe(&self, last: &mut Instant) {
        let client = self.client.client();
        client.context().sight.restore(client, self.config.servers());
        let was_suspect = self.health.is_suspect();
        if !was_suspect && last.elapsed() < PROBE_ANYWAY {
            let _ = self.client.poll(PROBE_AGAIN);
            return;
        }
        let outcome = match self.client.fetch_metadata(Some(PROBE_TOPIC), PROBE) {
            // So answers a broker that its controller has fenced: it does not even name itself.
            Ok(metadata) if metadata.brokers().is_empty() => Err("no broker is in service".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        *last = Instant::now();
        self.hear();
        match outcome {
            Ok(()) => self.health.answered(),
            Err(error) if was_suspect => {
                self.health.silent(error);
                let _ = self.client.poll(PROBE_AGAIN);
            }
            Err(_) => self.health.suspect(),
        }
    }

    /// Serves what the error callback was not called for yet. A poll gives one event at most.
    fn hear(&self) {
        for _ in 0..50 {
            let _ = self.client.poll(Duration::ZERO);
        }
    }

    /// What the cluster says of a topic.
    fn metadata(&self, topic: &str) -> Result<Metadata, BusError> {
        let deadline = Instant::now() + ASK;
        loop {
            let error = match self.client.fetch_metadata(Some(topic), LOOK_FOR_REFUSAL) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => error,
            };
            self.hear();
            let error = self.health.explain(&error, topic);
            match error.obstacle() {
                Some(obstacle) if !obstacle.is_refusal() && Instant::now() < deadline => {}
                _ => return Err(error),
            }
        }
    }

    fn find(&self, topic: &str) -> Result<Option<Found>, BusError> {
        let metadata = self.metadata(topic)?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(None);
        };
        match found.error().map(RDKafkaErrorCode::from) {
            Some(code) if is_unknown_topic(code) => Ok(None),
            // It is there, and nothing more is known yet.
            Some(RDKafkaErrorCode::LeaderNotAvailable) => Ok(Some(Found { partitions: 0, ready: false })),
            Some(code) => Err(self.health.explain_code(code, topic, code.to_string())),
            None => Ok(Some(Found { partitions: found.partitions().len(), ready: is_ready(found) })),
        }
    }

    /// Number of partitions of a topic that exists.
    pub(super) fn partitions(&self, topic: &str) -> Result<usize, BusError> {
        self.find(topic)?
            .map(|found| found.partitions)
            .ok_or_else(|| BusError::UnknownTopic(topic.to_owned()))
    }

    fn settle(&self, topic: &str, done: impl Fn(Option<Found>) -> bool, what: &str) -> Result<(), BusError> {
        let deadline = Instant::now() + SETTLE;
        while !done(self.find(topic)?) {
            if Instant::now() > deadline {
                return Err(BusError::Other(format!("topic `{topic}` {what} after {SETTLE:?}")));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Creates the topics and waits until they can be used.
    async fn create(self: &Arc<Self>, specs: Vec<TopicSpec>) -> Result<(), BusError> {
        if specs.is_empty() {
            return Ok(());
        }
        let new: Vec<NewTopic<'_>> = specs.iter().map(new_topic).collect();
        let options = AdminOptions::new().request_timeout(Some(ASK)).operation_timeout(Some(ASK));
        let outcomes = match self.admin.create_topics(&new, &options).await {
            Ok(outcomes) => outcomes,
            Err(error) => return Err(self.health.explain(&error, &specs[0].name)),
        };
        for (topic, code) in outcomes.into_iter().filter_map(Result::err) {
            // Somebody else was quicker: fine.
            if code != RDKafkaErrorCode::TopicAlreadyExists {
                return Err(self.health.explain_code(code, &topic, format!("cannot be created: {code}")));
            }
        }
        drop(new);
        blocking(self, move |core| {
            specs.iter().try_for_each(|spec| {
                core.settle(&spec.name, |found| found.is_some_and(|found| found.ready), "is not ready")
            })
        })
        .await
    }

    pub(super) async fn ensure(
        self: &Arc<Self>,
        wanted: &[TopicSpec],
        create: bool,
    ) -> Result<Vec<TopicMismatch>, BusError> {
        let specs = wanted.to_vec();
        let found = blocking(self, move |core| {
            specs.into_iter().map(|spec| Ok((core.find(&spec.name)?, spec))).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        let (mut missing, mut existing, mut mismatches) = (Vec::new(), Vec::new(), Vec::new());
        for (found, spec) in found {
            match found {
                Some(found) => {
                    if found.partitions != spec.partitions.max(0) as usize {
                        mismatches.push(mismatch(
                            &spec,
                            "partitions",
                            found.partitions.to_string(),
                            spec.partitions.to_string(),
                        ));
                    }
                    existing.push(spec);
                }
                None => missing.push(spec),
            }
        }
        if !create && !missing.is_empty() {
            return Err(BusError::MissingTopics(missing.into_iter().map(|spec| spec.name).collect()));
        }
        self.create(missing).await?;
        mismatches.extend(self.compare_settings(&existing).await?);
        Ok(mismatches)
    }

    async fn compare_settings(&self, specs: &[TopicSpec]) -> Result<Vec<TopicMismatch>, BusError> {
        if specs.is_empty() {
            return Ok(Vec::new());
        }
        let resources: Vec<_> = specs.iter().map(|spec| ResourceSpecifier::Topic(&spec.name)).collect();
        let options = AdminOptions::new().request_timeout(Some(ASK));
        let described = self.admin.describe_configs(&resources, &options).await;
        let described = described.map_err(|error| self.health.explain(&error, &specs[0].name))?;
        let mut mismatches = Vec::new();
        for (spec, described) in specs.iter().zip(described) {
            let actual = described
                .map_err(|code| self.health.explain_code(code, &spec.name, format!("settings: {code}")))?;
            for (setting, wanted) in &spec.config {
                let value = actual.get(setting).and_then(|entry| entry.value.clone()).unwrap_or_default();
                if value != *wanted {
                    mismatches.push(mismatch(spec, setting, value, wanted.clone()));
                }
            }
        }
        Ok(mismatches)
    }

    /// Deletes the topics and waits until they are gone.
    pub(super) async fn delete(self: &Arc<Self>, topics: &[String]) -> Result<(), BusError> {
        if topics.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let options = AdminOptions::new().request_timeout(Some(ASK)).operation_timeout(Some(ASK));
        let outcomes = match self.admin.delete_topics(&names, &options).await {
            Ok(outcomes) => outcomes,
            Err(error) => return Err(self.health.explain(&error, names[0])),
        };
        for (topic, code) in outcomes.into_iter().filter_map(Result::err) {
            if !is_unknown_topic(code) {
                return Err(self.health.explain_code(code, &topic, format!("cannot be deleted: {code}")));
            }
        }
        let topics = topics.to_vec();
        blocking(self, move |core| {
            topics.iter().try_for_each(|topic| core.settle(topic, |found| found.is_none(), "is not gone"))
        })
        .await
    }

    pub(super) fn list(&self, prefix: &str) -> Result<Vec<String>, BusError> {
        let metadata = self.client.fetch_metadata(None, ASK).map_err(|error| {
            self.hear();
            self.health.explain(&error, prefix)
        })?;
        let names = metadata.topics().iter().filter(|topic| topic.error().is_none()).map(MetadataTopic::name);
        let mut names: Vec<String> =
            names.filter(|name| name.starts_with(prefix)).map(ToOwned::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    pub(super) fn bounds(&self, topic: &str) -> Result<Vec<Bounds>, BusError> {
        (0..self.partitions(topic)?).map(|partition| self.bounds_of(topic, partition as i32)).collect()
    }

    pub(super) fn bounds_of(&self, topic: &str, partition: i32) -> Result<Bounds, BusError> {
        let (low, high) = self.settled(topic, || self.client.fetch_watermarks(topic, partition, ASK))?;
        Ok(Bounds { low, high })
    }

    /// The answer to a question, asked again while the broker that could answer it is not ready yet.
    fn settled<T>(&self, topic: &str, ask: impl Fn() -> KafkaResult<T>) -> Result<T, BusError> {
        let deadline = Instant::now() + SETTLE;
        loop {
            match ask() {
                Err(error) if is_settling(&error) && Instant::now() < deadline => {
                    std::thread::sleep(LOOK_AGAIN);
                }
                answer => return answer.map_err(|error| self.health.explain(&error, topic)),
            }
        }
    }

    pub(super) async fn truncate(&self, topic: &str, partition: i32, before: i64) -> Result<(), BusError> {
        let explained = |error: &KafkaError| self.health.explain(error, topic);
        let mut offsets = TopicPartitionList::with_capacity(1);
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(before))
            .map_err(|error| explained(&error))?;
        let options = AdminOptions::new().request_timeout(Some(ASK)).operation_timeout(Some(ASK));
        let outcome = match self.admin.delete_records(&offsets, &options).await {
            Ok(outcome) => outcome,
            // Nobody leads such a partition.
            Err(KafkaError::AdminOp(RDKafkaErrorCode::NoEnt)) => {
                return Err(BusError::UnknownTopic(topic.to_owned()));
            }
            Err(error) => return Err(explained(&error)),
        };
        for element in outcome.elements() {
            match element.error() {
                Ok(()) => {}
                // Somebody else was quicker, and took more.
                Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OffsetOutOfRange) => {}
                Err(error) => return Err(explained(&error)),
            }
        }
        Ok(())
    }

    pub(super) fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Committed>>, BusError> {
        let partitions = self.partitions(topic)?;
        let consumer: BaseConsumer<Context> = self
            .config
            .reader(group)
            .create_with_context(Context::new(&self.health))
            .map_err(|e| refused(&e))?;
        let mut asked = TopicPartitionList::with_capacity(partitions);
        asked.add_partition_range(topic, 0, partitions as i32 - 1);
        self.settled(topic, || {
            let answer = consumer.committed_offsets(asked.clone(), ASK)?;
            let mut positions = vec![None; partitions];
            for element in answer.elements() {
                element.error()?;
                if let Offset::Offset(offset) = element.offset() {
                    let committed = Committed { offset, metadata: element.metadata().to_owned() };
                    positions[element.partition() as usize] = Some(committed);
                }
            }
            Ok(positions)
        })
    }
}

/// Probes until the bus is dropped.
fn watch(core: &Weak<Core>) {
    let mut last = Instant::now();
    while let Some(core) = core.upgrade().filter(|core| !core.closed.load(Ordering::Acquire)) {
        core.probe(&mut last);
    }
}

/// The metadata name the leader of a new partition, and the coordinator of a group, some milliseconds before they are
/// that; the first group of a new cluster waits for the topic of all groups.
fn is_settling(error: &KafkaError) -> bool {
    let codes = [
        RDKafkaErrorCode::NotLeaderForPartition,
        RDKafkaErrorCode::LeaderNotAvailable,
        RDKafkaErrorCode::ReplicaNotAvailable,
        RDKafkaErrorCode::NotCoordinator,
        RDKafkaErrorCode::CoordinatorNotAvailable,
        RDKafkaErrorCode::CoordinatorLoadInProgress,
    ];
    error.rdkafka_error_code().is_some_and(|code| codes.contains(&code))
}

fn is_ready(topic: &MetadataTopic) -> bool {
    !topic.partitions().is_empty() && topic.partitions().iter().all(|partition| partition.leader() >= 0)
}

fn new_topic(spec: &TopicSpec) -> NewTopic<'_> {
    let replication = TopicReplication::Fixed(spec.replication_factor.unwrap_or(-1));
    let topic = NewTopic::new(&spec.name, spec.partitions, replication);
    spec.config.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
}

fn mismatch(spec: &TopicSpec, setting: &str, actual: String, wanted: String) -> TopicMismatch {
    TopicMismatch { topic: spec.name.clone(), setting: setting.to_owned(), actual, wanted }
}

/// Runs what blocks where it may.
pub(super) async fn blocking<T: Send + 'static>(
    core: &Arc<Core>,
    work: impl FnOnce(&Core) -> Result<T, BusError> + Send + 'static,
) -> Result<T, BusError> {
    let core = core.clone();
    match tokio::task::spawn_blocking(move || work(&core)).await {
        Ok(outcome) => outcome,
        Err(error) => Err(BusError::Other(format!("a call to Kafka ended early: {error}"))),
    }
}

/// A named thread.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), BusError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map(drop).map_err(|error| BusError::Other(format!("thread {name}: {error}")))
}
