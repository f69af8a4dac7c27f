//! The actor: one loop over records, commands and the clock.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use orch_bus::{Bus, BusError, Message, Reader};
use orch_core::engine::{Detail, Orders, project};
use orch_core::id::{Epoch, Millis, RunUid};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::arrivals::{Arrivals, Recovered, Source};
use crate::clock::Clock;
use crate::handle::{Command, Demand, Exit, Needed, RunSettings, RunSnapshot};
use crate::outbox::{Delivery, Outbox};
use crate::run::Run;
use crate::runs::Runs;
use crate::snapshots::SnapshotRule;
use crate::stages::Stages;
use crate::stats::{Notice, Stats};
use crate::term::Term;
use crate::{busy, control, records};

/// What was handed to the bus gets so long to be written when the actor is stopped.
const FLUSH: Duration = Duration::from_secs(5);
/// So many records are taken in before it is decided what they let be published.
const AT_A_TIME: usize = 64;
/// Nothing to wake up for: look again after this all the same.
const REST_MS: Millis = 3_600_000;

/// Where the actor reports to.
pub(crate) struct Reports {
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) ended: broadcast::Sender<RunUid>,
    pub(crate) demand: watch::Sender<Demand>,
    pub(crate) epoch: watch::Sender<Epoch>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) notices: mpsc::Sender<Notice>,
}

/// The actor. `takeover` makes one, `intake` takes records in, `effects` carries out what is decided.
pub(crate) struct Actor {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Clock,
    pub(crate) reader: Box<dyn Reader>,
    pub(crate) outbox: Outbox,
    pub(crate) events_topic: Arc<str>,
    pub(crate) control_topic: Arc<str>,
    pub(crate) stages: Stages,
    pub(crate) runs: Runs,
    pub(crate) arrivals: Arrivals,
    pub(crate) term: Term,
    /// Next offset of the events topic.
    pub(crate) position: i64,
    /// Offset of our newest `LeaderStarted`.
    pub(crate) led_from: i64,
    /// What stands before this offset was counted by whoever led then.
    pub(crate) count_from: i64,
    /// Which run is asked first whether it can use what others left.
    pub(crate) leftover_turn: usize,
    pub(crate) wake_at: Option<Millis>,
    /// Not before this is the demand looked at again.
    pub(crate) demand_due: Instant,
    /// Whether anything has changed since the last look.
    pub(crate) demand_is_stale: bool,
    /// Whether anything about a run has changed since the last report.
    pub(crate) has_changed: bool,
    pub(crate) snapshots: SnapshotRule,
    /// When the first of the records was taken up about which is being decided.
    pub(crate) taken_up: Option<Instant>,
    pub(crate) reports: Reports,
}

/// What the loop wakes up for.
enum Wake {
    Command(Option<Command>),
    Records(Result<Vec<Message>, BusError>),
    Delivery(Delivery),
    Recovered(Result<Recovered, BusError>),
    Clock,
}

impl Actor {
    /// The loop. Ends when the handle is dropped, another operator leads, or the bus breaks.
    pub(crate) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) -> Exit {
        loop {
            if let Some(exit) = self.turn() {
                return self.leave(exit).await;
            }
            let wake_at = self.sleep_until();
            // Always in this order, so that a test that is run again sees the same. It starves nobody: behind commands
            // records are looked for too, runs that were read back are few, and a reader that always has more leaves
            // only that waiting which each turn looks at by itself, acknowledgements and the time.
            let wake = tokio::select! {
                biased;
                command = commands.recv() => Wake::Command(command),
                recovered = self.arrivals.finished() => Wake::Recovered(recovered),
                batch = self.reader.next() => Wake::Records(batch),
                delivery = self.outbox.news() => Wake::Delivery(delivery),
                () = tokio::time::sleep_until(wake_at) => Wake::Clock,
            };
            if let Err(exit) = self.see(wake, &mut commands) {
                return self.leave(exit).await;
            }
        }
    }

    /// Obeys what is waiting, and takes in what has happened meanwhile. Whoever follows a run asks at each change: with a
    /// thousand runs a turn for each question, over all runs, would leave no time for anything else.
    fn obey_all(
        &mut self,
        first: Command,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Result<(), Exit> {
        self.obey(first)?;
        for _ in 0..commands.len() {
            if let Ok(command) = commands.try_recv() {
                self.obey(command)?;
            }
        }
        if let Some(recovered) = self.arrivals.finished().now_or_never() {
            self.park(recovered.map_err(Exit::Broken)?);
        }
        if let Some(batch) = self.reader.next().now_or_never() {
            self.take_in_all(&batch.map_err(Exit::Broken)?)?;
        }
        Ok(())
    }

    /// Takes in what happened; what to do about it is decided in the next turn.
    fn see(&mut self, wake: Wake, commands: &mut mpsc::UnboundedReceiver<Command>) -> Result<(), Exit> {
        match wake {
            Wake::Command(Some(command)) => self.obey_all(command, commands)?,
            Wake::Command(None) => return Err(Exit::Stopped),
            // A reader comes back by itself when the broker does: one that fails is at its end.
            Wake::Records(batch) => self.take_in_all(&batch.map_err(Exit::Broken)?)?,
            Wake::Delivery(delivery) => _ = self.hear(delivery).map_err(Exit::Broken)?,
            Wake::Recovered(recovered) => self.park(recovered.map_err(Exit::Broken)?),
            Wake::Clock => {}
        }
        Ok(())
    }

    /// What the first records of a batch let be published is on its way while the others are taken in.
    fn take_in_all(&mut self, batch: &[Message]) -> Result<(), Exit> {
        for part in batch.chunks(AT_A_TIME) {
            self.taken_up = Some(Instant::now());
            for message in part {
                self.take_in(message);
            }
            if let Some(exit) = self.turn() {
                return Err(exit);
            }
        }
        self.taken_up = None;
        Ok(())
    }

    /// Decides for every run and carries the effects out, until the bus has nothing more to say about them.
    fn turn(&mut self) -> Option<Exit> {
        loop {
            if let Some(epoch) = self.term.superseded_by() {
                return Some(Exit::Superseded { epoch });
            }
            self.welcome();
            self.decide_all();
            // The in-memory bus acknowledges at once: no need to go to sleep for it.
            let mut matters = false;
            while let Some(delivery) = self.outbox.known_news() {
                match self.hear(delivery) {
                    Ok(heard) => matters |= heard,
                    Err(error) => return Some(Exit::Broken(error)),
                }
            }
            if !matters {
                break;
            }
        }
        if std::mem::take(&mut self.has_changed) {
            for run in self.runs.iter_mut().filter_map(Run::tell_end) {
                // Nobody may listen.
                let _ = self.reports.ended.send(run);
            }
            self.reports.changed.send_modify(|version| *version += 1);
            self.demand_is_stale = true;
        }
        self.renew_demand();
        None
    }

    async fn leave(self, exit: Exit) -> Exit {
        if matches!(exit, Exit::Stopped) {
            // Best effort: whoever takes over publishes what is not there.
            let _ = tokio::time::timeout(FLUSH, self.outbox.flush()).await;
        }
        match &exit {
            Exit::Broken(error) => warn!(events = %self.events_topic, %error, "no longer leading"),
            Exit::Stopped | Exit::Superseded { .. } => {
                info!(events = %self.events_topic, ?exit, "no longer leading");
            }
        }
        exit
    }

    fn sleep_until(&self) -> Instant {
        let in_ms = self.wake_at.map_or(REST_MS, |at| (at - self.clock.now_ms()).clamp(1, REST_MS));
        let wake = Instant::now() + Duration::from_millis(in_ms as u64);
        let demand_due = self.demand_is_stale.then_some(self.demand_due);
        [demand_due, self.outbox.again_at()].into_iter().flatten().fold(wake, Instant::min)
    }

    fn obey(&mut self, command: Command) -> Result<(), Exit> {
        match command {
            Command::Add(settings) => self.add(*settings),
            Command::Begin(settings) => self.begin(*settings),
            Command::Order(uid, orders) => self.order(&uid, orders),
            Command::Remove(uid, done) => {
                self.remove(&uid);
                // Whoever asks may have given up waiting, here and below.
                let _ = done.send(());
            }
            Command::View(uid, detail, reply) => _ = reply.send(self.view(&uid, detail)),
            Command::Needed(reply) => _ = reply.send(self.needed()),
            Command::Busy(stage, reply) => _ = reply.send(busy::workers(self.runs.iter(), &stage)),
            Command::Stop => return Err(Exit::Stopped),
        }
        Ok(())
    }

    /// A run comes to an actor that leads already. One that is not in the log yet is here at once.
    fn add(&mut self, settings: RunSettings) {
        if settings.start_offset >= self.position {
            self.begin(settings);
        } else if !self.has(&settings.uid) {
            let slots = self.stages.slots(&settings.plan);
            self.arrivals.add(settings, slots, self.position);
        }
    }

    /// A run of which nothing stands in the log.
    fn begin(&mut self, settings: RunSettings) {
        if !self.has(&settings.uid) {
            let slots = self.stages.slots(&settings.plan);
            let mut run = Run::new(settings, slots);
            run.begin_at(self.position);
            run.is_read_back(0);
            self.insert(run);
        }
    }

    fn has(&self, uid: &RunUid) -> bool {
        self.runs.number(uid.as_str()).is_some() || self.arrivals.contains(uid.as_str())
    }

    pub(crate) fn insert(&mut self, run: Run) {
        self.runs.insert(run);
        self.has_changed = true;
    }

    /// Takes runs in that were read back, and has others read back.
    fn welcome(&mut self) {
        if !self.term.is_asking() {
            for (mut run, published) in self.arrivals.take(&self.reports.stats) {
                run.recover(&published, &mut self.stages.windows);
                self.insert(run);
            }
        }
        if self.arrivals.may_start() {
            let source = Source {
                bus: self.bus.clone(),
                events: self.events_topic.clone(),
                ready_topics: self.stages.topics(self.arrivals.slots()),
                position: self.position,
                led_from: self.led_from,
                stats: self.reports.stats.clone(),
            };
            self.arrivals.start(source);
        }
    }

    /// Runs were read back. When their records name a term that is not below ours, ours never began for them and
    /// nothing that we write would count: a higher one has to begin first.
    fn park(&mut self, recovered: Recovered) {
        let former = recovered.former_term;
        self.arrivals.park(recovered);
        if former >= self.term.writes() {
            self.ask_for_term(former);
        }
    }

    fn order(&mut self, uid: &RunUid, orders: Orders) {
        self.arrivals.order(uid, orders);
        if let Some(run) = self.runs.find(uid.as_str()) {
            self.has_changed |= run.orders != orders;
            run.orders = orders;
        }
    }

    fn remove(&mut self, uid: &RunUid) {
        let was_arriving = self.arrivals.remove(uid);
        let removed = self.runs.remove(uid.as_str());
        let was_here = removed.is_some();
        if let Some((number, mut run)) = removed {
            run.vacate(&mut self.stages.windows);
            self.outbox.forget(number);
        }
        if was_here || was_arriving {
            self.outbox.write(None, vec![records::on_control(uid, None, &self.control_topic)]);
            self.has_changed = true;
        }
    }

    fn needed(&self) -> Option<Needed> {
        let from = self.runs.iter().map(Run::needed_from).min();
        self.arrivals.is_empty().then_some(Needed { from, position: self.position })
    }

    fn view(&self, uid: &RunUid, detail: Detail) -> Option<RunSnapshot> {
        let number = self.runs.number(uid.as_str())?;
        let run = self.runs.get(number)?;
        let is_told =
            run.gate.told.is_some() && run.gate.told == control::wanted(run) && run.gate.acknowledged;
        Some(RunSnapshot {
            view: project(&run.state, &run.dispatch, detail),
            settled: is_told && self.outbox.is_settled(number),
            start_offset: run.snapshots.start(),
            needed_from: run.needed_from(),
            problem: run.problem().map(str::to_owned),
        })
    }
}
