//! One run from its first topic to its last: the actor, the workers, and somebody who looks how far they are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use orch_bus::{Bus, BusError};
use orch_core::engine::{Detail, Orders, RunView};
use orch_core::id::RunUid;
use orch_core::plan::{RunPlan, StagePlan};
use orch_runner::{Exit, Notice, Outlets, PipelineHandle, PipelineSettings, RunSettings};
use orch_wire::TopicNames;
use orch_workers::{Registry, Settings, Worker};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::interrupt::Interrupts;
use super::topics;
use crate::error::CliError;
use crate::progress::{Progress, StageProgress};

/// Outstanding objects a stage at most, as the operator's default.
const STAGE_WINDOW: u32 = 4_096;
/// A look takes a pass over all objects: it costs some ten nanoseconds each, and no more than ten are taken a second.
const LOOK_MS_MAX: u64 = 100;
/// A short run is looked at more often at first, so that its end is seen at once.
const LOOK_MS_MIN: u64 = 5;
/// So many objects delay the next look by another millisecond.
const OBJECTS_PER_LOOK_MS: u64 = 2_000;
/// What is enough for progress.
const AT_A_GLANCE: Detail = Detail { objects: 0, failures: 0 };

/// What to run, and how.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// Name of the run.
    pub name: String,
    /// Its namespace: stands in its records.
    pub namespace: String,
    /// Its uid.
    pub uid: RunUid,
    /// The checked graph.
    pub plan: Arc<RunPlan>,
    /// Limits.
    pub orders: Orders,
    /// Objects at work in each stage; default: what all its workers could do together.
    pub concurrency: Option<u32>,
    /// Simulated durations are divided by this.
    pub speed: f64,
    /// The topics are on a broker: they outlive this process unless they are deleted, and other programs can work.
    pub on_broker: bool,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Everything that is known of it.
    pub view: RunView,
    /// The topics that it had.
    pub names: TopicNames,
}

/// Runs until every object has ended, somebody interrupts twice, or the bus breaks. Leaves no topic.
pub(crate) async fn run(
    bus: Arc<dyn Bus>,
    session: &Session,
    progress: &mut Progress<'_>,
) -> Result<Outcome, CliError> {
    let names = topics::names(&session.name, &session.uid);
    let specs = topics::specs(&names, &session.plan);
    let failed = |doing: &str| {
        let doing = format!("{doing} {names}");
        move |source| CliError::Bus { doing, source }
    };
    bus.ensure_topics(&specs, true).await.map_err(failed("cannot create the topics"))?;
    let result = with_topics(&bus, session, &names, progress).await;
    if session.on_broker {
        let list: Vec<String> = specs.into_iter().map(|spec| spec.name).collect();
        let deleted =
            bus.delete_topics(&list).await.map_err(failed("the run is over, but cannot delete the topics"));
        // Why the run ended matters more.
        if result.is_ok() {
            deleted?;
        }
    }
    let view = result?;
    Ok(Outcome { view, names })
}

async fn with_topics(
    bus: &Arc<dyn Bus>,
    session: &Session,
    names: &TopicNames,
    progress: &mut Progress<'_>,
) -> Result<RunView, CliError> {
    let settings = PipelineSettings {
        names: names.clone(),
        stages: session.plan.stages.iter().map(|stage| (stage.name.clone(), stage.partitions)).collect(),
        window: STAGE_WINDOW,
        leader: "orch".to_owned(),
        known_epoch: 0,
    };
    let run = RunSettings {
        uid: session.uid.clone(),
        run: format!("{}/{}", session.namespace, session.name),
        plan: session.plan.clone(),
        orders: session.orders,
        start_offset: 0,
    };
    let (notices, mut heard) = mpsc::channel(64);
    let outlets = Outlets { stats: Arc::default(), notices };
    let handle = PipelineHandle::start(bus.clone(), settings, vec![run], outlets)
        .await
        .map_err(|source| CliError::Bus { doing: "the run cannot begin".to_owned(), source })?;
    let shutdown = CancellationToken::new();
    let mut workers = start_workers(bus, session, names, &shutdown, progress);
    let ended = follow(&handle, session, &mut workers, &mut heard, progress).await;
    shutdown.cancel();
    while workers.join_next().await.is_some() {}
    let exit = handle.stop().await;
    match (ended, exit) {
        (Ok(view), _) => Ok(view),
        (Err(Ending::ActorEnded), Exit::Broken(source)) => {
            Err(CliError::Bus { doing: "the run cannot go on".to_owned(), source })
        }
        (Err(Ending::ActorEnded), Exit::Superseded { epoch }) => {
            Err(CliError::broken(format!("another program leads the topics of this run (term {epoch})"), ""))
        }
        (Err(Ending::ActorEnded), Exit::Stopped) => {
            Err(CliError::broken("the run ended without a result", ""))
        }
        (Err(Ending::Interrupted), _) => Err(CliError::broken("interrupted again: stopped at once", "")),
        (Err(Ending::Worker(error)), _) => Err(error),
    }
}

/// Why a run was left before its end.
enum Ending {
    ActorEnded,
    Interrupted,
    Worker(CliError),
}

type Workers = JoinSet<(String, Result<(), BusError>)>;

/// A worker for each stage, with the capacity that all of its workers would have together.
fn start_workers(
    bus: &Arc<dyn Bus>,
    session: &Session,
    names: &TopicNames,
    shutdown: &CancellationToken,
    progress: &Progress<'_>,
) -> Workers {
    let mut workers = Workers::new();
    for stage in &session.plan.stages {
        let ready_topic = names.ready(&stage.name);
        if is_external(stage) {
            progress.note(&format!(
                "stage `{}` waits for your program: ready topic and group {ready_topic}, answers to {}",
                stage.name,
                names.events()
            ));
            continue;
        }
        let all_workers = stage.worker.concurrency.saturating_mul(stage.worker.max_replicas.max(1));
        let settings = Settings {
            worker: format!("{}-local", stage.name),
            group: ready_topic.clone(),
            ready_topic,
            events_topic: names.events(),
            control_topic: names.control(),
            concurrency: session.concurrency.unwrap_or(all_workers) as usize,
            drain: Duration::ZERO,
        };
        let processors = Registry::builtin().with_speed(session.speed).for_stage(&stage.processor);
        let worker = Worker::new(bus.clone(), settings, processors);
        let (name, shutdown) = (stage.name.as_str().to_owned(), shutdown.clone());
        workers.spawn(async move { (name, worker.run(shutdown).await) });
    }
    workers
}

/// Whether somebody else's program does the work of the stage.
pub(crate) fn is_external(stage: &StagePlan) -> bool {
    serde_json::from_str::<serde_json::Value>(&stage.processor)
        .is_ok_and(|value| value.get("external").is_some())
}

/// Looks at the run until it is over; the first interrupt cancels it, the second leaves it.
async fn follow(
    handle: &PipelineHandle,
    session: &Session,
    workers: &mut Workers,
    notices: &mut mpsc::Receiver<Notice>,
    progress: &mut Progress<'_>,
) -> Result<RunView, Ending> {
    let begun = Instant::now();
    let mut interrupts = Interrupts::new();
    let mut changed = handle.changed();
    let mut cancelled = false;
    let slowest = LOOK_MS_MIN + session.plan.objects.len() as u64 / OBJECTS_PER_LOOK_MS;
    loop {
        let snapshot = handle.snapshot(&session.uid, AT_A_GLANCE).await.ok_or(Ending::ActorEnded)?;
        progress.update(stages(&snapshot.view, &session.plan));
        if snapshot.view.phase.is_terminal() && snapshot.settled {
            break;
        }
        let pause = (begun.elapsed().as_millis() as u64 / 10).clamp(slowest.min(LOOK_MS_MAX), LOOK_MS_MAX);
        let next_look = async {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            changed.changed().await
        };
        tokio::select! {
            change = next_look => change.map_err(|_| Ending::ActorEnded)?,
            Some(notice) = notices.recv() => progress.note(&describe(&notice)),
            Some(ended) = workers.join_next() => {
                if let Some(error) = worker_error(ended) {
                    return Err(Ending::Worker(error));
                }
            }
            () = interrupts.next() => {
                if cancelled {
                    return Err(Ending::Interrupted);
                }
                cancelled = true;
                progress.note("cancelling; once more to stop at once");
                handle.order(&session.uid, Orders { cancel: true, ..session.orders });
            }
        }
    }
    let last = handle.snapshot(&session.uid, Detail::default()).await.ok_or(Ending::ActorEnded)?;
    Ok(last.view)
}

fn worker_error(ended: Result<(String, Result<(), BusError>), tokio::task::JoinError>) -> Option<CliError> {
    match ended {
        Ok((_, Ok(()))) => None,
        Ok((stage, Err(source))) => {
            Some(CliError::Bus { doing: format!("the worker of stage `{stage}` cannot go on"), source })
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
