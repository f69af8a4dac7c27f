//! What a resource names and is not there.

use orch_crds::condition::accepted;

use crate::guarded::Unreadable;

/// Something is not there, or not as it must be. It is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Reason of the condition `Accepted`.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Missing {
    /// A Pipeline is there, and cannot be read.
    pub(crate) fn of_unreadable(pipeline: &Unreadable) -> Self {
        let Unreadable { metadata, problem, .. } = pipeline;
        let name = metadata.name.as_deref().unwrap_or_default();
        let message = format!("the Pipeline `{name}` cannot be read: {problem}; correct its spec");
        Self { reason: accepted::PIPELINE_UNREADABLE, message }
    }
}
