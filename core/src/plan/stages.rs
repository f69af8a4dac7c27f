//! Checks the stages: names, ranges, policies.

use std::borrow::Cow;

use super::StagePlan;
use super::ids::json_findings;
use super::report::{Checks, Report, Section, stage_finding};
use crate::finding::{Finding, FindingKind};
use crate::id::StageName;
use crate::limits;
use crate::spec::{RetryPolicy, StageSpec, Timeouts};

/// The checked stages. With a finding in the report the list may be shorter than that of the spec.
pub(super) fn check(specs: &[StageSpec], report: &mut Report) -> Vec<StagePlan> {
    let mut checks = Checks::default();
    let mut stages = Vec::with_capacity(specs.len());
    if specs.is_empty() || specs.len() > limits::STAGES {
        checks.push(Section::Stages, || {
            let problem = format!("a run has 1 to {} stages, this one has {}", limits::STAGES, specs.len());
            let remedy = if specs.is_empty() { "" } else { "let objects of one kind of work share a stage" };
            Finding::new(FindingKind::Malformed, "spec.stages", problem, remedy)
        });
    }
    for (at, spec) in specs.iter().enumerate().take(limits::STAGES) {
        let mut add = |kind, field: &str, problem: String, remedy: &str| {
            checks.push(Section::Stages, || stage_finding(kind, at, field, problem, remedy));
        };
        match StageName::parse(&spec.name) {
            Ok(name) => stages.push(StagePlan {
                name,
                processor: spec.processor.clone(),
                worker: spec.worker,
                partitions: spec.partitions,
            }),
            Err(error) => add(FindingKind::InvalidName, "name", error.to_string(), ""),
        }
        if let Some(first) = specs[..at].iter().position(|other| other.name == spec.name) {
            let problem = format!("stage `{}` is defined again; first at spec.stages[{first}]", spec.name);
            add(FindingKind::Duplicate, "name", problem, "");
        }
        if let Some((problem, remedy)) = range_fault(specs, at) {
            add(FindingKind::Malformed, "idRange", problem, remedy);
        }
        if let Some(problem) = policy_fault(spec.retry, spec.timeouts).or_else(|| worker_fault(spec)) {
            add(FindingKind::Malformed, "name", format!("stage `{}`: {problem}", spec.name), "");
        }
        for finding in json_findings(&format!("spec.stages[{at}]"), "processor", &spec.processor) {
            checks.push(Section::Stages, || finding);
        }
    }
    report.add(checks);
    stages
}

/// What is wrong with the id range of a stage, alone or beside an earlier one.
fn range_fault(specs: &[StageSpec], at: usize) -> Option<(String, &'static str)> {
    let (from, to) = specs[at].id_range?;
    if from > to {
        return Some((format!("the range {from} to {to} is empty"), "`from` is the lower end"));
    }
    let overlaps = |other: &&StageSpec| other.id_range.is_some_and(|(low, high)| low <= to && from <= high);
    let other = specs[..at].iter().find(overlaps)?;
    let problem = format!("the range {from} to {to} overlaps that of stage `{}`", other.name);
    Some((problem, "a numeric id must have one stage"))
}

/// What is wrong with a retry policy or timeouts.
pub(super) fn policy_fault(retry: RetryPolicy, timeouts: Timeouts) -> Option<Cow<'static, str>> {
    let too_small = |ms: Option<i64>| ms.is_some_and(|ms| ms <= 0);
    let faults = [
        (retry.max_attempts == 0, "`maxAttempts` is at least 1"),
        (retry.initial_delay_ms < 0 || retry.max_delay_ms < 0, "a delay is not negative"),
        (!(retry.factor.is_finite() && retry.factor >= 1.0), "`factor` is at least 1"),
        (!(0.0..=1.0).contains(&retry.jitter), "`jitter` lies between 0 and 1"),
        (too_small(timeouts.queue_ms), "the `queue` timeout is longer than 0"),
        (too_small(timeouts.run_ms), "the `run` timeout is longer than 0"),
        (timeouts.heartbeat_ms <= 0, "the `heartbeat` is longer than 0"),
    ];
    let bounds = [
        ("maxAttempts", f64::from(retry.max_attempts), f64::from(limits::ATTEMPTS)),
        ("factor", retry.factor, limits::BACKOFF_FACTOR),
    ];
    first_fault(&faults, &bounds)
}

fn worker_fault(spec: &StageSpec) -> Option<Cow<'static, str>> {
    let faults = [
        (spec.worker.concurrency == 0, "`concurrency` is at least 1"),
        (spec.worker.max_replicas == 0, "`maxReplicas` is at least 1"),
        (spec.worker.min_replicas > spec.worker.max_replicas, "`minReplicas` is at most `maxReplicas`"),
        (spec.partitions == 0, "`partitions` is at least 1"),
    ];
    let bounds = [
        ("concurrency", f64::from(spec.worker.concurrency), f64::from(limits::CONCURRENCY)),
        ("maxReplicas", f64::from(spec.worker.max_replicas), f64::from(limits::REPLICAS)),
        ("partitions", f64::from(spec.partitions), f64::from(limits::PARTITIONS)),
    ];
    first_fault(&faults, &bounds)
}

/// The first of the faults that were found, or of the fields that are larger than they may be.
fn first_fault(faults: &[(bool, &'static str)], bounds: &[(&str, f64, f64)]) -> Option<Cow<'static, str>> {
    let fault = faults.iter().find(|(found, _)| *found).map(|(_, problem)| Cow::Borrowed(*problem));
    let beyond = || bounds.iter().find(|(_, value, most)| value > most);
    fault.or_else(|| {
        beyond().map(|(field, value, most)| format!("`{field}` is at most {most}, not {value}").into())
    })
}
