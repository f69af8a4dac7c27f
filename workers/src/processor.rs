//! What does the work: the trait [`Processor`], and what goes in and comes out of it. No I/O.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use orch_core::plan::is_deeper_than;
use orch_wire::{MAX_ERROR_BYTES, MAX_NESTING, MAX_OUTPUTS_BYTES};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::Work;

/// Longest error text and message in bytes; the rest is cut off.
const MAX_TEXT_BYTES: usize = MAX_ERROR_BYTES;

/// Does the work of objects. One value serves all objects of a stage, several at the same time.
///
/// ```
/// use orch_workers::{Outputs, Processor, Progress, Work, WorkFailure, async_trait};
///
/// struct CountWords;
///
/// #[async_trait]
/// impl Processor for CountWords {
///     async fn process(&self, work: &Work, progress: &Progress) -> Result<Outputs, WorkFailure> {
///         #[derive(serde::Deserialize)]
///         struct Params {
///             text: String,
///         }
///         let params: Params = work.parse_params()?;
///         progress.report(0.5);
///         Outputs::of(&serde_json::json!({"words": params.text.split_whitespace().count()}))
///     }
/// }
/// ```
#[async_trait]
pub trait Processor: Send + Sync + 'static {
    /// Does the work of one attempt. The future is dropped when the attempt's run timeout passes or the worker has to
    /// end. After a crash the same attempt may come again, so the work has to bear being repeated.
    ///
    /// Signs of life are sent by the runtime, as long as the process lives. Work that computes for long without an
    /// `.await` belongs into `tokio::task::spawn_blocking`.
    async fn process(&self, work: &Work, progress: &Progress) -> Result<Outputs, WorkFailure>;

    /// The outcome at once, for work that needs no waiting and takes microseconds: it costs no task. `None`, which is
    /// the default, leaves the work to [`Processor::process`].
    fn process_now(&self, work: &Work) -> Option<Result<Outputs, WorkFailure>> {
        let _ = work;
        None
    }
}

/// What the dependants get: nothing, or a JSON object of at most 4 KiB and 100 levels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outputs(Option<String>);

impl Outputs {
    /// Nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// What serialises to a JSON object. Anything else, and more than 4 KiB, is a failure that another attempt would
    /// not mend.
    pub fn of(value: &impl Serialize) -> Result<Self, WorkFailure> {
        let text = serde_json::to_string(value).map_err(|error| {
            WorkFailure::terminal("InvalidOutputs", format!("the outputs are no JSON: {error}"))
        })?;
        if text.starts_with('{') {
            Self::of_object(text)
        } else {
            Err(WorkFailure::terminal("InvalidOutputs", "the outputs are no JSON object"))
        }
    }

    /// `text` if it is a JSON object; `None` if it is none and does not begin like one either. What begins like one and
    /// is not is a failure: its dependants would miss it in silence.
    pub(crate) fn parse(text: &str) -> Option<Result<Self, WorkFailure>> {
        let text = text.trim();
        if !text.starts_with('{') {
            return None;
        }
        // As text: a reader that makes values of it gives up at 128 levels, and says the same of what is no JSON.
        Some(match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Self::of_object(text.to_owned()),
            Err(error) => {
                let error = format!("the outputs begin with a brace and are no JSON object: {error}");
                Err(WorkFailure::terminal("InvalidOutputs", error))
            }
        })
    }

    fn of_object(text: String) -> Result<Self, WorkFailure> {
        if text.len() > MAX_OUTPUTS_BYTES {
            return Err(Self::too_large(text.len()));
        }
        if is_deeper_than(text.as_bytes(), MAX_NESTING) {
            let error = format!("the outputs nest more than {MAX_NESTING} levels deep");
            return Err(WorkFailure::terminal("OutputsTooDeep", error));
        }
        Ok(Self(Some(text)))
    }

    pub(crate) fn too_large(bytes: usize) -> WorkFailure {
        let error = format!(
            "the outputs are {bytes} bytes or more, the limit is {MAX_OUTPUTS_BYTES}: write them somewhere and give out where"
        );
        WorkFailure::terminal("OutputsTooLarge", error)
    }

    /// The JSON text.
    pub fn json(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// Why an attempt went wrong.
///
/// Every [`Error`] becomes one with `?`: reason `WorkerError`, the whole chain as text, and another attempt allowed.
/// (That is why this is no [`Error`] itself.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkFailure {
    /// A word for machines, such as `ExitStatus`.
    pub reason: Cow<'static, str>,
    /// For people. An empty text is replaced by the reason.
    pub error: String,
    /// Whether another attempt may help.
    pub retryable: bool,
    /// Wait at least so long before the next attempt.
    pub retry_after: Option<Duration>,
    /// The last lines of the log; of more than 4 KiB the end is kept.
    pub log_tail: Option<String>,
}

impl WorkFailure {
    /// A failure that another attempt may mend.
    pub fn new(reason: impl Into<Cow<'static, str>>, error: impl Into<String>) -> Self {
        let (reason, mut error) = (reason.into(), error.into());
        if error.trim().is_empty() {
            error = reason.to_string();
        }
        truncate(&mut error, MAX_TEXT_BYTES);
        Self { reason, error, retryable: true, retry_after: None, log_tail: None }
    }

    /// A failure that no further attempt will mend.
    pub fn terminal(reason: impl Into<Cow<'static, str>>, error: impl Into<String>) -> Self {
        Self { retryable: false, ..Self::new(reason, error) }
    }

    /// With the shortest wait before the next attempt.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// With the last lines of the log.
    #[must_use]
    pub fn with_log_tail(mut self, log: &str) -> Self {
        let mut from = log.len().saturating_sub(MAX_OUTPUTS_BYTES);
        while !log.is_char_boundary(from) {
            from += 1;
        }
        self.log_tail = Some(log[from..].to_owned()).filter(|tail| !tail.trim().is_empty());
        self
    }
}

impl<E: Error> From<E> for WorkFailure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::new("WorkerError", text)
    }
}

impl fmt::Display for WorkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.error)
    }
}

/// Cuts a text to at most `max` bytes, at a character.
pub(crate) fn truncate(text: &mut String, max: usize) {
    if text.len() <= max {
        return;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// Takes what a processor tells about work that goes on. The newest goes out with the next heartbeat.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<Latest>>);

#[derive(Debug, Clone, Default)]
pub(crate) struct Latest {
    pub(crate) progress: Option<f64>,
    pub(crate) message: Option<String>,
}

impl Progress {
    /// How much is done, from 0 to 1.
    pub fn report(&self, progress: f64) {
        if progress.is_finite() {
            self.latest(|latest| latest.progress = Some(progress.clamp(0.0, 1.0)));
        }
    }

    /// What is being done, for people.
    pub fn say(&self, message: impl Into<String>) {
        let mut message = message.into();
        truncate(&mut message, MAX_TEXT_BYTES);
        self.latest(|latest| latest.message = Some(message));
    }

    pub(crate) fn newest(&self) -> Latest {
        self.latest(|latest| latest.clone())
    }

    fn latest<T>(&self, f: impl FnOnce(&mut Latest) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_json_objects_of_at_most_4_kib() {
        assert_eq!(Outputs::of(&serde_json::json!({"rows": 1})).unwrap().json(), Some(r#"{"rows":1}"#));
        assert_eq!(Outputs::of(&7).unwrap_err().reason, "InvalidOutputs");
        let large = serde_json::json!({"text": "x".repeat(MAX_OUTPUTS_BYTES)});
        let failure = Outputs::of(&large).unwrap_err();
        assert_eq!((failure.reason.as_ref(), failure.retryable), ("OutputsTooLarge", false));
        assert!(
            failure.error.contains("or more, the limit is 4096: write them somewhere"),
            "{}",
            failure.error
        );
        assert!(Outputs::parse("loaded 7 rows").is_none());
        assert_eq!(Outputs::parse("{'rows': 7}").unwrap().unwrap_err().reason, "InvalidOutputs");
        assert!(Outputs::parse(r#" {"rows": 7} "#).is_some());
    }

    #[test]
    fn outputs_that_nobody_could_read_fail_the_object() {
        let nested = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        assert!(Outputs::parse(&nested(100)).unwrap().is_ok());
        for levels in [101, 500] {
            let failure = Outputs::parse(&nested(levels)).unwrap().unwrap_err();
            assert_eq!((failure.reason.as_ref(), failure.retryable), ("OutputsTooDeep", false), "{levels}");
        }
    }

    #[test]
    fn an_error_becomes_a_failure_with_its_whole_chain() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot load `sales`")]
        struct Outer(#[source] std::io::Error);
        let failure = WorkFailure::from(Outer(std::io::Error::other("disk full")));
        assert_eq!(failure.to_string(), "WorkerError: cannot load `sales`: disk full");
        assert!(failure.retryable);
    }

    #[test]
    fn texts_are_bounded_and_never_empty() {
        let failure = WorkFailure::new("Broken", " \n").with_log_tail(&"é".repeat(5_000));
        assert_eq!(failure.error, "Broken");
        assert_eq!(failure.log_tail.unwrap().len(), MAX_OUTPUTS_BYTES);
        assert!(WorkFailure::new("Broken", "é".repeat(5_000)).error.len() <= MAX_TEXT_BYTES);
        assert_eq!(WorkFailure::new("Broken", "x").with_log_tail("").log_tail, None);
    }

    #[test]
    fn progress_keeps_the_newest() {
        let progress = Progress::default();
        progress.report(0.2);
        progress.report(f64::NAN);
        progress.say("half way");
        progress.report(7.0);
        let newest = progress.newest();
        assert_eq!((newest.progress, newest.message.as_deref()), (Some(1.0), Some("half way")));
    }
}
