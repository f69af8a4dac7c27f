//! The status of a run: one writer for each, fed with facts by the reconcile and with the projection by the actor.

mod budget;
mod compose;
mod condition;
mod facts;
mod patch;
mod source;
mod trouble;
mod turns;
mod writer;
mod writers;

pub(crate) use budget::Urgency;
pub(crate) use condition::{Condition, taken_over};
pub(crate) use facts::Facts;
pub(crate) use turns::Turns;
pub(crate) use writer::refuse;
pub(crate) use writers::Writers;
