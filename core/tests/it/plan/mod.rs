//! The checks between objects. `refusals`: what is refused, and with which words; `rules`: what a plan says, from
//! routing to the digest; `properties`: random specs.

mod properties;
mod refusals;
mod rules;

use orch_core::plan::{RunPlan, plan};
use orch_core::spec::{ObjectSpec, RunSpec, Source, SourceForm, StageSpec};

/// `a; b@stage: a c; c`: objects with their stage and their dependencies. Stages are those that are named, and `work`
/// when none is.
fn spec(text: &str) -> RunSpec {
    let mut spec = RunSpec { sources: vec![Source::new("o", SourceForm::Objects)], ..RunSpec::default() };
    for (position, entry) in (0..).zip(text.split(';').map(str::trim).filter(|entry| !entry.is_empty())) {
        let (head, parents) = entry.split_once(':').unwrap_or((entry, ""));
        let (id, stage) = match head.trim().split_once('@') {
            Some((id, stage)) => (id, Some(stage.to_owned())),
            None => (head.trim(), None),
        };
        if let Some(name) = &stage
            && !spec.stages.iter().any(|known| known.name == *name)
        {
            spec.stages.push(stage_of(name, None));
        }
        spec.objects.push(ObjectSpec {
            position,
            id: id.to_owned(),
            stage,
            depends_on: parents.split_whitespace().map(str::to_owned).collect(),
            entry: format!("{{\"id\":{id:?}}}"),
            ..ObjectSpec::default()
        });
    }
    if spec.stages.is_empty() {
        spec.stages.push(stage_of("work", None));
    }
    spec
}

fn stage_of(name: &str, id_range: Option<(u64, u64)>) -> StageSpec {
    StageSpec {
        name: name.to_owned(),
        id_range,
        processor: r#"{"simulate":{}}"#.to_owned(),
        worker: orch_core::spec::WorkerPolicy::default(),
        partitions: 4,
        retry: orch_core::spec::RetryPolicy::default(),
        timeouts: orch_core::spec::Timeouts::default(),
    }
}

fn planned(text: &str, change: impl FnOnce(&mut RunSpec)) -> RunPlan {
    let mut spec = spec(text);
    change(&mut spec);
    plan(spec).unwrap()
}

/// All findings of the spec after a change, one a line.
#[track_caller]
fn check_refused(text: &str, change: impl FnOnce(&mut RunSpec), expected: &str) {
    let mut spec = spec(text);
    change(&mut spec);
    let findings = plan(spec).expect_err("the plan was accepted");
    let lines: Vec<String> =
        findings.iter().map(|finding| format!("{} {finding}", finding.kind.reason())).collect();
    assert_eq!(lines.join("\n"), expected);
}
