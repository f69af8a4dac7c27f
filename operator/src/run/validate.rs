//! The last look at the raw spec: either a plan, or everything that is wrong with it. Pure.

use orch_core::finding::Finding;
use orch_core::plan::{RunPlan, plan};
use orch_crds::PipelineRun;
use orch_crds::chunk::Chunk;
use orch_crds::conversion::{check_inline_size, run_spec};
use orch_crds::stage::StageSpec;

/// Checks what was read.
pub(super) fn validate(
    run: &PipelineRun,
    stages: Option<&[StageSpec]>,
    chunks: &[Chunk],
) -> Result<RunPlan, Vec<Finding>> {
    if let Some(too_large) = check_inline_size(&run.spec) {
        return Err(vec![too_large]);
    }
    let converted = run_spec(&run.spec, stages, chunks)?;
    let mut plan = plan(converted.spec)?;
    plan.warnings.splice(0..0, converted.warnings);
    Ok(plan)
}
