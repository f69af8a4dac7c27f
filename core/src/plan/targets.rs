//! Resolves what must be loaded.

use super::ids::Ids;
use super::report::{Checks, Report, Section};
use crate::finding::{Finding, FindingKind};
use crate::id::{ObjectIx, StageIx};
use crate::spec::{RunSpec, Targets};

/// The objects that the run is for.
pub(super) fn resolve(spec: &RunSpec, ids: &Ids, routes: &[StageIx], report: &mut Report) -> Vec<ObjectIx> {
    match &spec.targets {
        Targets::All => (0..ids.names.len() as u32).map(ObjectIx).collect(),
        Targets::Stage(name) => of_stage(spec, name, routes, report),
        Targets::Ids(wanted) => of_ids(wanted, ids, report),
    }
}

/// The defined objects of a stage: one that nobody defined is run because another needs it, never for itself.
fn of_stage(spec: &RunSpec, name: &str, routes: &[StageIx], report: &mut Report) -> Vec<ObjectIx> {
    let mut finding = |problem: String, remedy: &str| {
        report.push(Section::Targets, || {
            Finding::new(FindingKind::UnknownTarget, "spec.targets.stage", problem, remedy)
        });
    };
    let Some(at) = spec.stages.iter().position(|stage| stage.name == name) else {
        let names: Vec<String> = spec.stages.iter().map(|stage| format!("`{}`", stage.name)).collect();
        let remedy = format!("the stages are {}", names.join(", "));
        finding(format!("there is no stage `{name}`"), &remedy);
        return Vec::new();
    };
    let targets: Vec<ObjectIx> =
        (0..spec.objects.len() as u32).map(ObjectIx).filter(|ix| routes[ix.usize()].usize() == at).collect();
    if targets.is_empty() && !spec.objects.is_empty() {
        let problem = format!("stage `{name}` has no object, so that nothing would run");
        finding(problem, "add one, or choose other targets");
    }
    targets
}

fn of_ids(wanted: &[String], ids: &Ids, report: &mut Report) -> Vec<ObjectIx> {
    let mut checks = Checks::default();
    if wanted.is_empty() {
        checks.push(Section::Targets, || {
            let problem = "the list of targets is empty, so that nothing would run";
            Finding::new(
                FindingKind::UnknownTarget,
                "spec.targets.ids",
                problem,
                "leave `targets` out for every object",
            )
        });
    }
    let mut targets = Vec::with_capacity(wanted.len());
    for (nth, id) in wanted.iter().enumerate() {
        match ids.find(id) {
            Some(at) => targets.push(ObjectIx(at)),
            None => checks.push(Section::Targets, || {
                let place = format!("spec.targets.ids[{nth}]");
                Finding::new(FindingKind::UnknownTarget, place, format!("there is no object `{id}`"), "")
            }),
        }
    }
    report.add(checks);
    targets
}
