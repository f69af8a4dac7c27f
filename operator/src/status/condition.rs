//! Conditions as facts, before they stand in a status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use orch_bus::{BusError, Obstacle, TopicMismatch};
use orch_core::id::{Epoch, Millis};
use orch_crds::condition::{topics_ready, types};
use orch_crds::view::set_condition;
use orch_runner::Exit;

/// A condition as a fact: type, status, reason and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) type_: &'static str,
    pub(crate) status: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Condition {
    pub(crate) fn new(
        type_: &'static str,
        status: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { type_, status, reason, message: message.into() }
    }

    /// Puts it among the conditions of a status.
    pub(crate) fn put(self, conditions: &mut Vec<meta::Condition>, now: Millis) {
        let Self { type_, status, reason, message } = self;
        set_condition(conditions, (type_, status, reason), &message, now);
    }

    /// The topics are as they should be.
    pub(crate) fn topics_are_ready() -> Self {
        Self::new(types::TOPICS_READY, "True", topics_ready::READY, "")
    }

    /// What the bus said of the topics, and what to do about it. `secret` has the connection; without one it is the
    /// operator's own.
    pub(crate) fn of_bus(error: &BusError, secret: Option<&str>) -> Self {
        let place = secret.map_or_else(
            || "the operator's own connection".to_owned(),
            |name| format!("the Secret `{name}`"),
        );
        let (reason, remedy) = match error {
            BusError::Unreachable { .. } if error.obstacle().is_some_and(Obstacle::is_refusal) => (
                topics_ready::KAFKA_AUTHENTICATION_FAILED,
                format!("; correct user, password or certificates in {place}"),
            ),
            BusError::Unreachable { .. } => (
                topics_ready::KAFKA_UNREACHABLE,
                format!("; everything goes on when it answers. `bootstrap.servers` stands in {place}"),
            ),
            BusError::UnknownTopic(_) | BusError::MissingTopics(_) => (
                topics_ready::TOPIC_NOT_FOUND,
                "; the operator creates none here: create what is missing".to_owned(),
            ),
            BusError::Denied(_) => {
                (topics_ready::KAFKA_NOT_AUTHORIZED, format!("; allow it to the user of {place}"))
            }
            BusError::TooLarge(_) | BusError::Config(_) | BusError::Other(_) => {
                (topics_ready::TOPIC_REFUSED, String::new())
            }
        };
        Self::new(types::TOPICS_READY, "False", reason, format!("{error}{remedy}"))
    }

    /// How topics differ from what they should be.
    pub(crate) fn of_mismatches(mismatches: &[TopicMismatch]) -> Self {
        let line = |m: &TopicMismatch| {
            format!("topic `{}`: {} is {}, it should be {}", m.topic, m.setting, m.actual, m.wanted)
        };
        let lines: Vec<String> = mismatches.iter().map(line).collect();
        Self::new(types::TOPICS_READY, "False", topics_ready::TOPIC_MISMATCH, lines.join("; "))
    }

    /// The topic with all that happened is among the missing ones. Made anew it would let live runs begin again, and workers
    /// read on where they were in the topics of before. `live` are the runs of a Pipeline.
    pub(crate) fn of_lost_log(missing: &[String], owner: &OwnerReference, live: &[String]) -> Self {
        let runs = if live.is_empty() { String::new() } else { format!("the runs {} and ", live.join(", ")) };
        let message = format!(
            "{}, and what was done is lost with that; delete {runs}the {} {}, and apply anew",
            BusError::MissingTopics(missing.to_vec()),
            owner.kind,
            owner.name
        );
        Self::new(types::TOPICS_READY, "False", topics_ready::TOPIC_NOT_FOUND, message)
    }

    /// Records that a run needs are gone, or not what they should be: what is wrong. Nothing is done for it, because
    /// nobody knows what it has done.
    pub(crate) fn of_damaged_log(problem: &str) -> Self {
        let message = format!("{problem}; restore the events topic, or delete the run and apply it anew");
        Self::new(types::TOPICS_READY, "False", topics_ready::LOG_DAMAGED, message)
    }

    /// What the end of an actor says of the topics: that of one who was stopped or superseded says nothing.
    pub(crate) fn of_exit(exit: &Exit, secret: Option<&str>) -> Option<Self> {
        match exit {
            Exit::Broken(error) => Some(Self::of_bus(error, secret)),
            Exit::Stopped | Exit::Superseded { .. } => None,
        }
    }
}

/// What people are told when another operator leads.
pub(crate) fn taken_over(epoch: Epoch) -> String {
    format!("another operator took the topics over, with the term {epoch}")
}
