//! Which failure blocks an object: the nearest one, and of several as near the first in plan order. It follows from the
//! phases alone, so that whoever has nothing but the resource names the same object as the operator.

use std::collections::{HashMap, VecDeque};

use crate::engine::ObjectPhase;
use crate::id::ObjectIx;
use crate::plan::RunPlan;

/// The failed object behind each blocked one. `phase` gives what is known of an object.
pub fn root_causes(
    plan: &RunPlan,
    phase: impl Fn(ObjectIx) -> Option<ObjectPhase>,
) -> HashMap<ObjectIx, ObjectIx> {
    let failed = plan.indices().filter(|ix| phase(*ix) == Some(ObjectPhase::Failed));
    // From all failures at once, level by level: who comes first to an object is nearest.
    let mut open: VecDeque<(ObjectIx, ObjectIx)> = failed.map(|ix| (ix, ix)).collect();
    let mut causes = HashMap::new();
    while let Some((ix, cause)) = open.pop_front() {
        for dependant in plan.graph.dependants(ix) {
            if phase(*dependant) == Some(ObjectPhase::Blocked) && !causes.contains_key(dependant) {
                causes.insert(*dependant, cause);
                open.push_back((*dependant, cause));
            }
        }
    }
    causes
}
