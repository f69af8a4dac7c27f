//! The status of a run: one writer for each, fed with facts by the reconcile and with the projection by the actor.

mod facts;
mod trouble;
mod writer;
mod writers;

pub(crate) use facts::{Condition, Facts};
pub(crate) use writers::Writers;
