//! What the events topic says about one run, as the engine sees it: ids already resolved, JSON kept as text.

use std::sync::Arc;

use crate::id::{Attempt, Epoch, Millis, ObjectIx};

/// One record of the events topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Where it stands in the topic.
    pub offset: i64,
    /// Append time, set by the broker.
    pub time: Millis,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The leader began this run under this plan.
    RunStarted {
        /// Digest of the plan that the leader read.
        digest: String,
        /// The leader's term.
        epoch: Epoch,
    },
    /// Another operator took over; its records and those of later terms count from here on.
    LeaderStarted {
        /// The new term.
        epoch: Epoch,
    },
    /// A worker began an attempt.
    Started {
        /// Which object.
        object: ObjectIx,
        /// Which attempt.
        attempt: Attempt,
        /// Who runs it.
        worker: Arc<str>,
    },
    /// A worker is still at it: a heartbeat.
    Progress {
        /// Which object.
        object: ObjectIx,
        /// Which attempt.
        attempt: Attempt,
        /// Who runs it.
        worker: Arc<str>,
    },
    /// A worker finished an attempt well.
    Loaded {
        /// Which object.
        object: ObjectIx,
        /// Which attempt.
        attempt: Attempt,
        /// Who ran it.
        worker: Arc<str>,
        /// How long it worked, where it says so.
        elapsed: Option<Millis>,
        /// What the children get, as JSON text.
        outputs: Option<Box<str>>,
    },
    /// A worker finished an attempt badly.
    Failed {
        /// Which object.
        object: ObjectIx,
        /// Which attempt.
        attempt: Attempt,
        /// Who ran it.
        worker: Arc<str>,
        /// How long it worked, where it says so.
        elapsed: Option<Millis>,
        /// What it said.
        failure: Box<Failure>,
    },
    /// The operator gave an attempt up.
    Expired {
        /// Which object.
        object: ObjectIx,
        /// Which attempt.
        attempt: Attempt,
        /// Why.
        reason: OperatorReason,
        /// The leader's term.
        epoch: Epoch,
    },
    /// The run ends here, whatever is unfinished.
    RunCancelled {
        /// Why.
        reason: RunEnd,
        /// The leader's term.
        epoch: Epoch,
    },
}

/// What a worker says of a failed attempt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Failure {
    /// A word for machines, such as `WorkerError` or `ExitStatus`.
    pub reason: Box<str>,
    /// A text for people, never empty.
    pub error: Box<str>,
    /// Whether another attempt may help.
    pub retryable: bool,
    /// Wait at least so long before the next attempt.
    pub retry_after_ms: Option<Millis>,
    /// The last lines of the log.
    pub log_tail: Option<Box<str>>,
}

impl Failure {
    /// The reason of a worker that had to stop before the work had ended.
    pub const DRAINED: &str = "Drained";

    /// Whether the attempt is none of the object's own.
    pub fn is_drained(&self) -> bool {
        self.retryable && *self.reason == *Self::DRAINED
    }
}

/// Why the operator gave an attempt up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperatorReason {
    /// No worker showed a sign within the queue timeout.
    QueueTimeout,
    /// The attempt took longer than the run timeout.
    RunTimeout,
    /// The worker showed no sign within the heartbeat.
    HeartbeatLost,
    /// The ready record would be larger than the contract allows.
    RecordTooLarge,
}

impl OperatorReason {
    /// The reason as records and the status write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueTimeout => "QueueTimeout",
            Self::RunTimeout => "RunTimeout",
            Self::HeartbeatLost => "HeartbeatLost",
            Self::RecordTooLarge => "RecordTooLarge",
        }
    }

    /// Whether another attempt may help.
    pub fn is_retryable(self) -> bool {
        !matches!(self, Self::RecordTooLarge)
    }

    /// The reason of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::QueueTimeout, Self::RunTimeout, Self::HeartbeatLost, Self::RecordTooLarge]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

/// Why a run was ended before its objects were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunEnd {
    /// A person cancelled it.
    Cancelled,
    /// `spec.timeout` passed.
    DeadlineExceeded,
    /// A failure under `FailFast` stopped publishing, and what was published has ended.
    ObjectsFailed,
}

impl RunEnd {
    /// The reason as records and the status write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "Cancelled",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::ObjectsFailed => "ObjectsFailed",
        }
    }

    /// The reason of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Cancelled, Self::DeadlineExceeded, Self::ObjectsFailed]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}
