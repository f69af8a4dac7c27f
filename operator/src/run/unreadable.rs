//! A run that nobody can read: it is told so, and let go when it is deleted.

use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Resource, ResourceExt};
use orch_core::finding::{Finding, FindingKind};
use orch_crds::PipelineRun;
use tracing::info;

use crate::context::Context;
use crate::error::Error;
use crate::finalizer;
use crate::guarded::{Guarded, Unreadable};
use crate::status::{self, Facts};

/// What is to be done about it.
const REMEDY: &str = "a reader of JSON goes 127 levels deep: make `meta` or `params` of the objects simpler";

/// Refuses the run, once, with the words of the reader.
pub(super) async fn refuse(
    context: &Context,
    run: &Guarded<PipelineRun>,
    unreadable: &Unreadable,
) -> Result<Action, Error> {
    let Unreadable { metadata, problem, is_over, .. } = unreadable;
    if metadata.deletion_timestamp.is_some() {
        // Nothing was made for what could not be read.
        finalizer::let_go(&context.client, run).await?;
        return Ok(Action::await_change());
    }
    if *is_over {
        return Ok(Action::await_change());
    }
    info!(run = %run.name_any(), %problem, "the run cannot be read");
    let message = Finding::new(FindingKind::Malformed, "spec", problem, REMEDY).to_string();
    let facts = Facts::refused(metadata.generation, FindingKind::Malformed.reason(), message.clone());
    status::refuse(context, run, unreadable, &facts).await?;
    context.tell(&run.object_ref(&()), EventType::Warning, "GraphInvalid", &message).await;
    Ok(Action::await_change())
}
