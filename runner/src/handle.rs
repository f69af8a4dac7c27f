//! The handle of a Pipeline's actor: what others may ask of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use orch_bus::{Bus, BusError};
use orch_core::engine::{Detail, Orders, RunView};
use orch_core::id::{Epoch, RunUid, StageName};
use orch_core::plan::RunPlan;
use orch_wire::TopicNames;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::actor::{Actor, Reports};
use crate::busy::Hands;
use crate::clock::Clock;
use crate::snapshots::SnapshotRule;
use crate::stats::{Notice, Stats};

/// The topics of a Pipeline, and who leads.
#[derive(Debug, Clone)]
pub struct PipelineSettings {
    /// Names of its topics.
    pub names: TopicNames,
    /// Its stages and the number of partitions of their ready topics. A run may name further stages: they get a window
    /// of their own.
    pub stages: Vec<(StageName, u16)>,
    /// Outstanding objects a stage at most.
    pub window: u32,
    /// Who leads: `LeaderStarted` names it, with a mark of this one actor behind it.
    pub leader: String,
    /// Highest term that is known from elsewhere (the status of its runs).
    pub known_epoch: Epoch,
    /// When the state of a run is written into the log.
    pub snapshots: SnapshotRule,
    /// Where it takes the time of day from.
    pub clock: Clock,
}

/// Why an actor ended.
#[derive(Debug, Clone)]
pub enum Exit {
    /// It was asked to.
    Stopped,
    /// Another operator leads these topics.
    Superseded {
        /// Its term.
        epoch: Epoch,
    },
    /// The bus broke: a topic is gone, or access was denied.
    Broken(BusError),
}

/// The end of an actor.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Why it ended.
    pub exit: Exit,
    /// When.
    pub at: Instant,
}

impl Ended {
    fn without_a_word() -> Self {
        let problem = "the actor of the runs ended by a panic; the log has it".to_owned();
        Self { exit: Exit::Broken(BusError::Other(problem)), at: Instant::now() }
    }
}

/// A run as the actor needs it.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// Uid of the resource.
    pub uid: RunUid,
    /// `<namespace>/<name>`.
    pub run: String,
    /// What to run.
    pub plan: Arc<RunPlan>,
    /// What a person may change on the way.
    pub orders: Orders,
    /// Offset in the events topic before which nothing speaks of this run. It must be kept outside (in the status)
    /// before the run is handed over: recovery folds from there. Later it is that of the newest snapshot
    /// ([`RunSnapshot::start_offset`]).
    pub start_offset: i64,
    /// Whether each ready record names its processor, also where that is the stage's: of a Pipeline, whose stage may
    /// have another by now.
    pub names_processors: bool,
}

/// A run as it stands.
#[derive(Debug, Clone)]
pub struct RunSnapshot {
    /// What a person sees.
    pub view: RunView,
    /// Whether workers were told, and everything that the run wrote is acknowledged.
    pub settled: bool,
    /// Offset at which a recovery may begin. The log may be truncated below it once it is kept outside.
    pub start_offset: i64,
    /// Offset of the first record that the run may still need: an object that has not ended gets outputs from it.
    pub needed_from: i64,
    /// Why the log cannot be read for this run: nothing is done for it, and the view says nothing.
    pub problem: Option<String>,
}

/// What the runs of an actor need of the events topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    /// Offset of the first record that one of them may still need, in a recovery or for outputs; `None` without runs.
    pub from: Option<i64>,
    /// Next offset that the actor reads.
    pub position: i64,
}

/// Work of each stage, for scaling.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// In no particular order; a stage that no live run uses is absent.
    pub stages: Vec<StageDemand>,
}

/// Work of one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageDemand {
    /// Which stage.
    pub stage: StageName,
    /// Published and not ended, over all runs.
    pub outstanding: u32,
    /// A dependency of a pending object of the stage is under way.
    pub soon: bool,
}

/// Runs that ended while somebody who listens was busy elsewhere; of more the oldest are not told.
const ENDED: usize = 64;

pub(crate) enum Command {
    Add(Box<RunSettings>),
    Begin(Box<RunSettings>),
    Order(RunUid, Orders),
    Remove(RunUid, oneshot::Sender<()>),
    View(RunUid, Detail, oneshot::Sender<Option<RunSnapshot>>),
    Needed(oneshot::Sender<Option<Needed>>),
    Busy(StageName, oneshot::Sender<BTreeMap<String, u32>>),
    Stop,
}

/// Where an actor tells what it saw.
#[derive(Debug, Clone)]
pub struct Outlets {
    /// Counters; several actors may share them.
    pub stats: Arc<Stats>,
    /// For people. A full channel drops what comes.
    pub notices: mpsc::Sender<Notice>,
}

/// A running actor. Dropping the handle stops it.
#[derive(Debug)]
pub struct PipelineHandle {
    commands: mpsc::UnboundedSender<Command>,
    changed: watch::Receiver<u64>,
    ended: broadcast::Sender<RunUid>,
    demand: watch::Receiver<Demand>,
    epoch: watch::Receiver<Epoch>,
    ended_at: watch::Receiver<Option<Ended>>,
}

impl PipelineHandle {
    /// Takes the topics over (they exist already) and starts the actor. `runs` are recovered in one pass; further ones
    /// come by [`PipelineHandle::add`]. Returns when the actor leads: its `LeaderStarted` was read back.
    pub async fn start(
        bus: Arc<dyn Bus>,
        settings: PipelineSettings,
        runs: Vec<RunSettings>,
        outlets: Outlets,
    ) -> Result<Self, BusError> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (changed_tx, changed) = watch::channel(0);
        let (ended, _) = broadcast::channel(ENDED);
        let (demand_tx, demand) = watch::channel(Demand::default());
        let (epoch_tx, epoch) = watch::channel(0);
        let reports = Reports {
            changed: changed_tx,
            ended: ended.clone(),
            demand: demand_tx,
            epoch: epoch_tx,
            stats: outlets.stats,
            notices: outlets.notices,
        };
        let actor = Actor::take_over(bus, settings, runs, reports).await?;
        let (ended_tx, ended_at) = watch::channel(None);
        tokio::spawn(async move {
            let exit = actor.run(receiver).await;
            ended_tx.send_replace(Some(Ended { exit, at: Instant::now() }));
        });
        Ok(Self { commands, changed, ended, demand, epoch, ended_at })
    }

    /// Takes a run in. A run that is here already is left as it is. One whose events have to be read back first is
    /// not here before that is done; while the bus is away it waits.
    pub fn add(&self, run: RunSettings) {
        self.send(Command::Add(Box::new(run)));
    }

    /// Takes a run in that begins now: nothing in the log speaks of it, wherever its start offset is, so that nothing
    /// has to be read back.
    pub fn begin(&self, run: RunSettings) {
        self.send(Command::Begin(Box::new(run)));
    }

    /// Changes what a person may change.
    pub fn order(&self, run: &RunUid, orders: Orders) {
        self.send(Command::Order(run.clone(), orders));
    }

    /// Forgets a run: its resource is gone. Workers are told to start nothing more of it.
    pub async fn remove(&self, run: &RunUid) {
        let (done, removed) = oneshot::channel();
        self.send(Command::Remove(run.clone(), done));
        // An actor that has ended has forgotten all its runs.
        let _ = removed.await;
    }

    /// A run as it stands; `None` when it is not here, not here yet, or the actor has ended.
    pub async fn snapshot(&self, run: &RunUid, detail: Detail) -> Option<RunSnapshot> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::View(run.clone(), detail, reply));
        answer.await.ok().flatten()
    }

    /// What the runs need of the events topic; `None` while some are still read back, and of an actor that has ended.
    pub async fn needed(&self) -> Option<Needed> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Needed(reply));
        answer.await.ok().flatten()
    }

    /// Counts up with every change of any run, and with nothing else; closed when the actor has ended.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// The runs that end from now on, each told once by each actor.
    pub fn ended(&self) -> broadcast::Receiver<RunUid> {
        self.ended.subscribe()
    }

    /// The work of each stage, renewed at most ten times a second.
    pub fn demand(&self) -> watch::Receiver<Demand> {
        self.demand.clone()
    }

    /// The actor's term.
    pub fn epoch(&self) -> Epoch {
        *self.epoch.borrow()
    }

    /// Who has what in hand. It may be kept: it keeps no actor alive.
    pub fn hands(&self) -> Hands {
        Hands::new(self.commands.downgrade())
    }

    /// Whether the actor has ended.
    pub fn is_finished(&self) -> bool {
        self.how_it_ended().is_some()
    }

    /// How the actor ended; `None` while it lives.
    pub fn how_it_ended(&self) -> Option<Ended> {
        let ended = self.ended_at.borrow().clone();
        // A panic says nothing.
        ended.or_else(|| self.ended_at.has_changed().is_err().then(Ended::without_a_word))
    }

    /// Waits for the end of the actor.
    pub async fn wait(&self) -> Ended {
        let mut ended = self.ended_at.clone();
        let ended = ended.wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone());
        ended.unwrap_or_else(Ended::without_a_word)
    }

    /// Stops the actor; what it handed to the bus is written. Says why it ended if it had ended before.
    pub async fn stop(&self) -> Exit {
        self.send(Command::Stop);
        self.wait().await.exit
    }

    fn send(&self, command: Command) {
        // An actor that has ended answers nothing: callers see it by `is_finished`.
        let _ = self.commands.send(command);
    }
}
