//! Tests that need no server. `generated`: the YAML files and the form of the schema. `local`: what a local run says of
//! the cases in `tests/cases`. `convert`: every field reaches the core. `files`: what is read from text.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)]

#[path = "../cases/mod.rs"]
mod cases;
mod convert;
mod files;
mod generated;
mod local;

/// What a reader of the status, such as `orch status`, gets.
fn read(text: &str) -> Result<Vec<orch_crds::Resource>, Vec<orch_core::finding::Finding>> {
    orch_crds::read(text, orch_crds::StatusField::Read)
}
