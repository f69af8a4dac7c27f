//! Collects the findings of several checks and puts them in the order of their places.

use crate::finding::{Finding, FindingKind, Findings};

/// What part of the spec a finding is about; the order is that of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    Stages,
    /// The object at this position of the spec.
    Object(usize),
    Targets,
}

/// The findings of one check, which walks over the spec in order: therefore the first ones are those that a report
/// keeps, and the rest is only counted.
#[derive(Debug, Default)]
pub(super) struct Checks {
    listed: Vec<(Section, Finding)>,
    more: usize,
}

impl Checks {
    pub(super) fn push(&mut self, section: Section, finding: impl FnOnce() -> Finding) {
        if self.listed.len() < Findings::LISTED {
            self.listed.push((section, finding()));
        } else {
            self.more += 1;
        }
    }
}

/// The findings of all checks.
#[derive(Debug, Default)]
pub(super) struct Report {
    listed: Vec<(Section, Finding)>,
    more: usize,
}

impl Report {
    pub(super) fn add(&mut self, checks: Checks) {
        self.listed.extend(checks.listed);
        self.more += checks.more;
    }

    pub(super) fn push(&mut self, section: Section, finding: impl FnOnce() -> Finding) {
        self.listed.push((section, finding()));
    }

    /// An error when anything was found.
    pub(super) fn into_result(mut self) -> Result<(), Vec<Finding>> {
        // Stable: of one object, the findings stay in the order of the checks.
        self.listed.sort_by_key(|(section, _)| *section);
        let mut findings = Findings::default();
        for (_, finding) in self.listed {
            findings.push(|| finding);
        }
        findings.add_unlisted(self.more);
        findings.or(())
    }
}

/// A finding of a stage's field.
pub(super) fn stage_finding(
    kind: FindingKind,
    at: usize,
    field: &str,
    problem: String,
    remedy: &str,
) -> Finding {
    Finding::new(kind, format!("spec.stages[{at}].{field}"), problem, remedy)
}
