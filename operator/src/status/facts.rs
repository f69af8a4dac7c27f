//! What the reconcile knows of a run and the Kafka log does not.

use orch_crds::condition::{accepted, graph_valid, types};
use orch_crds::status::PinnedPipeline;

use super::Condition;

/// Facts about a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) generation: Option<i64>,
    pub(crate) conditions: Vec<Condition>,
    /// The graph was refused: the run ends here.
    pub(crate) refused: bool,
    /// Where the run's records begin, unless the status says so already.
    pub(crate) start_offset: Option<i64>,
    /// The Pipeline that it is planned by, unless the status says so already.
    pub(crate) pipeline: Option<PinnedPipeline>,
}

impl Facts {
    /// Something that the resource names is not there: it is waited for.
    pub(crate) fn waiting(generation: Option<i64>, reason: &'static str, message: impl Into<String>) -> Self {
        let conditions = vec![
            Condition::new(types::ACCEPTED, "False", reason, message),
            Condition::new(types::GRAPH_VALID, "Unknown", graph_valid::NOT_CHECKED, ""),
        ];
        Self { generation, conditions, ..Self::default() }
    }

    /// The graph is refused, with everything that is wrong with it.
    pub(crate) fn refused(generation: Option<i64>, reason: &'static str, message: impl Into<String>) -> Self {
        let conditions = vec![
            Condition::new(types::ACCEPTED, "True", accepted::ACCEPTED, ""),
            Condition::new(types::GRAPH_VALID, "False", reason, message),
        ];
        Self { generation, conditions, refused: true, ..Self::default() }
    }

    /// The graph is valid; `warnings` are worth knowing.
    pub(crate) fn valid(generation: Option<i64>, warnings: String) -> Self {
        let conditions = vec![
            Condition::new(types::ACCEPTED, "True", accepted::ACCEPTED, ""),
            Condition::new(types::GRAPH_VALID, "True", graph_valid::VALID, warnings),
        ];
        Self { generation, conditions, ..Self::default() }
    }

    /// The same with one condition more.
    pub(crate) fn with(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// The topics have been found as they should be since.
    pub(crate) fn topics_are_ready(&mut self) {
        self.topics_are(Condition::topics_are_ready());
    }

    /// The newest that is known of the topics.
    pub(crate) fn topics_are(&mut self, condition: Condition) {
        self.conditions.retain(|condition| condition.type_ != types::TOPICS_READY);
        self.conditions.push(condition);
    }
}
