//! The custom resources PipelineRun and Pipeline as Rust types, and their generated YAML.
//!
//! One file a kind; [`stage`] and [`object`] hold what they are made of. What the API server can check stands in the
//! types as schema and CEL rules; [`conversion`] turns a resource into the core's [`orch_core::spec::RunSpec`] and
//! checks the same again, because a local run has no API server. Pure: no I/O, no client.

// Comments on fields become what `kubectl explain` prints: plain text, no Markdown.
#![allow(clippy::doc_markdown)]
// The derive `KubeSchema` copies each type, `pub` included, into a function.
#![allow(unreachable_pub)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cel;
pub mod chunk;
pub mod condition;
pub mod conversion;
mod depth;
mod field;
mod locate;
pub mod object;
pub mod phase_map;
pub mod pipeline;
pub mod pipeline_run;
mod read;
pub mod stage;
pub mod status;
mod strict;
pub mod view;
pub mod yaml;

pub use pipeline::{Pipeline, PipelineSpec};
pub use pipeline_run::{PipelineRun, PipelineRunSpec};
pub use read::{Resource, read};
pub use strict::StatusField;

/// The API group of the resources.
pub const GROUP: &str = "kafka-orchestrator.dev";

/// The version of the resources.
pub const VERSION: &str = "v1alpha1";

/// What `apiVersion` says: group and version.
pub const API_VERSION: &str = "kafka-orchestrator.dev/v1alpha1";
