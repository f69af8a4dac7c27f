//! The last look at the raw spec: either a plan, or everything that is wrong with it. Pure.

use orch_core::finding::Finding;
use orch_core::plan::{RunPlan, plan};
use orch_crds::PipelineRun;
use orch_crds::conversion::{check_inline_size, run_spec};

use super::observe::Observed;

/// Checks what was observed.
pub(crate) fn validate(run: &PipelineRun, observed: &Observed) -> Result<RunPlan, Vec<Finding>> {
    if let Some(too_large) = check_inline_size(&run.spec) {
        return Err(vec![too_large]);
    }
    let converted = run_spec(&run.spec, observed.stages.as_deref(), &observed.chunks)?;
    let mut plan = plan(converted.spec)?;
    plan.warnings.splice(0..0, converted.warnings);
    Ok(plan)
}
