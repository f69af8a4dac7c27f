//! How large a run may be, and what is said of one that is larger. `docs/limits.md` lists it all for people.

use crate::finding::{Finding, FindingKind};
use crate::grouped;

/// Objects of a run. The status says the phase of every one of them: a million letters are at most 560 KiB when they
/// are packed, and a status has 900.
pub const OBJECTS: usize = 1_000_000;

/// Dependencies of a run. An edge costs 16 bytes while the run lives, and some 60 while its ids are text.
pub const DEPENDENCIES: usize = 10_000_000;

/// Dependencies of one object. Each is looked at again when the object is published, and named in its record when it
/// handed something on.
pub const DEPENDENCIES_OF_ONE: usize = 100_000;

/// Fields of one entry of a list or catalogue, as of `meta` in the schema.
pub const FIELDS: usize = 1_024;

/// Stages of a run: each costs a topic and a Deployment.
pub const STAGES: usize = 64;

/// Attempts of an object: the errors of all of them are kept.
pub const ATTEMPTS: u32 = 1_000;

/// By how much each wait before an attempt may be longer than the one before.
pub const BACKOFF_FACTOR: f64 = 100.0;

/// Objects that one worker does at the same time.
pub const CONCURRENCY: u32 = 1_024;

/// Workers of a stage.
pub const REPLICAS: u32 = 1_000;

/// Partitions of a stage's topic: more than workers are of no use.
pub const PARTITIONS: u16 = 1_000;

/// Said of the place where a run has become too large: with more than `most` of `what`.
pub(crate) fn too_large(place: impl Into<String>, most: usize, what: &str) -> Finding {
    let problem = format!("with this the run has more than {} {what}", grouped(most));
    Finding::new(FindingKind::TooLarge, place, problem, "split the run into several")
}

/// Said of an object that waits for too many.
pub(crate) fn too_many_dependencies(place: impl Into<String>) -> Finding {
    let problem =
        format!("an object has at most {} dependencies, this one has more", grouped(DEPENDENCIES_OF_ONE));
    let remedy = "have it depend on objects that depend on a part of them each";
    Finding::new(FindingKind::TooLarge, place, problem, remedy)
}
