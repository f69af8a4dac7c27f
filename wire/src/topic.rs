//! Names of topics and consumer groups: `<prefix><namespace>.<name>.<stage>`.

use std::fmt;

use orch_core::id::{RunUid, StageName};
use thiserror::Error;

/// The operator's prefix is not usable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "topic prefix `{0}`: at most 40 characters of a-z, A-Z, 0-9, `.` and `-` (no `_`: Kafka takes it for `.` in metric names)"
)]
pub struct InvalidPrefix(String);

/// What all topics of one operator begin with, such as `orchestrator.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPrefix(String);

impl TopicPrefix {
    /// Longest prefix.
    pub const MAX_BYTES: usize = 40;

    /// Checks length and characters.
    pub fn parse(text: &str) -> Result<Self, InvalidPrefix> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if text.len() <= Self::MAX_BYTES && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPrefix(text.to_owned()))
        }
    }
}

impl Default for TopicPrefix {
    fn default() -> Self {
        Self("orchestrator.".to_owned())
    }
}

/// The topics of one Pipeline, or of one run with inline stages.
///
/// With a prefix of 40, a namespace of 63, a name of 55 and a stage of 40 characters a topic stays below Kafka's 249.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicNames {
    base: String,
}

impl TopicNames {
    /// The topics of a Pipeline, or of what [`TopicNames::inline_name`] names.
    pub fn new(prefix: &TopicPrefix, namespace: &str, name: &str) -> Self {
        Self { base: format!("{}{namespace}.{name}.", prefix.0) }
    }

    /// The name that stands for a run's own stages: `sales-3f2a91`, the run and the first six hex digits of its uid.
    pub fn inline_name(run: &str, uid: &RunUid) -> String {
        let digits: String = uid.as_str().chars().filter(char::is_ascii_hexdigit).take(6).collect();
        format!("{run}-{}", digits.to_ascii_lowercase())
    }

    /// The ready queue of a stage. Its consumer group has the same name.
    pub fn ready(&self, stage: &StageName) -> String {
        format!("{}{stage}", self.base)
    }

    /// Every answer and every decision: one partition, a total order.
    pub fn events(&self) -> String {
        format!("{}events", self.base)
    }

    /// From the operator to the workers: compacted.
    pub fn control(&self) -> String {
        format!("{}control", self.base)
    }
}

impl fmt::Display for TopicNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_contract() {
        let names = TopicNames::new(&TopicPrefix::default(), "default", "medallion");
        let stage = StageName::parse("ingest").unwrap();
        assert_eq!(names.ready(&stage), "orchestrator.default.medallion.ingest");
        assert_eq!(names.events(), "orchestrator.default.medallion.events");
        assert_eq!(names.control(), "orchestrator.default.medallion.control");
    }

    #[test]
    fn an_inline_run_is_named_with_six_digits_of_its_uid() {
        let uid = RunUid::new("3F2A-91bc-7777");
        assert_eq!(TopicNames::inline_name("sales", &uid), "sales-3f2a91");
    }

    #[test]
    fn prefixes_are_short_and_without_underscores() {
        for good in ["", "orchestrator.", "team-a.", &"p".repeat(40)] {
            assert!(TopicPrefix::parse(good).is_ok(), "{good}");
        }
        for bad in ["a_b", "a/b", " ", &"p".repeat(41)] {
            let said = TopicPrefix::parse(bad).unwrap_err().to_string();
            assert!(said.contains("at most 40 characters of a-z, A-Z, 0-9"), "{said}");
        }
    }

    #[test]
    fn the_longest_topic_fits_into_kafkas_limit() {
        let prefix = TopicPrefix::parse(&"p".repeat(40)).unwrap();
        let names = TopicNames::new(&prefix, &"n".repeat(63), &"r".repeat(55));
        let stage = StageName::parse(&"s".repeat(40)).unwrap();
        assert!(names.ready(&stage).len() <= 249);
    }
}
