//! The last look at the raw spec: either a plan, or everything that is wrong with it. Pure.

use orch_core::finding::Finding;
use orch_core::plan::{RunPlan, plan};
use orch_crds::PipelineRun;
use orch_crds::condition::graph_valid;
use orch_crds::conversion::{check_inline_size, run_spec};

use super::observe::Observed;

/// Findings that a condition names; the rest is counted.
const SHOWN: usize = 20;

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

/// Findings as a condition tells them: the reason, and the text.
pub(crate) fn describe(findings: &[Finding]) -> (&'static str, String) {
    let first = findings.first().map_or(graph_valid::INVALID, |finding| finding.kind.reason());
    let one_kind = findings.iter().all(|finding| finding.kind.reason() == first);
    (if one_kind { first } else { graph_valid::INVALID }, list(findings))
}

/// Findings, one a line.
pub(crate) fn list(findings: &[Finding]) -> String {
    let mut lines: Vec<String> = findings.iter().take(SHOWN).map(ToString::to_string).collect();
    if findings.len() > SHOWN {
        lines.push(format!("and {} more: `orch validate` lists all", findings.len() - SHOWN));
    }
    lines.join("\n")
}
