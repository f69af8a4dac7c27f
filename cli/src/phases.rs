//! How far the objects of a run have come: what its phase map says, and where that cannot be read what it lists of single
//! objects. What nothing says is unknown, and never taken for a phase. Pure.

use std::collections::HashMap;

use orch_core::counted;
use orch_core::engine::ObjectPhase;
use orch_core::id::ObjectIx;
use orch_core::plan::RunPlan;
use orch_crds::status::{self, PhaseMap, PipelineRunStatus, RunPhase};

/// The phases of the objects of a plan.
#[derive(Debug)]
pub(crate) struct Phases {
    known: Vec<Option<ObjectPhase>>,
    /// Why the phase map says nothing.
    problem: Option<String>,
}

impl Phases {
    /// What the status says. A run without one has not begun.
    pub(crate) fn new(plan: &RunPlan, status: Option<&PipelineRunStatus>) -> Self {
        let begun = status.filter(|status| status.phase != RunPhase::Pending || status.phase_map.is_some());
        let Some(status) = begun else {
            return Self { known: plan.indices().map(|ix| of_plan(plan, ix, true)).collect(), problem: None };
        };
        let (letters, problem) = match letters(status.phase_map.as_ref(), plan.objects.len()) {
            Ok(letters) => (letters, None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        let listed: HashMap<&str, ObjectPhase> =
            status.objects.iter().map(|object| (object.id.as_str(), of_status(object.phase))).collect();
        let known = plan.indices().map(|ix| {
            let letter = letters.get(ix.usize()).and_then(|letter| ObjectPhase::from_letter(*letter));
            let listed = || listed.get(plan.object(ix).id.as_str()).copied();
            letter.or_else(listed).or_else(|| of_plan(plan, ix, false))
        });
        Self { known: known.collect(), problem }
    }

    /// The phase of an object, where something says it.
    pub(crate) fn of(&self, ix: ObjectIx) -> Option<ObjectPhase> {
        self.all().get(ix.usize()).copied().flatten()
    }

    /// All of them, in plan order.
    pub(crate) fn all(&self) -> &[Option<ObjectPhase>] {
        &self.known
    }

    /// What a reader should know: which phases are missing, and why.
    pub(crate) fn note(&self) -> Option<String> {
        let unknown = self.known.iter().filter(|phase| phase.is_none()).count();
        let listed = "what `status.objects` lists is shown";
        match (&self.problem, unknown) {
            (None, 0) => None,
            (None, _) => {
                let objects = counted(unknown, "object");
                Some(format!(
                    "note: the phaseMap has letters that are not known here: the phase of {objects} is unknown; use a newer orch"
                ))
            }
            (Some(problem), 0) => Some(format!("note: {problem}; {listed}")),
            (Some(problem), _) => {
                let objects = counted(unknown, "object");
                Some(format!("note: {problem}; {listed}, the phase of {objects} is unknown"))
            }
        }
    }
}

/// The letters of a map that is there and fits the graph.
fn letters(map: Option<&PhaseMap>, objects: usize) -> Result<Vec<u8>, String> {
    let map = map.ok_or("the status has no phaseMap")?;
    let letters = map.decode().map_err(|error| error.to_string())?.into_bytes();
    match letters.len() {
        count if count == objects => Ok(letters),
        count => Err(format!(
            "the phaseMap is that of another graph: it has {}, this graph {objects}",
            counted(count, "object")
        )),
    }
}

/// What the graph alone says of an object: of one that a target needs nothing but that it is pending before the run.
fn of_plan(plan: &RunPlan, ix: ObjectIx, before: bool) -> Option<ObjectPhase> {
    if !plan.is_needed(ix) {
        return Some(ObjectPhase::Pruned);
    }
    before.then_some(ObjectPhase::Pending)
}

fn of_status(phase: status::ObjectPhase) -> ObjectPhase {
    match phase {
        status::ObjectPhase::Pending => ObjectPhase::Pending,
        status::ObjectPhase::Ready => ObjectPhase::Ready,
        status::ObjectPhase::Queued => ObjectPhase::Queued,
        status::ObjectPhase::Running => ObjectPhase::Running,
        status::ObjectPhase::Retrying => ObjectPhase::Retrying,
        status::ObjectPhase::Loaded => ObjectPhase::Loaded,
        status::ObjectPhase::Failed => ObjectPhase::Failed,
        status::ObjectPhase::Blocked => ObjectPhase::Blocked,
        status::ObjectPhase::Cancelled => ObjectPhase::Cancelled,
    }
}
