//! One run from its first topic to its last: the actor, the workers, and somebody who looks how far they are.

use std::sync::Arc;
use std::time::Duration;

use orch_bus::{Bus, BusError, TopicSpec};
use orch_core::drain::Drain;
use orch_core::engine::{Orders, RunView};
use orch_core::id::RunUid;
use orch_core::plan::RunPlan;
use orch_runner::{
    Clock, Exit, Notice, Outlets, PipelineHandle, PipelineSettings, RunSettings, SnapshotRule,
};
use orch_wire::TopicNames;
use orch_workers::{InvalidProcessor, Registry, Settings, Worker};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::follow::{Ending, Events, Workers, follow};
use super::interrupt::Interrupts;
use super::topics;
use crate::error::CliError;
use crate::progress::Progress;

/// Outstanding objects a stage at most, as the operator's default.
const STAGE_WINDOW: u32 = 4_096;
/// How long each step of the way out may take.
const LEAVE: Duration = Duration::from_secs(30);
/// The same while the broker is known not to answer: one that is gone must not keep the program.
const LEAVE_IN_TROUBLE: Duration = Duration::from_secs(2);
/// What an aborted worker needs to kill the programs that it started.
const ABORT: Duration = Duration::from_secs(2);

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
    // From here on an interrupt must not end the program: topics would stay.
    let mut interrupts = Interrupts::new();
    let names = topics::names(&session.name, &session.uid);
    let specs = topics::specs(&names, &session.plan);
    // Until here there is no topic of ours; from here on there may be one, whatever comes of it.
    ask(&bus, &specs, &names, &mut interrupts).await?;
    let (are, result) = match create(&bus, &specs, &names, &mut interrupts).await {
        Ok(()) => ("are", with_topics(&bus, session, &names, &mut interrupts, progress).await),
        Err(error) => ("may be", Err(error)),
    };
    if session.on_broker {
        let list: Vec<String> = specs.into_iter().map(|spec| spec.name).collect();
        if let Err(why) = delete(&bus, &list, &mut interrupts).await {
            let problem = format!("the topics {names} {are} left behind: {why}");
            let remedy = "delete them with Kafka's own tool when it is back";
            match result {
                Ok(_) => return Err(CliError::broken(format!("the run is over, but {problem}"), remedy)),
                // Why the run ended matters more.
                Err(_) => progress.note(&format!("warning: {problem}; {remedy}")),
            }
        }
    }
    let view = result?;
    Ok(Outcome { view, names })
}

/// Whether the broker answers and lets us in, before anything is made there.
async fn ask(
    bus: &Arc<dyn Bus>,
    specs: &[TopicSpec],
    names: &TopicNames,
    interrupts: &mut Interrupts,
) -> Result<(), CliError> {
    tokio::select! {
        found = bus.ensure_topics(specs, false) => match found {
            Ok(_) | Err(BusError::MissingTopics(_)) => Ok(()),
            Err(source) => Err(cannot_create(names, source)),
        },
        () = interrupts.next() => Err(interrupted_early()),
    }
}

/// Creates the topics. Who interrupts gets none: what is under way is waited for, so that it can be deleted.
async fn create(
    bus: &Arc<dyn Bus>,
    specs: &[TopicSpec],
    names: &TopicNames,
    interrupts: &mut Interrupts,
) -> Result<(), CliError> {
    let mut created = std::pin::pin!(bus.ensure_topics(specs, true));
    tokio::select! {
        created = &mut created => return created.map(drop).map_err(|source| cannot_create(names, source)),
        () = interrupts.next() => {}
    }
    // How it ends does not matter: the topics are deleted.
    let _ = interrupts.allow(patience(bus), created).await;
    Err(interrupted_early())
}

fn cannot_create(names: &TopicNames, source: BusError) -> CliError {
    CliError::bus(format!("cannot create the topics {names}"), source)
}

fn interrupted_early() -> CliError {
    CliError::broken("interrupted before the run began", "")
}

/// Deletes the topics, or says why Kafka did not do it in time.
async fn delete(bus: &Arc<dyn Bus>, topics: &[String], interrupts: &mut Interrupts) -> Result<(), String> {
    match interrupts.allow(patience(bus), bus.delete_topics(topics)).await {
        Some(deleted) => deleted.map_err(|source| source.to_string()),
        None => Err(silence(bus)),
    }
}

/// How long the way out may wait for a bus.
fn patience(bus: &Arc<dyn Bus>) -> Duration {
    if bus.trouble().is_some() { LEAVE_IN_TROUBLE } else { LEAVE }
}

/// What is the matter with a bus that does not answer.
fn silence(bus: &Arc<dyn Bus>) -> String {
    bus.trouble().unwrap_or_else(|| "Kafka does not answer".to_owned())
}

/// The actor of the run, and what it says on the way.
async fn begin(
    bus: &Arc<dyn Bus>,
    session: &Session,
    names: &TopicNames,
) -> Result<(PipelineHandle, mpsc::Receiver<Notice>), CliError> {
    let settings = PipelineSettings {
        names: names.clone(),
        stages: session.plan.stages.iter().map(|stage| (stage.name.clone(), stage.partitions)).collect(),
        window: STAGE_WINDOW,
        leader: "orch".to_owned(),
        known_epoch: 0,
        snapshots: SnapshotRule::NEVER,
        clock: Clock::default(),
    };
    let run = RunSettings {
        uid: session.uid.clone(),
        run: format!("{}/{}", session.namespace, session.name),
        plan: session.plan.clone(),
        orders: session.orders,
        start_offset: 0,
        names_processors: false,
    };
    let (notices, heard) = mpsc::channel(64);
    let outlets = Outlets { stats: Arc::default(), notices };
    let handle = PipelineHandle::start(bus.clone(), settings, vec![run], outlets)
        .await
        .map_err(|source| CliError::bus("the run cannot begin", source))?;
    Ok((handle, heard))
}

/// The run from its first to its last object.
async fn with_topics(
    bus: &Arc<dyn Bus>,
    session: &Session,
    names: &TopicNames,
    interrupts: &mut Interrupts,
    progress: &mut Progress<'_>,
) -> Result<RunView, CliError> {
    let (handle, mut notices) = tokio::select! {
        begun = begin(bus, session, names) => begun?,
        () = interrupts.next() => return Err(interrupted_early()),
    };
    let shutdown = CancellationToken::new();
    let mut workers = start_workers(bus, session, names, &shutdown, progress);
    let mut events = Events { workers: &mut workers, notices: &mut notices, interrupts };
    let ended = follow(&handle, session, &mut events, progress).await;
    shutdown.cancel();
    let leave = async {
        while workers.join_next().await.is_some() {}
        handle.stop().await
    };
    let exit = interrupts.allow(patience(bus), leave).await;
    if exit.is_none() {
        // What the workers started ends with them.
        workers.abort_all();
        let ended = async { while workers.join_next().await.is_some() {} };
        // Beyond this there is nothing more to be done.
        let _ = tokio::time::timeout(ABORT, ended).await;
    }
    ended.map_err(|ending| match (ending, exit.unwrap_or(Exit::Stopped)) {
        (Ending::ActorEnded, Exit::Broken(source)) => CliError::bus("the run cannot go on", source),
        (Ending::ActorEnded, Exit::Superseded { epoch }) => {
            CliError::broken(format!("another program leads the topics of this run (term {epoch})"), "")
        }
        (Ending::ActorEnded, Exit::Stopped) => CliError::broken("the run ended without a result", ""),
        (Ending::Unanswered, _) => {
            CliError::broken(format!("interrupted; the run could not be cancelled: {}", silence(bus)), "")
        }
        (Ending::Interrupted, _) => CliError::broken("interrupted again: stopped at once", ""),
        (Ending::Worker(error), _) => error,
    })
}

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
        if stage.is_external() {
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
            drain: Drain::at_once(),
        };
        let processors = Registry::builtin().with_speed(session.speed).for_stage(&stage.processor);
        let worker = Worker::new(bus.clone(), settings, processors);
        let (name, shutdown) = (stage.name.as_str().to_owned(), shutdown.clone());
        workers.spawn(async move { (name, worker.run(shutdown).await) });
    }
    workers
}

/// The kind of a processor that no worker in this process has, such as `external`.
pub(crate) fn missing_kind(processor: &str) -> Option<String> {
    match Registry::builtin().for_stage(processor).stage_problem() {
        Some(InvalidProcessor::Unknown { kind, .. }) => Some(kind.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use orch_bus::memory::MemoryBus;
    use orch_bus::memory::tapped::{Question, Tap, Tapped};
    use orch_core::catalogue;
    use orch_core::plan::plan;

    use super::*;
    use crate::printer::Printer;

    /// A broker that falls silent, and what it was asked until then.
    struct Silent {
        /// It does what this question asks for, and its answer never comes.
        after: Option<Question>,
        asked: Mutex<Vec<Question>>,
    }

    impl Tap for Silent {
        fn asked(&self, question: Question) -> Result<(), BusError> {
            self.asked.lock().unwrap().push(question);
            if self.after.is_none() { Err(silence()) } else { Ok(()) }
        }

        fn answered(&self, question: Question) -> Result<(), BusError> {
            if self.after == Some(question) { Err(silence()) } else { Ok(()) }
        }
    }

    fn silence() -> BusError {
        BusError::Unreachable {
            servers: "localhost:9092".to_owned(),
            reason: "it does not answer".to_owned(),
        }
    }

    fn session() -> Session {
        let (spec, _) = catalogue::read("silent.tsv", b"parent\tchild\n").unwrap();
        Session {
            name: "silent".to_owned(),
            namespace: "default".to_owned(),
            uid: RunUid::new("0c5e9f2a-4a5b-4c6d-8e7f-000000000001"),
            plan: Arc::new(plan(spec).unwrap()),
            orders: Orders::default(),
            concurrency: None,
            speed: 1.0,
            on_broker: true,
        }
    }

    /// What a broker was asked during a run that ended by its silence, and the topics that are left.
    async fn asked_by_a_run(after: Option<Question>) -> (Vec<Question>, Vec<String>) {
        let bus = Arc::new(Tapped::new(MemoryBus::new(), Silent { after, asked: Mutex::default() }));
        let session = session();
        let printer = Printer::new(true);
        let error = run(bus.clone(), &session, &mut Progress::new(&printer)).await.unwrap_err();
        assert!(
            error.to_string().starts_with("cannot create the topics orchestrator.local.silent-"),
            "{error}"
        );
        let asked = bus.tap.asked.lock().unwrap().clone();
        (asked, bus.inner.list_topics("").await.unwrap())
    }

    #[tokio::test]
    async fn topics_of_a_broker_that_falls_silent_while_it_makes_them_are_deleted() {
        let (asked, left) = asked_by_a_run(Some(Question::EnsureTopics)).await;
        assert_eq!(asked, [Question::EnsureTopics, Question::EnsureTopics, Question::DeleteTopics]);
        assert_eq!(left, [""; 0]);
    }

    #[tokio::test]
    async fn nothing_is_deleted_on_a_broker_that_was_silent_from_the_beginning() {
        let (asked, left) = asked_by_a_run(None).await;
        assert_eq!(asked, [Question::EnsureTopics]);
        assert_eq!(left, [""; 0]);
    }
}
