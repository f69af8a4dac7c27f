//! Follows a run until it ends.

use std::pin::pin;

use futures::StreamExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::watch_object;
use orch_crds::condition::types;
use orch_crds::status::{PipelineRunStatus, RunPhase};

use super::client::Cluster;
use crate::error::{CliError, Exit};
use crate::printer::Printer;
use crate::progress::{Progress, StageProgress};
use crate::report::Report;
use crate::subject::Subject;

/// Shows progress until the run has ended, then its summary.
pub(super) async fn until_end(cluster: &Cluster, name: &str, printer: &Printer) -> Result<Exit, CliError> {
    // Says at once, and well, when the run or the server is not there.
    cluster.run(name).await?;
    let mut progress = Progress::new(printer);
    let ended = ended(cluster, name, &mut progress).await;
    progress.finish();
    ended?;
    let manifest = cluster.manifest(name).await?;
    let graph = manifest.graph(name);
    let input =
        crate::input::Input { file: name.to_owned(), name: name.to_owned(), manifest: Some(manifest), graph };
    let subject = Subject::of_input(input);
    let Some(status) = subject.status() else {
        return Err(CliError::broken(format!("the status of `{name}` is gone"), ""));
    };
    let report = Report {
        name,
        status,
        timeout: subject.timeout(),
        plan: subject.plan.as_ref().ok(),
        paint: printer.paint(),
    };
    printer.data(&report.summary())?;
    Ok(if status.phase == RunPhase::Succeeded { Exit::Succeeded } else { Exit::Failed })
}

async fn ended(cluster: &Cluster, name: &str, progress: &mut Progress<'_>) -> Result<(), CliError> {
    let mut changes = pin!(watch_object(cluster.runs.clone(), name).default_backoff());
    let mut said = String::new();
    while let Some(change) = changes.next().await {
        match change {
            Ok(Some(run)) => {
                let Some(status) = &run.status else { continue };
                progress.update(StageProgress::of_status(status));
                let waits = waits_for(status);
                if waits != said && !waits.is_empty() {
                    progress.note(&waits);
                }
                said = waits;
                if status.phase.is_final() {
                    return Ok(());
                }
            }
            Ok(None) => return Err(CliError::broken(format!("`{name}` was deleted"), "")),
            // The watch comes back by itself.
            Err(error) => progress.note(&format!("warning: {error}")),
        }
    }
    Err(CliError::broken(format!("the watch of `{name}` ended"), ""))
}

/// What the run waits for, in one line; empty when it goes on.
fn waits_for(status: &PipelineRunStatus) -> String {
    let waiting = status.conditions.iter().find(|condition| match condition.type_.as_str() {
        types::STALLED => condition.status == "True",
        types::ACCEPTED | types::TOPICS_READY => condition.status == "False",
        _ => false,
    });
    waiting.map_or_else(String::new, |condition| {
        format!("{}: {}: {}", condition.type_, condition.reason, condition.message)
    })
}
