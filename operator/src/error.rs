//! Why a reconcile is tried again.

use std::time::Duration;

/// After a refusal it is tried again after this.
const AGAIN: Duration = Duration::from_secs(2);
/// The resource was changed while it was looked at: the change comes as an event, mostly sooner than this.
const CHANGED: Duration = Duration::from_millis(200);

/// Why a reconcile is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server refused, or did not answer.
    #[error("the API server: {}", said(.0))]
    Kube(#[from] Box<kube::Error>),
    /// Kafka refused, or did not answer.
    #[error("{0}")]
    Bus(#[from] orch_bus::BusError),
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Kube(Box::new(error))
    }
}

impl Error {
    /// A bounded word: the label of a counter.
    pub(crate) fn category(&self) -> &'static str {
        match self {
            Self::Kube(error) if is_conflict(error) => "conflict",
            Self::Kube(_) => "api_server",
            Self::Bus(error) => error.category(),
        }
    }

    /// Whether somebody else was quicker, which is nobody's fault.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Kube(error) if is_conflict(error))
    }

    /// When it is tried again.
    pub(crate) fn again_in(&self) -> Duration {
        if self.is_conflict() { CHANGED } else { AGAIN }
    }
}

/// The API server's own words, where it has said some: kube adds a dump of the whole answer.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Whether the API server says that the resource has changed.
pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict())
}

/// Whether the API server says that it is not there.
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_not_found())
}

/// The answer; `None` for what is not there.
pub(crate) fn found<T>(answer: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
