//! What the clients say about the connection. librdkafka tells the reason of a failure (a wrong password, a certificate)
//! only to the error callback: the calls themselves just time out.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;

use super::sight::Sight;
use crate::BusError;

/// How the connection is, for all clients of a bus: they share servers and login.
pub(super) struct Health {
    servers: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last thing that a client said.
    reason: Option<String>,
    /// Something was said since the last probe.
    suspect: bool,
    /// What the last probe found.
    trouble: Option<String>,
}

impl Health {
    /// Suspect from the start, so that the first probe comes at once.
    pub(super) fn new(servers: &str) -> Self {
        let state = State { suspect: true, ..State::default() };
        Self { servers: servers.to_owned(), state: Mutex::new(state) }
    }

    /// From an error callback.
    pub(super) fn heard(&self, error: &KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
        let mut state = self.state();
        state.suspect = true;
        let general = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        // "All brokers are down" comes last and says least.
        if !general || state.reason.is_none() {
            // Behind it: how long it took and how often it was; that changes all the time.
            let reason = reason.split(" (after ").next().unwrap_or(reason);
            state.reason = Some(reason.to_owned());
        }
    }

    /// From a client's log: a listener that wants TLS or a login just closes the connection, and that is no error to
    /// librdkafka.
    fn overheard(&self, facility: &str, message: &str) {
        let Some((said, _)) = message.split_once(" (after ").filter(|_| facility == "FAIL") else { return };
        if message.contains("in state APIVERSION_QUERY") {
            let (_, said) = said.split_once("]: ").unwrap_or(("", said));
            let reason =
                format!("{said}, before its first answer: security.protocol may not be the listener's");
            self.heard(&KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), &reason);
        }
    }

    /// A probe was not answered; the next one decides.
    pub(super) fn suspect(&self) {
        self.state().suspect = true;
    }

    pub(super) fn is_suspect(&self) -> bool {
        self.state().suspect
    }

    /// A broker answered.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        if let Some(trouble) = state.trouble.take() {
            tracing::info!(servers = self.servers, was = trouble, "Kafka answers again");
        }
        *state = State::default();
    }

    /// No broker answered a probe.
    pub(super) fn silent(&self, error: String) {
        let mut state = self.state();
        let reason = state.reason.clone().unwrap_or(error);
        if state.trouble.as_ref() != Some(&reason) {
            tracing::warn!(servers = self.servers, error = reason, "Kafka is not reachable");
        }
        state.trouble = Some(reason);
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    /// The error of a call on `topic` in our words.
    pub(super) fn explain(&self, error: &KafkaError, topic: &str) -> BusError {
        match error.rdkafka_error_code() {
            Some(code) => self.explain_code(code, topic, error.to_string()),
            None => BusError::Other(error.to_string()),
        }
    }

    pub(super) fn explain_code(&self, code: RDKafkaErrorCode, topic: &str, text: String) -> BusError {
        use RDKafkaErrorCode as Code;
        match code {
            code if is_unknown_topic(code) => BusError::UnknownTopic(topic.to_owned()),
            Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => BusError::TooLarge(topic.to_owned()),
            Code::TopicAuthorizationFailed => BusError::Denied(format!("access to topic `{topic}`")),
            Code::GroupAuthorizationFailed => {
                BusError::Denied(format!("access to the consumer group on topic `{topic}`"))
            }
            Code::ClusterAuthorizationFailed => {
                BusError::Denied(format!("access to the cluster, for topic `{topic}`"))
            }
            Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::MessageTimedOut
            | Code::Authentication
            | Code::SSL
            | Code::Resolve
            | Code::CoordinatorNotAvailable
            | Code::WaitingForCoordinator => {
                let reason = self.state().reason.clone().unwrap_or(text);
                BusError::Unreachable { servers: self.servers.clone(), reason }
            }
            _ => BusError::Other(format!("topic `{topic}`: {text}")),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it says that the topic, or the partition, does not exist.
pub(super) fn is_unknown_topic(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(code, Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition)
}

/// librdkafka's log lines repeat with every attempt to connect; what a person would act on is logged by [`Health`].
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    tracing::debug!(?level, facility, message, "librdkafka");
}

/// The context of clients that need nothing else.
pub(super) struct Context {
    health: Arc<Health>,
    pub(super) sight: Sight,
    came_to: AtomicI64,
}

impl Context {
    pub(super) fn new(health: &Arc<Health>) -> Self {
        Self { health: health.clone(), sight: Sight::default(), came_to: AtomicI64::new(-1) }
    }

    /// The end that the client of one partition has come to, as it was when the newest statistics were made; negative
    /// before there was one. rdkafka tells of an end by an event too, but does not say where it was.
    pub(super) fn came_to(&self) -> i64 {
        self.came_to.load(Ordering::Acquire)
    }
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        self.health.heard(&error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.health.overheard(facility, message);
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.sight.look(&statistics);
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        let came_to = partitions.map(|partition| partition.eof_offset).max();
        self.came_to.store(came_to.unwrap_or(-1), Ordering::Release);
    }
}

impl ConsumerContext for Context {}
