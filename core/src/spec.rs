//! The run as somebody asked for it, before any check of the graph. The custom resource, a catalogue, an object list
//! and an edge list all become this one form; [`crate::plan::plan`] takes the last look at it.
//!
//! JSON values (`meta`, `params`, a processor) stay JSON text here: nothing in this crate looks inside them.

use crate::id::Millis;

/// A run before checking.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunSpec {
    /// The stages, in the order of the resource.
    pub stages: Vec<StageSpec>,
    /// The objects, each with the place it came from.
    pub objects: Vec<ObjectSpec>,
    /// Dependencies beside those of [`ObjectSpec::depends_on`], as pairs (dependency, dependant) of positions in
    /// `objects`: from a reader that has resolved the ids already, because millions of edges need no text each. No
    /// object is paired with itself.
    pub edges: Vec<(u32, u32)>,
    /// The sources that [`ObjectSpec::source`] points to.
    pub sources: Vec<Source>,
    /// What must be loaded; everything that no target needs is pruned.
    pub targets: Targets,
    /// What to do with a dependency that nobody defines.
    pub undefined_dependencies: UndefinedPolicy,
    /// What a failed object means for the rest.
    pub failure_policy: FailurePolicy,
}

impl RunSpec {
    /// The source of an object.
    pub fn source_of(&self, object: &ObjectSpec) -> &Source {
        &self.sources[usize::from(object.source)]
    }
}

/// Where objects came from, so that a finding can say it: `spec.objects`, `configMap sales-objects/objects.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Name as a person would say it.
    pub name: String,
    /// How its entries are written.
    pub form: SourceForm,
}

/// How a source writes its objects: the field that a finding names depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceForm {
    /// A list of what `spec.objects` holds: `id`, `dependsOn`.
    Objects,
    /// Catalogue records: `IdObjet`, `IdObjet_Parent`.
    Catalogue,
    /// Lines of `parent<TAB>child`; an object's position is the line of its first mention.
    Edges,
}

impl Source {
    /// A source of this name and form.
    pub fn new(name: impl Into<String>, form: SourceForm) -> Self {
        Self { name: name.into(), form }
    }

    /// Where the entry at `position` (from 0) stands: `spec.objects[3]`, `graph.tsv line 4`.
    pub fn entry(&self, position: u32) -> String {
        match self.form {
            SourceForm::Objects | SourceForm::Catalogue => format!("{}[{position}]", self.name),
            SourceForm::Edges => format!("{} line {}", self.name, position + 1),
        }
    }

    /// Where the id of the entry at `position` stands.
    pub fn id(&self, position: u32) -> String {
        match self.form {
            SourceForm::Objects => format!("{}.id", self.entry(position)),
            SourceForm::Catalogue => format!("{}.IdObjet", self.entry(position)),
            SourceForm::Edges => self.entry(position),
        }
    }

    /// Where the dependency number `nth` (from 0) of the entry at `position` stands.
    pub fn dependency(&self, position: u32, nth: usize) -> String {
        match self.form {
            SourceForm::Objects => format!("{}.dependsOn[{nth}]", self.entry(position)),
            SourceForm::Catalogue => format!("{}.IdObjet_Parent", self.entry(position)),
            SourceForm::Edges => self.entry(position),
        }
    }

    /// Where the dependencies of the entry at `position` stand.
    pub fn dependencies(&self, position: u32) -> String {
        match self.form {
            SourceForm::Objects => format!("{}.dependsOn", self.entry(position)),
            SourceForm::Catalogue => format!("{}.IdObjet_Parent", self.entry(position)),
            SourceForm::Edges => self.entry(position),
        }
    }

    /// What a person does to take a dependency away.
    pub fn removal(&self, dependency: &str, object: &str) -> String {
        match self.form {
            SourceForm::Objects => format!("remove `{dependency}` from `dependsOn` of `{object}`"),
            SourceForm::Catalogue => format!("remove `{dependency}` from `IdObjet_Parent` of `{object}`"),
            SourceForm::Edges => format!("remove the line `{dependency}<TAB>{object}`"),
        }
    }
}

/// One stage before checking.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSpec {
    /// Name as written.
    pub name: String,
    /// Numeric ids of objects that name no stage: both ends included.
    pub id_range: Option<(u64, u64)>,
    /// The processor as JSON text, such as `{"simulate":{"duration":"500ms"}}`.
    pub processor: String,
    /// How many workers of which width.
    pub worker: WorkerPolicy,
    /// Partitions of the ready topic; the default is `maxReplicas`.
    pub partitions: u16,
    /// What happens after a failed attempt.
    pub retry: RetryPolicy,
    /// How long an attempt may take.
    pub timeouts: Timeouts,
}

/// One object before checking. `None` means "as the stage says".
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObjectSpec {
    /// Index into [`RunSpec::sources`].
    pub source: u16,
    /// Position in that source, from 0.
    pub position: u32,
    /// Id as written.
    pub id: String,
    /// Label for people; not unique.
    pub name: Option<String>,
    /// Stage as written.
    pub stage: Option<String>,
    /// Ids of the objects that must be loaded first, as written; repeats allowed.
    pub depends_on: Vec<String>,
    /// What `ObjectReady.meta` carries, as JSON text; `None`: the object's own entry, which is then `entry`.
    pub meta: Option<String>,
    /// The object's own entry as JSON text.
    pub entry: String,
    /// Parameters as JSON text.
    pub params: Option<String>,
    /// Processor that overrides the stage's, as JSON text.
    pub processor: Option<String>,
    /// What overrides the stage's retry policy, field by field.
    pub retry: Option<Box<RetryOverride>>,
    /// What overrides the stage's timeouts, field by field.
    pub timeouts: Option<Box<TimeoutsOverride>>,
}

/// What must be loaded for the run to succeed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Targets {
    /// Every object.
    #[default]
    All,
    /// The objects of one stage.
    Stage(String),
    /// These objects.
    Ids(Vec<String>),
}

/// What a dependency that nobody defines means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UndefinedPolicy {
    /// The graph is refused, with every such id.
    #[default]
    Reject,
    /// It counts as loaded from the start: no event, its dependants go on.
    AssumeLoaded,
    /// It is run like any other object, with `meta` null.
    Run,
}

/// What a failed object means for the objects that do not depend on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailurePolicy {
    /// They go on.
    #[default]
    ContinueIndependent,
    /// What has not been published yet is cancelled.
    FailFast,
}

/// What happens after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, at least 1.
    pub max_attempts: u32,
    /// Wait before the second attempt.
    pub initial_delay_ms: Millis,
    /// Each further wait is this many times the one before.
    pub factor: f64,
    /// No wait is longer.
    pub max_delay_ms: Millis,
    /// Part of the wait that is spread: 0.2 means 80 % to 120 %.
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 3, initial_delay_ms: 1_000, factor: 2.0, max_delay_ms: 60_000, jitter: 0.2 }
    }
}

/// The fields of a retry policy that somebody wrote; the others come from the policy below.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RetryOverride {
    /// See [`RetryPolicy::max_attempts`].
    pub max_attempts: Option<u32>,
    /// See [`RetryPolicy::initial_delay_ms`].
    pub initial_delay_ms: Option<Millis>,
    /// See [`RetryPolicy::factor`].
    pub factor: Option<f64>,
    /// See [`RetryPolicy::max_delay_ms`].
    pub max_delay_ms: Option<Millis>,
    /// See [`RetryPolicy::jitter`].
    pub jitter: Option<f64>,
}

impl RetryOverride {
    /// `base` with the fields that are written here.
    pub fn over(&self, base: RetryPolicy) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.max_attempts.unwrap_or(base.max_attempts),
            initial_delay_ms: self.initial_delay_ms.unwrap_or(base.initial_delay_ms),
            factor: self.factor.unwrap_or(base.factor),
            max_delay_ms: self.max_delay_ms.unwrap_or(base.max_delay_ms),
            jitter: self.jitter.unwrap_or(base.jitter),
        }
    }
}

/// How long one attempt may take. `None`: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From `ObjectReady` to the first sign of a worker.
    pub queue_ms: Option<Millis>,
    /// From `ObjectStarted` to the end.
    pub run_ms: Option<Millis>,
    /// From one sign of the worker to the next, counted from `ObjectStarted`.
    pub heartbeat_ms: Millis,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { queue_ms: None, run_ms: None, heartbeat_ms: 30_000 }
    }
}

/// The timeouts that somebody wrote; the others come from the timeouts below.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeoutsOverride {
    /// See [`Timeouts::queue_ms`].
    pub queue_ms: Option<Millis>,
    /// See [`Timeouts::run_ms`].
    pub run_ms: Option<Millis>,
    /// See [`Timeouts::heartbeat_ms`].
    pub heartbeat_ms: Option<Millis>,
}

impl TimeoutsOverride {
    /// `base` with the fields that are written here.
    pub fn over(&self, base: Timeouts) -> Timeouts {
        Timeouts {
            queue_ms: self.queue_ms.or(base.queue_ms),
            run_ms: self.run_ms.or(base.run_ms),
            heartbeat_ms: self.heartbeat_ms.unwrap_or(base.heartbeat_ms),
        }
    }
}

/// How many workers of which width a stage may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerPolicy {
    /// Objects that one worker runs at the same time.
    pub concurrency: u32,
    /// Replicas that stay while a run is live.
    pub min_replicas: u32,
    /// Replicas at most.
    pub max_replicas: u32,
    /// How long the stage keeps replicas that nothing needs.
    pub idle_seconds: u32,
}

impl Default for WorkerPolicy {
    fn default() -> Self {
        Self { concurrency: 8, min_replicas: 0, max_replicas: 4, idle_seconds: 60 }
    }
}
