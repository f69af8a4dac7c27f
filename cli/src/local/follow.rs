//! Looks at a run that goes on.

use std::time::{Duration, Instant};

use orch_bus::BusError;
use orch_core::engine::{Detail, Orders, RunView};
use orch_core::plan::{RunPlan, StagePlan};
use orch_runner::{Notice, PipelineHandle};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use super::Session;
use super::interrupt::Interrupts;
use crate::error::CliError;
use crate::progress::{Progress, StageProgress};

/// A look takes a pass over all objects: it costs some ten nanoseconds each, and no more than ten are taken a second.
const LOOK_MS_MAX: u64 = 100;
/// A short run is looked at more often at first, so that its end is seen at once.
const LOOK_MS_MIN: u64 = 5;
/// So many objects delay the next look by another millisecond.
const OBJECTS_PER_LOOK_MS: u64 = 2_000;
/// How long a cancelled run may take to end: the broker may be gone for good.
const CANCEL: Duration = Duration::from_secs(10);
/// What is enough for progress.
const AT_A_GLANCE: Detail = Detail { objects: 0, failures: 0 };

/// The workers of a run: the stage, and how its worker ended.
pub(super) type Workers = JoinSet<(String, Result<(), BusError>)>;

/// What may happen beside the run itself.
pub(super) struct Events<'e> {
    pub workers: &'e mut Workers,
    pub notices: &'e mut mpsc::Receiver<Notice>,
    pub interrupts: &'e mut Interrupts,
}

/// Why a run was left before its end.
pub(super) enum Ending {
    ActorEnded,
    Interrupted,
    /// It was to be cancelled, and nothing happened.
    Unanswered,
    Worker(CliError),
}

/// Looks at the run until it is over; the first interrupt cancels it, the second leaves it.
pub(super) async fn follow(
    handle: &PipelineHandle,
    session: &Session,
    events: &mut Events<'_>,
    progress: &mut Progress<'_>,
) -> Result<RunView, Ending> {
    let begun = Instant::now();
    let mut changed = handle.changed();
    let mut cancelled: Option<Instant> = None;
    let slowest = LOOK_MS_MIN + session.plan.objects.len() as u64 / OBJECTS_PER_LOOK_MS;
    loop {
        let snapshot = handle.snapshot(&session.uid, AT_A_GLANCE).await.ok_or(Ending::ActorEnded)?;
        progress.update(stages(&snapshot.view, &session.plan));
        if snapshot.view.phase.is_terminal() && snapshot.settled {
            break;
        }
        let pause = (begun.elapsed().as_millis() as u64 / 10).clamp(slowest.min(LOOK_MS_MAX), LOOK_MS_MAX);
        let give_up = async {
            match cancelled {
                Some(at) => tokio::time::sleep_until((at + CANCEL).into()).await,
                None => std::future::pending().await,
            }
        };
        let next_look = async {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            changed.changed().await
        };
        tokio::select! {
            change = next_look => change.map_err(|_| Ending::ActorEnded)?,
            Some(notice) = events.notices.recv() => progress.note(&describe(&notice)),
            Some(ended) = events.workers.join_next() => {
                if let Some(error) = worker_error(ended) {
                    return Err(Ending::Worker(error));
                }
            }
            () = give_up => return Err(Ending::Unanswered),
            () = events.interrupts.next() => {
                if cancelled.is_some() {
                    return Err(Ending::Interrupted);
                }
                cancelled = Some(Instant::now());
                progress.note("cancelling; once more to stop at once");
                handle.order(&session.uid, Orders { cancel: true, ..session.orders });
            }
        }
    }
    let last = handle.snapshot(&session.uid, Detail::default()).await.ok_or(Ending::ActorEnded)?;
    Ok(last.view)
}

fn worker_error(ended: Result<(String, Result<(), BusError>), JoinError>) -> Option<CliError> {
    match ended {
        Ok((_, Ok(()))) => None,
        Ok((stage, Err(source))) => {
            Some(CliError::bus(format!("the worker of stage `{stage}` cannot go on"), source))
        }
        Err(error) => Some(CliError::broken(format!("a worker ended: {error}"), "")),
    }
}

fn stages(view: &RunView, plan: &RunPlan) -> Vec<StageProgress> {
    let of = |(stage, counts): (&StagePlan, _)| StageProgress::of_engine(stage.name.as_str(), counts);
    plan.stages.iter().zip(&view.stages).map(of).collect()
}

fn describe(notice: &Notice) -> String {
    match notice {
        Notice::BadRecord { offset, problem } => {
            format!("warning: the record at offset {offset} of the events topic is skipped: {problem}")
        }
        Notice::Undelivered { object, problem, .. } => {
            format!("warning: the ready record of `{object}` is published again: {problem}")
        }
    }
}
