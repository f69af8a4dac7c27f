//! Whether a run is too large to be looked at. Readers of files refuse that earlier; the resource itself has been read.

use crate::finding::Finding;
use crate::limits;
use crate::spec::RunSpec;

/// What is said of a run that is too large.
pub(super) fn fault(spec: &RunSpec) -> Option<Finding> {
    if let Some(object) = spec.objects.get(limits::OBJECTS) {
        let place = spec.source_of(object).entry(object.position);
        return Some(limits::too_large(place, limits::OBJECTS, "objects"));
    }
    let mut count = spec.edges.len();
    let beyond = spec.objects.iter().find(|object| {
        count += object.depends_on.len();
        count > limits::DEPENDENCIES
    });
    beyond.map(|object| {
        let place = spec.source_of(object).dependencies(object.position);
        limits::too_large(place, limits::DEPENDENCIES, "dependencies")
    })
}
