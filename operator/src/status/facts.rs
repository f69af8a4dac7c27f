//! What the reconcile knows of a run and the Kafka log does not.

use std::sync::Arc;

use orch_core::plan::RunPlan;
use orch_crds::condition::{accepted, graph_valid, topics_ready, types};

/// A condition as a fact: type, status, reason and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) type_: &'static str,
    pub(crate) status: &'static str,
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Condition {
    pub(crate) fn new(
        type_: &'static str,
        status: &'static str,
        reason: &str,
        message: impl Into<String>,
    ) -> Self {
        Self { type_, status, reason: reason.to_owned(), message: message.into() }
    }
}

/// Facts about a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) generation: Option<i64>,
    pub(crate) conditions: Vec<Condition>,
    /// The checked plan, once there is one.
    pub(crate) plan: Option<Arc<RunPlan>>,
    /// The graph was refused: the run ends here.
    pub(crate) refused: bool,
    /// Where the run's records begin.
    pub(crate) start_offset: Option<i64>,
}

impl Facts {
    /// Something that the resource names is not there: it is waited for.
    pub(crate) fn waiting(generation: Option<i64>, reason: &str, message: impl Into<String>) -> Self {
        let conditions = vec![
            Condition::new(types::ACCEPTED, "False", reason, message),
            Condition::new(types::GRAPH_VALID, "Unknown", graph_valid::NOT_CHECKED, ""),
        ];
        Self { generation, conditions, ..Self::default() }
    }

    /// The graph is refused, with everything that is wrong with it.
    pub(crate) fn refused(generation: Option<i64>, reason: &str, message: impl Into<String>) -> Self {
        let conditions = vec![
            Condition::new(types::ACCEPTED, "True", accepted::ACCEPTED, ""),
            Condition::new(types::GRAPH_VALID, "False", reason, message),
        ];
        Self { generation, conditions, refused: true, ..Self::default() }
    }

    /// The graph is valid; `warnings` are worth knowing.
    pub(crate) fn valid(generation: Option<i64>, plan: Arc<RunPlan>, warnings: String) -> Self {
        let conditions = vec![
            Condition::new(types::ACCEPTED, "True", accepted::ACCEPTED, ""),
            Condition::new(types::GRAPH_VALID, "True", graph_valid::VALID, warnings),
        ];
        Self { generation, conditions, plan: Some(plan), ..Self::default() }
    }

    /// The same with one condition more.
    pub(crate) fn with(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// The topics are as they should be.
    pub(crate) fn topics_are_ready(self) -> Self {
        self.with(Condition::new(types::TOPICS_READY, "True", topics_ready::READY, ""))
    }
}
