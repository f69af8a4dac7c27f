//! Finds the stage of each object: its own, else the range of its numeric id, else the only stage there is.

use std::collections::HashMap;

use super::ids::Ids;
use super::links::Links;
use super::report::{Checks, Report, Section};
use crate::finding::{Finding, FindingKind};
use crate::id::{ObjectId, StageIx};
use crate::spec::{RunSpec, StageSpec, UndefinedPolicy};

/// The stage of each object, in plan order. With a finding in the report some are stage 0 for want of another.
pub(super) fn all(spec: &RunSpec, ids: &Ids, links: &Links, report: &mut Report) -> Vec<StageIx> {
    let by = Router::new(&spec.stages);
    let mut checks = Checks::default();
    let mut routes = Vec::with_capacity(ids.names.len());
    for (i, object) in spec.objects.iter().enumerate() {
        let found = match &object.stage {
            Some(name) => by.by_name(name),
            None => by.by_id(&ids.names[i]),
        };
        routes.push(found.unwrap_or(StageIx(0)));
        // Without stages there is a finding already, and not one for each object.
        if found.is_none() && !spec.stages.is_empty() {
            checks.push(Section::Object(i), || {
                let source = spec.source_of(object);
                let place = source.id(object.position);
                match &object.stage {
                    Some(name) => by.no_such_stage(place, &object.id, name),
                    None => by.no_route(place, &object.id),
                }
            });
        }
    }
    for (unknown, id) in links.undefined.iter().zip(&ids.names[spec.objects.len()..]) {
        let found = by.by_id(id);
        routes.push(found.unwrap_or(StageIx(0)));
        if found.is_none() && spec.undefined_dependencies == UndefinedPolicy::Run && !spec.stages.is_empty() {
            let dependant = unknown.first_dependant();
            checks.push(Section::Object(dependant), || by.no_route(unknown.place(spec), id.as_str()));
        }
    }
    report.add(checks);
    routes
}

struct Router<'s> {
    stages: &'s [StageSpec],
    names: HashMap<&'s str, StageIx>,
}

impl<'s> Router<'s> {
    fn new(stages: &'s [StageSpec]) -> Self {
        let names =
            stages.iter().enumerate().map(|(at, stage)| (stage.name.as_str(), StageIx(at as u16))).collect();
        Self { stages, names }
    }

    fn by_name(&self, name: &str) -> Option<StageIx> {
        self.names.get(name).copied()
    }

    fn by_id(&self, id: &ObjectId) -> Option<StageIx> {
        if let [only] = self.stages
            && only.id_range.is_none()
        {
            return Some(StageIx(0));
        }
        let number = id.number()?;
        let takes =
            |stage: &StageSpec| stage.id_range.is_some_and(|(from, to)| (from..=to).contains(&number));
        self.stages.iter().position(takes).map(|at| StageIx(at as u16))
    }

    fn no_such_stage(&self, place: String, id: &str, name: &str) -> Finding {
        let names: Vec<String> = self.stages.iter().map(|stage| format!("`{}`", stage.name)).collect();
        let problem = format!("`{id}` names the stage `{name}`, which does not exist");
        Finding::new(FindingKind::NoRoute, place, problem, format!("the stages are {}", names.join(", ")))
    }

    fn no_route(&self, place: String, id: &str) -> Finding {
        let ranges: Vec<String> = self
            .stages
            .iter()
            .filter_map(|stage| {
                stage.id_range.map(|(from, to)| format!("`{}` takes {from} to {to}", stage.name))
            })
            .collect();
        let remedy = if ranges.is_empty() {
            "give it a `stage`; no stage has an `idRange`".to_owned()
        } else {
            format!("give it a `stage` or an id in a range: {}", ranges.join(", "))
        };
        Finding::new(FindingKind::NoRoute, place, format!("no stage takes `{id}`"), remedy)
    }
}
