//! Findings as a condition tells them. Pure.

use orch_core::finding::Finding;
use orch_crds::condition::graph_valid;

/// Findings that a condition names; the rest is counted.
const SHOWN: usize = 20;

/// The reason of `GraphValid`, and the text.
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
