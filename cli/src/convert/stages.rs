//! Stages as a resource writes them; what is the default is left out.

use orch_core::spec::{RetryPolicy, StageSpec, Timeouts, WorkerPolicy};
use orch_crds::stage::{self, IdRange, RetrySpec, TimeoutsSpec, WorkerSpec};

use super::entry::duration;
use super::not_json;
use crate::error::CliError;

/// All stages.
pub(super) fn all(stages: &[StageSpec]) -> Result<Vec<stage::StageSpec>, CliError> {
    stages.iter().map(stage).collect()
}

fn stage(spec: &StageSpec) -> Result<stage::StageSpec, CliError> {
    let processor: stage::ProcessorSpec =
        serde_json::from_str(&spec.processor).map_err(|error| not_json(&error))?;
    let is_external = processor.external.is_some();
    Ok(stage::StageSpec {
        name: spec.name.clone(),
        id_range: spec.id_range.map(|(from, to)| IdRange { from, to }),
        processor,
        worker: (!is_external && spec.worker != WorkerPolicy::default()).then(|| worker(spec.worker)),
        partitions: (u32::from(spec.partitions) != spec.worker.max_replicas).then_some(spec.partitions),
        retry: retry(spec.retry),
        timeouts: timeouts(spec.timeouts),
    })
}

fn worker(policy: WorkerPolicy) -> WorkerSpec {
    WorkerSpec {
        concurrency: policy.concurrency,
        min_replicas: policy.min_replicas,
        max_replicas: policy.max_replicas,
        idle_seconds: policy.idle_seconds,
        ..WorkerSpec::default()
    }
}

fn retry(policy: RetryPolicy) -> Option<RetrySpec> {
    let spec = || RetrySpec {
        max_attempts: Some(policy.max_attempts),
        initial_delay: Some(duration(policy.initial_delay_ms).as_str().into()),
        factor: Some(policy.factor),
        max_delay: Some(duration(policy.max_delay_ms).as_str().into()),
        jitter: Some(policy.jitter),
    };
    (policy != RetryPolicy::default()).then(spec)
}

fn timeouts(timeouts: Timeouts) -> Option<TimeoutsSpec> {
    let text = |ms| duration(ms).as_str().into();
    let spec = || TimeoutsSpec {
        queue: timeouts.queue_ms.map(text),
        run: timeouts.run_ms.map(text),
        heartbeat: Some(text(timeouts.heartbeat_ms)),
    };
    (timeouts != Timeouts::default()).then(spec)
}
