//! The graph of a run as text: for people (`ascii`), Graphviz (`dot`), Mermaid and programs (`json`). All of them draw
//! the reduced graph: the objects that a target needs, with ids that nobody defined counted once each. Pure.

mod ascii;
mod dot;
mod json;
mod mermaid;

use std::borrow::Cow;

use orch_core::engine::ObjectPhase;
use orch_core::graph::Order;
use orch_core::id::ObjectIx;
use orch_core::plan::RunPlan;

use crate::args::GraphFormat;
use crate::phases::Phases;

/// The graph of a run, and how far each object has come where that is known.
#[derive(Debug)]
pub(crate) struct Drawing<'p> {
    name: &'p str,
    plan: &'p RunPlan,
    /// How far its objects are; `None` of a graph that was not run.
    phases: Option<&'p Phases>,
}

impl<'p> Drawing<'p> {
    /// The graph of the run `name`.
    pub(crate) fn new(name: &'p str, plan: &'p RunPlan, phases: Option<&'p Phases>) -> Self {
        Self { name, plan, phases }
    }

    /// The text in this format.
    pub(crate) fn text(&self, format: GraphFormat) -> String {
        match format {
            GraphFormat::Ascii => ascii::draw(self),
            GraphFormat::Dot => dot::draw(self),
            GraphFormat::Mermaid => mermaid::draw(self),
            GraphFormat::Json => json::draw(self),
        }
    }

    /// The objects in plan order.
    fn nodes(&self) -> impl Iterator<Item = ObjectIx> + use<'_> {
        self.plan.indices().filter(|ix| self.plan.is_needed(*ix))
    }

    /// The dependencies as (dependency, dependant), by dependency.
    fn edges(&self) -> impl Iterator<Item = (ObjectIx, ObjectIx)> + use<'_> {
        // What a needed object depends on is needed too.
        self.nodes().flat_map(|from| {
            let dependants = self.plan.graph.dependants(from).iter();
            dependants.filter(|to| self.plan.is_needed(**to)).map(move |to| (from, *to))
        })
    }

    fn id(&self, ix: ObjectIx) -> &str {
        self.plan.object(ix).id.as_str()
    }

    fn label(&self, ix: ObjectIx) -> Cow<'_, str> {
        self.plan.label(ix)
    }

    /// The name that the user gave it; a label is there always.
    fn name(&self, ix: ObjectIx) -> Option<&str> {
        self.plan.object(ix).name.as_deref()
    }

    fn stage(&self, ix: ObjectIx) -> &str {
        self.plan.stage_of(ix).name.as_str()
    }

    fn phase(&self, ix: ObjectIx) -> Option<ObjectPhase> {
        self.phases.and_then(|phases| phases.of(ix))
    }

    /// The needed objects level by level, from those without dependencies on.
    fn levels(&self) -> Vec<Vec<ObjectIx>> {
        let order = Order::of(&self.plan.graph);
        let needed =
            |level: &[ObjectIx]| level.iter().copied().filter(|ix| self.plan.is_needed(*ix)).collect();
        let levels = order.levels().map(needed);
        levels.filter(|level: &Vec<ObjectIx>| !level.is_empty()).collect()
    }
}

/// What a drawing may be coloured by.
fn colour(phase: ObjectPhase) -> Option<&'static str> {
    match phase {
        ObjectPhase::Pruned | ObjectPhase::Pending => None,
        ObjectPhase::Ready | ObjectPhase::Queued => Some("#dbeafe"),
        ObjectPhase::Running => Some("#93c5fd"),
        ObjectPhase::Retrying => Some("#fde68a"),
        ObjectPhase::Loaded => Some("#bbf7d0"),
        ObjectPhase::Failed => Some("#fca5a5"),
        ObjectPhase::Blocked => Some("#fed7aa"),
        ObjectPhase::Cancelled => Some("#e5e7eb"),
    }
}
