//! The loop of a worker: ready records in, work, answers out. Everything meets in one task; only work that takes time
//! has tasks of its own.

use std::sync::Arc;
use std::time::Duration;

use orch_bus::{Bus, Message, Undelivered};
use orch_core::drain::Drain;
use orch_core::duration;
use orch_core::engine::Failure;
use orch_core::id::Millis;
use orch_wire::AnswerKind;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::control::{ControlFeed, ControlUpdate};
use crate::gate::{Gate, Verdict};
use crate::health::Health;
use crate::heartbeat::{Due, Pulse};
use crate::in_flight::{Ended, InFlight, Report, Running, attempt, attempt_now};
use crate::inputs::InputReader;
use crate::membership::{Leaving, Membership};
use crate::outbox::{Counters, Done, Outbox, Outcome, Place};
use crate::work::Names;
use crate::{Processors, Progress, Settings, Work, WorkFailure};

/// How often answers that the bus gave up are sent again.
const TICK: Duration = Duration::from_secs(1);
/// Malformed records that are logged one by one; of more only each doubling.
const LOGGED_ONE_BY_ONE: u64 = 10;

/// Where everything comes from.
pub(crate) struct Channels {
    pub(crate) control: ControlFeed,
    pub(crate) member: Membership,
    pub(crate) acknowledged: UnboundedReceiver<Vec<u64>>,
    pub(crate) undelivered: UnboundedReceiver<Undelivered>,
}

/// What others can see of the worker.
pub(crate) struct Outside {
    pub(crate) health: Health,
    pub(crate) counters: Counters,
}

/// What happens to a worker.
enum Event {
    Shutdown,
    Control(Option<ControlUpdate>),
    Acknowledged(Vec<u64>),
    Undelivered(Undelivered),
    Ended(Ended),
    Time,
    Slot(OwnedSemaphorePermit),
    Ready(Vec<Message>),
}

/// A ready record of a run that nothing was heard of yet. It keeps its slot.
struct Undecided {
    /// Decided when [`ControlUpdate::Synced`] says this number or a later one.
    question: u64,
    work: Work,
    place: Place,
    slot: OwnedSemaphorePermit,
}

/// The state of a worker at work.
pub(crate) struct WorkLoop {
    bus: Arc<dyn Bus>,
    settings: Settings,
    processors: Processors,
    inputs: InputReader,
    outside: Outside,
    channels: Channels,
    outbox: Outbox,
    gate: Gate,
    /// Those of the newest record.
    names: Option<Names>,
    /// Whether `control` was read to its end once: nothing is taken before.
    synced: bool,
    undecided: Vec<Undecided>,
    in_flight: InFlight,
    ended: (UnboundedSender<Ended>, UnboundedReceiver<Ended>),
    slots: Arc<Semaphore>,
    /// The slot for the next record, taken before it is asked for.
    held: Option<OwnedSemaphorePermit>,
    next_tick: Instant,
    shutdown: CancellationToken,
    /// When a shutdown was asked for.
    draining_since: Option<Instant>,
    /// When what is still in work is handed over.
    hand_over_at: Option<Instant>,
    /// The task that leaves the group, once it has begun.
    leaving: Option<Leaving>,
}

impl WorkLoop {
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        (settings, processors): (Settings, Processors),
        outside: Outside,
        mut channels: Channels,
        outbox: Outbox,
        shutdown: CancellationToken,
    ) -> Self {
        channels.control.ask();
        let slots = Arc::new(Semaphore::new(settings.concurrency.clamp(1, Semaphore::MAX_PERMITS)));
        let inputs = InputReader::new(bus.clone(), &settings.events_topic);
        Self {
            bus,
            settings,
            processors,
            inputs,
            outside,
            channels,
            outbox,
            gate: Gate::default(),
            names: None,
            synced: false,
            undecided: Vec::new(),
            in_flight: InFlight::default(),
            ended: mpsc::unbounded_channel(),
            slots,
            held: None,
            next_tick: Instant::now() + TICK,
            shutdown,
            draining_since: None,
            hand_over_at: None,
            leaving: None,
        }
    }

    /// Works until a shutdown, drains, and leaves the group.
    pub(crate) async fn run(mut self) {
        while !self.is_drained() {
            // A backlog must not keep the task from giving way to others.
            tokio::task::coop::consume_budget().await;
            let event = self.next_event().await;
            self.handle(event);
            self.outbox.send();
            if self.draining_since.is_some() && self.needs_no_partition() {
                self.leave();
            }
        }
        let (stopped, unacknowledged) = (self.in_flight.len(), self.outbox.len());
        if stopped + unacknowledged > 0 {
            warn!(stopped, unacknowledged, "the time to drain is over; another worker gets what is left");
            self.stop_all().await;
        }
        self.leave();
        let left_by = self.drain_time(|drain| drain.left);
        let Some(leaving) = self.leaving else { return };
        match timeout_at(left_by, leaving).await {
            Ok(Ok(Ok(()))) => info!("left the consumer group"),
            Ok(Ok(Err(error))) => warn!(%error, "left the consumer group without a last commit"),
            Ok(Err(error)) => error!(%error, "leaving the consumer group"),
            Err(_) => warn!("the consumer group was not left in time"),
        }
    }

    /// Whether what is still in work is finished as far as the group knows.
    fn needs_no_partition(&self) -> bool {
        self.outbox.is_empty() && self.in_flight.iter().all(|(_, running)| running.is_handed_over)
    }

    fn leave(&mut self) {
        if let Some(leaving) = self.channels.member.leave() {
            self.leaving = Some(leaving);
        }
    }

    /// Ends what the time does not suffice for. The group gives another worker what was not handed over; of the rest
    /// the operator is told, so that it waits for no heartbeat.
    async fn stop_all(&mut self) {
        self.in_flight.abort_all();
        let handed_over = self.in_flight.iter().filter(|(_, running)| running.is_handed_over);
        for id in handed_over.map(|(id, _)| id).collect::<Vec<_>>() {
            if let Some(running) = self.in_flight.remove(id) {
                self.answer(running, Err(drained()));
            }
        }
        self.outbox.send();
        // What is not acknowledged by then is left to its heartbeat.
        let _ = timeout_at(self.drain_time(|drain| drain.answered), self.outbox.flush()).await;
    }

    fn is_drained(&self) -> bool {
        let idle = self.in_flight.is_empty() && self.outbox.is_empty();
        self.draining_since.is_some() && (idle || Instant::now() >= self.drain_time(|drain| drain.stop))
    }

    /// An instant of the drain.
    fn drain_time(&self, of: impl FnOnce(Drain) -> Duration) -> Instant {
        self.draining_since.unwrap_or_else(Instant::now) + of(self.settings.drain)
    }

    async fn next_event(&mut self) -> Event {
        let open = self.draining_since.is_none();
        let polling = open && self.synced;
        if polling && self.held.is_none() {
            self.held = self.slots.clone().try_acquire_owned().ok();
        }
        let (full, room) = (self.held.is_none(), 1 + self.slots.available_permits());
        let time = self.wake_at();
        // In this order, so that a backlog of ready records keeps nothing else waiting.
        tokio::select! {
            biased;
            () = self.shutdown.cancelled(), if open => Event::Shutdown,
            update = self.channels.control.next() => Event::Control(update),
            Some(tokens) = self.channels.acknowledged.recv() => Event::Acknowledged(tokens),
            Some(record) = self.channels.undelivered.recv() => Event::Undelivered(record),
            Some(ended) = self.ended.1.recv() => Event::Ended(ended),
            () = sleep_until(time) => Event::Time,
            Ok(slot) = self.slots.clone().acquire_owned(), if polling && full => Event::Slot(slot),
            records = self.channels.member.next(room), if polling && !full => Event::Ready(records),
        }
    }

    fn wake_at(&self) -> Instant {
        let stop_at = self.draining_since.map(|since| since + self.settings.drain.stop);
        let others = [self.in_flight.next_due(), stop_at, self.hand_over_at];
        others.into_iter().flatten().fold(self.next_tick, Instant::min)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Shutdown => self.begin_to_drain(),
            Event::Control(update) => self.control(update),
            Event::Acknowledged(tokens) => tokens.into_iter().for_each(|token| self.acknowledged(token)),
            Event::Undelivered(record) => self.outbox.undelivered(&record),
            Event::Ended(ended) => self.ended(ended),
            Event::Time => self.time(Instant::now()),
            Event::Slot(slot) => self.held = Some(slot),
            Event::Ready(records) => records.iter().for_each(|record| self.ready(record)),
        }
    }

    fn begin_to_drain(&mut self) {
        info!(in_work = self.in_flight.len(), unacknowledged = self.outbox.len(), "draining");
        self.outside.health.leaving();
        self.held = None;
        // Not begun, not finished: another worker gets them.
        self.undecided.clear();
        let now = Instant::now();
        self.draining_since = Some(now);
        self.hand_over_at = Some(now + self.settings.drain.hand_over);
    }

    /// Says of everything in work that it has begun. When that is acknowledged its record is finished: the group may
    /// give the partition, and what waits in it, to others, while the work goes on here.
    fn hand_over(&mut self) {
        for (id, running) in self.in_flight.iter() {
            self.outbox.hand_over(&running.work, id);
        }
    }

    fn acknowledged(&mut self, token: u64) {
        let member = &self.channels.member;
        let Some(id) = Outbox::handed_over(token) else {
            return self.outbox.acknowledged(token, |place| member.finish(place));
        };
        // What has ended meanwhile has its answer on its way.
        if let Some(running) = self.in_flight.get_mut(id) {
            running.is_handed_over = true;
            running.more_places.iter().chain([&running.place]).for_each(|place| member.finish(*place));
        }
    }

    fn control(&mut self, update: Option<ControlUpdate>) {
        match update {
            Some(ControlUpdate::Records(records)) => {
                let unreadable = self.gate.apply(&records);
                if unreadable > 0 {
                    warn!(unreadable, "records of the control topic that cannot be read were skipped");
                }
            }
            Some(ControlUpdate::Synced(number)) => {
                if !self.synced {
                    self.synced = true;
                    self.outside.health.control_read();
                }
                self.decide(number);
            }
            None => {
                error!("the reader of the control topic ended; starting it again");
                let topic = self.settings.control_topic.clone();
                self.channels.control = ControlFeed::start(self.bus.clone(), topic);
                let question = self.channels.control.ask();
                self.undecided.iter_mut().for_each(|undecided| undecided.question = question);
            }
        }
    }

    /// Everything that was in `control` when question `number` was asked is known: decides what waits for it.
    fn decide(&mut self, number: u64) {
        let ripe = self.undecided.extract_if(.., |undecided| undecided.question <= number);
        for Undecided { work, place, slot, .. } in ripe.collect::<Vec<_>>() {
            match self.gate.verdict(work.run_uid()) {
                Verdict::Start => self.start(work, place, slot),
                Verdict::Skip | Verdict::Unknown => self.skip(&work, place),
            }
        }
    }

    fn ready(&mut self, record: &Message) {
        let place = Place { partition: record.partition, offset: record.offset };
        let slot = self.held.take().or_else(|| self.slots.clone().try_acquire_owned().ok());
        let Some(slot) = slot else {
            // The bus gave more than it was asked for. Nothing is lost: it comes again after a restart.
            error!(partition = place.partition, offset = place.offset, "the bus gave a record too many");
            return;
        };
        let work = match Work::decode_like(
            &mut self.names,
            &record.key,
            &record.value,
            record.reply_topic.clone(),
        ) {
            Ok(work) => work,
            Err(problem) => {
                let count = self.outside.counters.malformed();
                if count <= LOGGED_ONE_BY_ONE || count.is_power_of_two() {
                    warn!(error = %problem, partition = place.partition, offset = place.offset, count, "skipped a malformed ready record");
                }
                return self.channels.member.finish(place);
            }
        };
        match self.gate.verdict(work.run_uid()) {
            Verdict::Start => self.start(work, place, slot),
            Verdict::Skip => self.skip(&work, place),
            Verdict::Unknown => {
                let question = self.channels.control.ask();
                self.undecided.push(Undecided { question, work, place, slot });
            }
        }
    }

    fn skip(&mut self, work: &Work, place: Place) {
        self.outside.counters.skipped();
        debug!(run = work.run(), run_uid = %work.run_uid(), object = %work.object(), "skipped: its run is not open");
        self.channels.member.finish(place);
    }

    fn start(&mut self, work: Work, place: Place, slot: OwnedSemaphorePermit) {
        if self.outbox.holds(place) || self.in_flight.attach(&work, place) {
            debug!(object = %work.object(), attempt = work.attempt(), "came again while it is in work");
            return;
        }
        debug!(run = work.run(), object = %work.object(), attempt = work.attempt(), "started");
        let processor = match self.processors.of(&work) {
            Ok(processor) => processor,
            Err(failure) => {
                return self.outbox.answer(at_once(work, Err(failure)), place, Vec::new());
            }
        };
        let inputs = work.may_have_distant_inputs().then(|| self.inputs.clone());
        if inputs.is_none()
            && let Some(outcome) = attempt_now(&**processor, &work)
        {
            return self.outbox.answer(at_once(work, outcome), place, Vec::new());
        }
        let id = self.in_flight.next_id();
        let progress = Progress::default();
        let report = Report::new(id, self.ended.0.clone(), slot);
        let attempt = attempt(processor.clone(), inputs, work.clone(), progress.clone(), report);
        let task = tokio::spawn(attempt).abort_handle();
        let began = Instant::now();
        let pulse = Pulse::new(began, work.heartbeat(), work.run_timeout());
        let (more_places, is_handed_over) = (Vec::new(), false);
        let running = Running { work, place, more_places, is_handed_over, progress, began, pulse, task };
        self.in_flight.insert(id, running);
    }

    fn ended(&mut self, ended: Ended) {
        let Some(running) = self.in_flight.remove(ended.id) else { return };
        let outcome = ended.outcome.unwrap_or_else(|| Err(stopped(&running)));
        self.answer(running, outcome);
    }

    fn answer(&mut self, running: Running, outcome: Outcome) {
        let done = Done { work: running.work, outcome, elapsed: running.began.elapsed() };
        self.outbox.answer(done, running.place, running.more_places);
    }

    fn time(&mut self, now: Instant) {
        while let Some((id, due)) = self.in_flight.due(now) {
            self.due(id, due);
        }
        if self.hand_over_at.is_some_and(|at| now >= at) {
            self.hand_over_at = None;
            self.hand_over();
        }
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            let member = &self.channels.member;
            self.outbox.retry(&self.gate, |place| member.finish(place));
        }
    }

    fn due(&mut self, id: u64, due: Due) {
        let Some(running) = self.in_flight.get(id) else { return };
        match due {
            Due::Started => self.outbox.sign(&running.work, AnswerKind::Started),
            Due::Beat => {
                let newest = running.progress.newest();
                let message = newest.message.map(Into::into);
                self.outbox.sign(&running.work, AnswerKind::Progress { progress: newest.progress, message });
            }
            Due::Stop => running.task.abort(),
            Due::GiveUp => {
                warn!(object = %running.work.object(), "the work does not stop at its run timeout; its slot stays taken");
                self.ended(Ended { id, outcome: None });
            }
        }
    }
}

/// Work that took less than anybody would measure.
fn at_once(work: Work, outcome: Outcome) -> Done {
    Done { work, outcome, elapsed: Duration::ZERO }
}

/// The failure of an attempt that the worker had no time for.
fn drained() -> WorkFailure {
    WorkFailure::new(Failure::DRAINED, "the worker had to stop before the work had ended")
}

/// The failure of an attempt that was stopped.
fn stopped(running: &Running) -> WorkFailure {
    let limit = running.work.run_timeout().unwrap_or_default().as_millis() as Millis;
    let limit = duration::display(limit);
    WorkFailure::new(
        "RunTimeout",
        format!("stopped by the worker: it took longer than its run timeout of {limit}"),
    )
}
