//! Turns a resource into the core's [`RunSpec`]. Pure: what the resource names was fetched before.
//!
//! Checks again what the API server checks by schema and CEL, all of it at once, because a local run has no API
//! server. Names, ranges and policies are checked by [`orch_core::plan`], which comes next.

mod checks;
mod objects;
mod stages;

use orch_core::catalogue::Room;
use orch_core::finding::{Finding, FindingKind};
use orch_core::id::{self, Millis};
use orch_core::spec::{self as core, RunSpec};

use crate::chunk::Chunk;
use crate::pipeline_run::{FailurePolicy, PipelineRunSpec, TargetsSpec, UndefinedDependencies};
use crate::stage::{StageSpec, WorkerSpec};
use crate::{Pipeline, PipelineRun};
use checks::Checks;
pub use objects::check_list;

/// Longest name of a PipelineRun or Pipeline.
pub const MAX_NAME: usize = 48;

/// Most JSON that `spec.objects` may hold in a cluster: `kubectl apply` keeps a second copy in an annotation of at most
/// 256 KiB.
pub const MAX_INLINE_BYTES: usize = 200 << 10;

/// A run as the core wants it, and what is worth knowing about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// The run before the checks of its graph.
    pub spec: RunSpec,
    /// Findings that refuse nothing.
    pub warnings: Vec<Finding>,
}

/// The run as the core wants it, or everything that is wrong with it. `shared` are the stages of the Pipeline that
/// `pipelineRef` names ([`PipelineRun::shared_stages`]); `chunks` are those of `objectsFrom`, in its order.
pub fn run_spec(
    run: &PipelineRunSpec,
    shared: Option<&[StageSpec]>,
    chunks: &[Chunk],
) -> Result<Converted, Vec<Finding>> {
    let mut checks = Checks::default();
    check_run(run, &mut checks);
    let stages = match (&run.stages, &run.pipeline_ref, shared) {
        (Some(stages), None, _) => stages::stages(stages, "spec.stages", &mut checks),
        (None, Some(_), Some(shared)) => stages::stages(shared, "Pipeline.spec.stages", &mut checks),
        (None, Some(name), None) => {
            checks.refuse("spec.pipelineRef", format!("there is no Pipeline `{}`", name.name), "");
            Vec::new()
        }
        (Some(_), Some(_), _) | (None, None, _) => {
            checks.refuse("spec", "a run has either stages or pipelineRef", "");
            Vec::new()
        }
    };
    let mut spec = RunSpec {
        stages,
        targets: targets(run.targets.as_ref(), &mut checks),
        undefined_dependencies: run.undefined_dependencies.into(),
        failure_policy: run.failure_policy.into(),
        ..RunSpec::default()
    };
    objects::add_inline(run.objects.as_deref().unwrap_or_default(), &mut spec, &mut checks);
    let (mut warnings, mut room) = (Vec::new(), Room::default());
    for chunk in chunks {
        warnings.extend(objects::add_chunk(chunk, &mut room, &mut spec, &mut checks));
        if room.is_spent() {
            break;
        }
    }
    if !room.is_spent() && chunks.len() != run.objects_from.as_ref().map_or(0, Vec::len) {
        checks.refuse("spec.objectsFrom", "not every ConfigMap was fetched", "");
    }
    checks.finish(Converted { spec, warnings })
}

/// What is wrong with the name of a PipelineRun or Pipeline.
pub fn check_name(name: &str) -> Option<Finding> {
    let problem = || format!("`{name}` is no DNS label of at most {MAX_NAME} characters");
    let remedy = "use lower-case letters, digits and inner dashes";
    (!id::is_dns_label(name, MAX_NAME))
        .then(|| Finding::new(FindingKind::InvalidName, "metadata.name", problem(), remedy))
}

/// What is wrong with the size of `spec.objects` in a cluster; a local run takes any.
pub fn check_inline_size(run: &PipelineRunSpec) -> Option<Finding> {
    let bytes =
        run.objects.as_ref().map_or(0, |objects| serde_json::to_string(objects).map_or(0, |text| text.len()));
    let problem = || {
        format!("{} KiB of JSON, at most {} KiB fit into the resource", bytes >> 10, MAX_INLINE_BYTES >> 10)
    };
    let remedy = "`orch convert` and `orch submit` write objects into ConfigMaps that objectsFrom names";
    (bytes > MAX_INLINE_BYTES).then(|| Finding::new(FindingKind::TooLarge, "spec.objects", problem(), remedy))
}

impl PipelineRunSpec {
    /// `spec.timeout` in milliseconds.
    pub fn timeout_ms(&self) -> Option<Millis> {
        self.timeout.as_ref().and_then(|timeout| timeout.millis().ok())
    }
}

impl StageSpec {
    /// Whether the work is left to somebody else's program: a topic and no Deployment.
    pub fn is_external(&self) -> bool {
        self.processor.external.is_some()
    }

    /// Partitions of the stage's topic.
    pub fn partitions(&self) -> u16 {
        let of_workers = || u16::try_from(self.worker_policy().max_replicas).unwrap_or(u16::MAX);
        self.partitions.unwrap_or_else(of_workers)
    }

    /// How many workers of which width.
    pub fn worker_policy(&self) -> core::WorkerPolicy {
        self.worker.as_ref().map(WorkerSpec::policy).unwrap_or_default()
    }

    /// The same without what the pods of its workers look like.
    pub(crate) fn without_pods(&self) -> Self {
        let bare = |worker: &WorkerSpec| WorkerSpec {
            resources: None,
            env: Vec::new(),
            pod_template: None,
            ..worker.clone()
        };
        Self { worker: self.worker.as_ref().map(bare), ..self.clone() }
    }
}

impl PipelineRun {
    /// The stages of its Pipeline: as the run found them when it began, else as the Pipeline has them now. Without what
    /// the pods look like, which is no concern of a run: see [`Pipeline::check_pods`].
    pub fn shared_stages(&self, pipeline: Option<&Pipeline>) -> Result<Option<Vec<StageSpec>>, Finding> {
        match self.status.as_ref().and_then(|status| status.pipeline.as_ref()) {
            Some(pinned) => pinned.stages().map(Some),
            None => {
                Ok(pipeline
                    .map(|pipeline| pipeline.spec.stages.iter().map(StageSpec::without_pods).collect()))
            }
        }
    }
}

impl Pipeline {
    /// What is wrong with the pod templates.
    pub fn check_pods(&self) -> Vec<Finding> {
        let templates = self.spec.stages.iter().enumerate().filter_map(|(i, stage)| {
            let place = format!("Pipeline.spec.stages[{i}].worker");
            stage.worker.as_ref()?.pod_template(&place).err()
        });
        templates.flatten().collect()
    }
}

impl From<UndefinedDependencies> for core::UndefinedPolicy {
    fn from(policy: UndefinedDependencies) -> Self {
        match policy {
            UndefinedDependencies::Reject => Self::Reject,
            UndefinedDependencies::AssumeLoaded => Self::AssumeLoaded,
            UndefinedDependencies::Run => Self::Run,
        }
    }
}

impl From<FailurePolicy> for core::FailurePolicy {
    fn from(policy: FailurePolicy) -> Self {
        match policy {
            FailurePolicy::ContinueIndependent => Self::ContinueIndependent,
            FailurePolicy::FailFast => Self::FailFast,
        }
    }
}

/// Rules of the spec that no part of it shows alone.
fn check_run(run: &PipelineRunSpec, checks: &mut Checks) {
    if run.objects.is_none() && run.objects_from.is_none() {
        checks.refuse("spec", "a run has objects or objectsFrom", "");
    }
    let of_own_topics = run.kafka.is_some() || run.topics.is_some() || run.deletion_policy.is_some();
    if run.pipeline_ref.is_some() && of_own_topics {
        let problem = "kafka, topics and deletionPolicy are the Pipeline's";
        checks.refuse("spec", problem, "leave them out with pipelineRef");
    }
    checks.timeout(&"spec", "timeout", run.timeout.as_ref());
    if run.max_in_flight == Some(0) {
        checks.refuse("spec.maxInFlight", "with 0 nothing would ever start", "leave it out for no limit");
    }
}

fn targets(targets: Option<&TargetsSpec>, checks: &mut Checks) -> core::Targets {
    match targets.map(|targets| (&targets.ids, &targets.stage)) {
        None => core::Targets::All,
        Some((Some(ids), None)) => core::Targets::Ids(ids.clone()),
        Some((None, Some(stage))) => core::Targets::Stage(stage.clone()),
        Some((Some(_), Some(_)) | (None, None)) => {
            checks.refuse("spec.targets", "targets is exactly one of ids and stage", "");
            core::Targets::All
        }
    }
}
