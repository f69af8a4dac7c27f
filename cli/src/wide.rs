//! Every object of a run as a line: `orch status -o wide`. Pure.

use std::collections::HashMap;

use orch_core::engine::ObjectPhase;
use orch_core::id::ObjectIx;
use orch_core::plan::RunPlan;
use orch_core::why::word;
use orch_crds::status::{ObjectStatus, PipelineRunStatus};

use crate::phases::Phases;
use crate::printer::{Paint, Tone};
use crate::report::{duration_of, took};
use crate::table::{Cell, render};

const HEADS: [&str; 8] = ["ID", "NAME", "STAGE", "PHASE", "ATTEMPT", "TOOK", "WORKER", "WHY"];

/// The objects that a target needs, in plan order. Of a large run the status has the phase of each, and details only
/// of those that need a person.
pub(crate) fn table(plan: &RunPlan, status: &PipelineRunStatus, phases: &Phases, paint: Paint) -> String {
    let details: HashMap<&str, &ObjectStatus> =
        status.objects.iter().map(|object| (object.id.as_str(), object)).collect();
    let mut rows = vec![HEADS.map(|head| Cell::text(head).tone(Tone::Faint)).to_vec()];
    for ix in plan.indices().filter(|ix| plan.is_needed(*ix)) {
        let detail = details.get(plan.object(ix).id.as_str()).copied();
        rows.push(row(plan, ix, phases.of(ix), detail));
    }
    render(&rows, paint)
}

fn row(plan: &RunPlan, ix: ObjectIx, phase: Option<ObjectPhase>, detail: Option<&ObjectStatus>) -> Vec<Cell> {
    let object = plan.object(ix);
    let attempt = detail.map_or(0, |detail| detail.attempt);
    let worker = detail.and_then(|detail| detail.worker.as_deref()).unwrap_or_default();
    vec![
        Cell::text(object.id.as_str()),
        Cell::text(object.name.as_deref().unwrap_or_default()),
        Cell::text(plan.stage_of(ix).name.as_str()),
        phase
            .and_then(tone)
            .map_or_else(|| Cell::text(word(phase)), |tone| Cell::text(word(phase)).tone(tone)),
        Cell::right(if attempt > 0 { attempt.to_string() } else { String::new() }),
        Cell::right(detail.and_then(duration_of).map(took).unwrap_or_default()),
        Cell::text(worker).tone(Tone::Faint),
        Cell::text(detail.map(why).unwrap_or_default()),
    ]
}

fn why(detail: &ObjectStatus) -> String {
    match (&detail.root_cause, &detail.reason, &detail.message) {
        (Some(cause), ..) => format!("{cause} failed"),
        (None, Some(reason), Some(message)) => format!("{reason}: {message}"),
        (None, Some(reason), None) => reason.clone(),
        (None, None, _) => String::new(),
    }
}

/// The colour of a phase.
pub(crate) fn tone(phase: ObjectPhase) -> Option<Tone> {
    match phase {
        ObjectPhase::Loaded => Some(Tone::Good),
        ObjectPhase::Failed => Some(Tone::Bad),
        ObjectPhase::Blocked | ObjectPhase::Retrying | ObjectPhase::Cancelled => Some(Tone::Caution),
        ObjectPhase::Pruned
        | ObjectPhase::Pending
        | ObjectPhase::Ready
        | ObjectPhase::Queued
        | ObjectPhase::Running => None,
    }
}
