//! Becoming the leader of a set of topics, and recovering its runs in one pass over the events.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use orch_bus::{Bus, BusError};
use orch_core::id::Epoch;
use orch_wire::{RunRecord, RunRecordKind};
use tokio::time::Instant;
use tracing::info;

use crate::actor::{Actor, Reports};
use crate::arrivals::Arrivals;
use crate::effects::GRACE_MS;
use crate::handle::{PipelineSettings, RunSettings};
use crate::outbox::{Delivery, Outbox};
use crate::records;
use crate::recovery::{Published, next_batch, of_run, positions, published};
use crate::run::Run;
use crate::runs::Runs;
use crate::stages::Stages;
use crate::term::Term;

/// A bus that answers takes a record within this.
const ANSWERED: Duration = Duration::from_secs(30);

/// Tells the actors of this process apart.
static ACTORS: AtomicU64 = AtomicU64::new(1);

/// A name that no other actor has, also not one of the same pod after a restart.
fn unique(settings: &PipelineSettings) -> String {
    let PipelineSettings { leader, clock, .. } = settings;
    format!("{leader}/{:x}-{}", clock.now_ms(), ACTORS.fetch_add(1, Ordering::Relaxed))
}

impl Actor {
    /// Becomes the leader of the topics and recovers `runs`. Fails when the bus does not answer; the caller tries again.
    pub(crate) async fn take_over(
        bus: Arc<dyn Bus>,
        settings: PipelineSettings,
        runs: Vec<RunSettings>,
        reports: Reports,
    ) -> Result<Self, BusError> {
        let outbox = Outbox::open(&*bus).await?;
        let mut stages = Stages::new(&settings);
        let runs: Vec<(RunSettings, Vec<usize>)> = runs
            .into_iter()
            .map(|run| (stages.slots(&run.plan), run))
            .map(|(slots, run)| (run, slots))
            .collect();
        let ready_topics = stages.topics(runs.iter().flat_map(|(_, slots)| slots));
        // Before the events are read: see `recovery`.
        let positions = positions(&*bus, ready_topics).await?;
        let events_topic: Arc<str> = settings.names.events().into();
        let end = bus.bounds(&events_topic).await?.first().map_or(0, |bounds| bounds.high);
        let start = runs.iter().map(|(run, _)| run.start_offset).min().unwrap_or(end).min(end);
        let mut actor = Self {
            reader: bus.read(&events_topic, 0, start..end).await?,
            bus,
            clock: settings.clock.clone(),
            outbox,
            control_topic: settings.names.control().into(),
            events_topic,
            stages,
            runs: Runs::default(),
            arrivals: Arrivals::default(),
            term: Term::new(unique(&settings), settings.known_epoch),
            position: start,
            led_from: end,
            count_from: end,
            leftover_turn: 0,
            wake_at: None,
            demand_due: Instant::now(),
            demand_is_stale: true,
            has_changed: true,
            snapshots: settings.snapshots,
            taken_up: None,
            reports,
        };
        for (settings, slots) in runs {
            let mut run = Run::new(settings, slots);
            // A topic that was made anew begins at 0 again.
            run.begin_at(run.from.min(end));
            if actor.runs.number(run.uid().as_str()).is_none() {
                actor.runs.insert(run);
            }
        }
        actor.lead(start..end).await?;
        // Asked when all was read: what goes meanwhile was not read in part.
        let low = actor.bus.bounds(&actor.events_topic).await?.first().map_or(0, |bounds| bounds.low);
        actor.runs.iter_mut().for_each(|run| run.is_read_back(low));
        let started = actor.runs.iter().any(|run| run.state.started_at().is_some());
        let mut found = if started { published(&*actor.bus, positions).await? } else { Published::new() };
        let now = actor.clock.now_ms();
        for run in actor.runs.iter_mut() {
            let published = of_run(&mut found, run);
            run.recover(&published, &mut actor.stages.windows);
            // The bus may have been away before us: signs of life are on their way then.
            if run.state.started_at().is_some() {
                run.dispatch.hold_timeouts(now + GRACE_MS);
            }
        }
        Ok(actor)
    }

    /// Reads to the present end, says `LeaderStarted` with a higher term, and reads on until that comes back. When
    /// another operator said the same term before, ours is void and a higher one follows.
    async fn lead(&mut self, stretch: Range<i64>) -> Result<(), BusError> {
        while self.position < stretch.end && self.read_some().await? {}
        let asked = Instant::now();
        while self.term.own() == 0 {
            if !self.term.is_asking() {
                // The record that began the term of a run may stand before everything that is read here.
                let seen = self.runs.iter().map(|run| run.state.epoch()).max().unwrap_or(0);
                // So may those of other leaders. Each of them begins a term that is at most one above its offset: one
                // above a term before it, which took an offset too, or one above where its leader began to read.
                self.ask_for_term(seen.max(stretch.start as Epoch));
            }
            self.read_some().await?;
            if asked.elapsed() > ANSWERED {
                let what = format!("`{}` takes no records, although the brokers answer", self.events_topic);
                return Err(BusError::Other(what));
            }
        }
        info!(events = %self.events_topic, epoch = self.term.own(), "leading");
        Ok(())
    }

    /// Takes the next records in. `false` when the reader has come to the end that was asked for.
    async fn read_some(&mut self) -> Result<bool, BusError> {
        // Records first: what a leader wrote comes back this way, and acknowledgements wait meanwhile.
        let batch = tokio::select! {
            biased;
            batch = next_batch(&*self.bus, &self.events_topic, &mut *self.reader) => batch?,
            delivery = self.outbox.news() => {
                return match delivery {
                    Delivery::GivenUp(undelivered) => Err(undelivered.error),
                    Delivery::Acknowledged(tokens) => {
                        self.outbox.close(&tokens);
                        Ok(true)
                    }
                };
            }
        };
        let Some(batch) = batch else { return Ok(true) };
        for message in &batch {
            self.take_in(message);
        }
        Ok(!batch.is_empty())
    }

    /// Says `LeaderStarted` with a term above all that are known and above `seen`.
    pub(crate) fn ask_for_term(&mut self, seen: Epoch) {
        let epoch = self.term.ask(seen);
        let kind = RunRecordKind::LeaderStarted { leader: self.term.name().to_owned() };
        let now = self.clock.now_ms();
        let record = records::on_events(&RunRecord { run: None, epoch, kind }, &self.events_topic, now);
        self.outbox.write(None, vec![record]);
    }
}
