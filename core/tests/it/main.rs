//! Tests of the crate as its users see it. `engine/`: the rules of the life cycle, recovery and the properties on
//! random graphs, against a naive model. `catalogue/`: the readers of files. `graph`: the algorithms. `plan/`: the checks
//! between objects. `limits`: how large a run may be. `why`: each answer to "why has it not started".

// Nothing outside sees what is public here.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod catalogue;
mod engine;
mod graph;
mod limits;
mod plan;
mod why;
