//! The status of a run: one writer for each, fed with facts by the reconcile and with the projection by the actor.

mod compose;
mod condition;
mod facts;
mod trouble;
mod writer;
mod writers;

pub(crate) use condition::{Condition, taken_over};
pub(crate) use facts::Facts;
pub(crate) use writer::refuse;
pub(crate) use writers::Writers;
