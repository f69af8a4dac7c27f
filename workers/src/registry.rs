//! Which processor does the work of an object: its stage's, or the one of its own. No I/O.

use std::collections::HashMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::exec::Exec;
#[cfg(feature = "http")]
use crate::http::Http;
use crate::simulate::Simulate;
use crate::{Processor, Work, WorkFailure};

/// Overrides that are kept ready-made. A run may give each object its own; then they are made anew now and then.
const MAX_CACHED: usize = 1_024;

/// Makes a processor from its settings as JSON text.
type Factory = Arc<dyn Fn(&str) -> Result<Arc<dyn Processor>, InvalidProcessor> + Send + Sync>;

/// Why there is no processor for an object.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidProcessor {
    /// The text is not of the form `{"<kind>": {...}}`.
    #[error("a processor is an object with one member such as {{\"simulate\": {{}}}}: {0}")]
    Form(String),
    /// This worker does not have that kind.
    #[error("this worker has no processor `{kind}`; it has {known}")]
    Unknown {
        /// What was asked for.
        kind: String,
        /// What there is.
        known: String,
    },
    /// The settings are wrong.
    #[error("processor `{kind}`: {problem}")]
    Settings {
        /// Which kind.
        kind: String,
        /// What is wrong.
        problem: String,
    },
}

impl InvalidProcessor {
    /// The failure of an object that asks for it. No further attempt will mend it.
    fn failure(&self) -> WorkFailure {
        let reason = match self {
            Self::Unknown { .. } => "UnknownProcessor",
            Self::Form(_) | Self::Settings { .. } => "InvalidProcessor",
        };
        WorkFailure::terminal(reason, self.to_string())
    }
}

/// The kinds of processors that a worker has.
#[derive(Clone)]
pub struct Registry {
    kinds: HashMap<String, Factory>,
    single: Option<Arc<dyn Processor>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::builtin()
    }
}

impl Registry {
    /// `simulate`, `exec` and, with the feature of that name, `http`.
    pub fn builtin() -> Self {
        let empty = Self { kinds: HashMap::new(), single: None };
        let registry = empty
            .with("simulate", |settings: Simulate| settings.checked())
            .with("exec", |settings: Exec| settings.checked());
        #[cfg(feature = "http")]
        let registry = registry.with("http", |settings: Http| settings.checked());
        registry
    }

    /// One processor for every object, whatever the stage or the object asks for.
    pub fn single(processor: impl Processor) -> Self {
        Self { kinds: HashMap::new(), single: Some(Arc::new(processor)) }
    }

    /// With one more kind: `make` gets the settings that stand under its name. Its error text says what is wrong.
    #[must_use]
    pub fn with<S, P>(
        mut self,
        kind: &str,
        make: impl Fn(S) -> Result<P, String> + Send + Sync + 'static,
    ) -> Self
    where
        S: DeserializeOwned,
        P: Processor,
    {
        let name = kind.to_owned();
        let factory = move |text: &str| -> Result<Arc<dyn Processor>, InvalidProcessor> {
            let settings = |problem| InvalidProcessor::Settings { kind: name.clone(), problem };
            let parsed = serde_json::from_str(text).map_err(|error| settings(error.to_string()))?;
            Ok(Arc::new(make(parsed).map_err(settings)?))
        };
        self.kinds.insert(kind.to_owned(), Arc::new(factory));
        self
    }

    /// With simulated work `speed` times as fast.
    #[must_use]
    pub fn with_speed(self, speed: f64) -> Self {
        self.with("simulate", move |settings: Simulate| settings.with_speed(speed).checked())
    }

    /// The processors of a stage, whose own is given as JSON text such as `{"simulate": {"duration": "500ms"}}`.
    /// If that is wrong, every object that has none of its own fails and says why.
    pub fn for_stage(self, processor: &str) -> Processors {
        let stage = self.make(processor);
        Processors { registry: self, stage, overrides: HashMap::new() }
    }

    fn make(&self, text: &str) -> Result<Arc<dyn Processor>, InvalidProcessor> {
        if let Some(single) = &self.single {
            return Ok(single.clone());
        }
        let members: HashMap<String, Box<RawValue>> =
            serde_json::from_str(text).map_err(|error| InvalidProcessor::Form(error.to_string()))?;
        let mut members = members.into_iter();
        let (Some((kind, settings)), None) = (members.next(), members.next()) else {
            return Err(InvalidProcessor::Form("it has none or several".to_owned()));
        };
        match self.kinds.get(&kind) {
            Some(factory) => factory(settings.get()),
            None => Err(InvalidProcessor::Unknown { kind, known: self.known() }),
        }
    }

    fn known(&self) -> String {
        let mut names: Vec<&str> = self.kinds.keys().map(String::as_str).collect();
        names.sort_unstable();
        names.join(", ")
    }
}

/// The processors of one stage.
pub struct Processors {
    registry: Registry,
    stage: Result<Arc<dyn Processor>, InvalidProcessor>,
    /// By text: objects of a run mostly share a few.
    overrides: HashMap<String, Result<Arc<dyn Processor>, InvalidProcessor>>,
}

impl Processors {
    /// What is wrong with the stage's own processor, if anything.
    pub fn stage_problem(&self) -> Option<&InvalidProcessor> {
        self.stage.as_ref().err()
    }

    /// Who does this work; the failure of the object if nobody can.
    pub(crate) fn of(&mut self, work: &Work) -> Result<&Arc<dyn Processor>, WorkFailure> {
        let found = match work.processor() {
            None => &self.stage,
            Some(text) => {
                if !self.overrides.contains_key(text) {
                    if self.overrides.len() >= MAX_CACHED {
                        self.overrides.clear();
                    }
                    self.overrides.insert(text.to_owned(), self.registry.make(text));
                }
                &self.overrides[text]
            }
        };
        found.as_ref().map_err(InvalidProcessor::failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        let processors = Registry::builtin().for_stage(text);
        processors.stage_problem().map(ToString::to_string).unwrap_or_default()
    }

    #[test]
    fn built_in_processors_are_made_from_their_settings() {
        let good = [
            r#"{"simulate":{}}"#,
            r#"{"simulate":{"duration":"500ms","jitter":0.1,"failIds":["2005"],"failureRate":0.5}}"#,
            r#"{"exec":{"command":["/bin/true"],"env":{"A":"b"},"cwd":"/"}}"#,
            #[cfg(feature = "http")]
            r#"{"http":{"url":"http://localhost:8000/load","headers":{"X-Team":"sales"},"timeout":"30s"}}"#,
        ];
        for text in good {
            assert_eq!(problem(text), "", "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_processor_is_said() {
        let cases = [
            ("junk", "one member"),
            ("{}", "none or several"),
            (r#"{"simulate":{},"exec":{"command":["x"]}}"#, "none or several"),
            #[cfg(feature = "http")]
            (r#"{"spark":{}}"#, "no processor `spark`; it has exec, http, simulate"),
            #[cfg(not(feature = "http"))]
            (r#"{"spark":{}}"#, "no processor `spark`; it has exec, simulate"),
            (r#"{"simulate":{"duration":"soon"}}"#, "`soon` is no duration"),
            (r#"{"simulate":{"jitter":2}}"#, "jitter"),
            (r#"{"simulate":{"failureRate":-1}}"#, "failureRate"),
            (r#"{"simulate":{"delay":"1s"}}"#, "unknown field `delay`"),
            (r#"{"exec":{"command":[]}}"#, "command is empty"),
            (r#"{"exec":{}}"#, "missing field `command`"),
            #[cfg(feature = "http")]
            (r#"{"http":{"url":"ftp://x/"}}"#, "neither http://"),
            #[cfg(feature = "http")]
            (r#"{"http":{"url":"http://x/","headers":{"a b":"c"}}}"#, "header"),
            #[cfg(not(feature = "http"))]
            (r#"{"http":{"url":"http://x/"}}"#, "no processor `http`"),
        ];
        for (text, expected) in cases {
            let problem = problem(text);
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }
}
