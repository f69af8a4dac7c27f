//! Decides for each run, carries the effects out, and hears what became of them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use orch_bus::{BusError, Undelivered};
use orch_core::engine::{Append, Effects, OperatorReason, decide};
use orch_core::id::{Millis, ObjectIx, StageIx};
use orch_wire::{Part, RunRecord, RunRecordKind};
use tokio::time::Instant;

use crate::actor::Actor;
use crate::control;
use crate::handle::{Demand, StageDemand};
use crate::outbox::{Delivery, Own, Token};
use crate::records::{self, Address};
use crate::run::{Gate, Run, with_slots};
use crate::stats::Notice;

/// A ready record that the bus gave up is published again after this.
const PUBLISH_AGAIN_MS: Millis = 1_000;
/// While the bus is away no sign of life can come, and for so long after it is back those that waited may still be on
/// their way: nobody is given up meanwhile.
pub(crate) const GRACE_MS: Millis = 15_000;
/// The demand is renewed no more often than this.
const DEMAND_INTERVAL: Duration = Duration::from_millis(100);

impl Actor {
    /// Decides for every run and carries the effects out.
    pub(crate) fn decide_all(&mut self) {
        let now = self.clock.now_ms();
        let (runs, arrivals, control) = (&self.runs, &self.arrivals, &self.control_topic);
        self.outbox.send_again(|number, own| {
            if let Some(run) = own.run {
                return runs
                    .get(run)
                    .is_some_and(|run| own.record.topic != *control || run.gate.record == number);
            }
            // A `LeaderStarted`, or the end of a run that is gone, unless it has come again.
            let key = std::str::from_utf8(&own.record.key).unwrap_or_default();
            runs.number(key).is_none() && !arrivals.contains(key)
        });
        let away = self.bus.trouble().is_some();
        for run in self.runs.iter_mut() {
            run.absorb(&mut self.stages.windows);
            if away {
                run.dispatch.hold_timeouts(now + GRACE_MS);
            }
        }
        self.stages.windows.iter_mut().for_each(|window| window.measure(now));
        self.wake_at = None;
        let numbers = self.runs.numbers();
        for number in &numbers {
            self.open_or_close(*number);
        }
        let shares = self.stages.shares(self.runs.iter());
        for (number, share) in numbers.iter().zip(&shares) {
            self.decide(*number, share, now);
            self.keep_state(*number, now);
        }
        self.give_out_leftovers(&numbers, now);
    }

    /// A run may leave room of its share unused: its objects are limited by `maxInFlight` over all stages, or were
    /// answered while they waited. Without this it would stay unused until something else happens, maybe for ever.
    fn give_out_leftovers(&mut self, numbers: &[u32], now: Millis) {
        let first = self.leftover_turn % numbers.len().max(1);
        for number in numbers[first..].iter().chain(&numbers[..first]) {
            let room = self.runs.get(*number).and_then(|run| self.stages.leftover(run));
            if let Some(room) = room {
                self.leftover_turn = self.leftover_turn.wrapping_add(1);
                self.decide(*number, &room, now);
            }
        }
    }

    fn decide(&mut self, number: u32, allowance: &[u32], now: Millis) {
        let Some(run) = self.runs.get_mut(number).filter(|run| run.problem().is_none()) else { return };
        let orders = run.effective_orders();
        let Run { dispatch, state, slots, .. } = run;
        let effects = with_slots(&mut self.stages.windows, slots, |windows| {
            decide(state, dispatch, now, &orders, (windows, allowance))
        });
        self.perform(number, &effects, now);
    }

    /// Writes the state of a run into its log when that is due: first the mark, and the state when that is read back.
    fn keep_state(&mut self, number: u32, now: Millis) {
        let (rule, epoch) = (self.snapshots, self.term.writes());
        let Some(run) = self.runs.get_mut(number) else { return };
        let mut own = Vec::new();
        let mut write = |id: &str, part: Option<Part<'static>>| {
            let kind = RunRecordKind::RunSnapshot { id: id.to_owned(), part };
            let of = (run.name.clone(), run.state.uid().clone());
            own.push(records::on_events(&RunRecord { run: Some(of), epoch, kind }, &self.events_topic, now));
        };
        if let Some((id, parts)) = run.snapshots.unwritten() {
            for part in parts {
                write(&id, Some(part));
            }
        }
        if run.has_state_to_keep()
            && let Some(id) = run.snapshots.ask(rule, epoch, now)
        {
            write(&id, None);
        }
        if !own.is_empty() {
            self.outbox.write(Some(number), own);
        }
    }

    fn perform(&mut self, number: u32, effects: &Effects, now: Millis) {
        if let Some(at) = effects.wake_at {
            self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
        }
        if effects.publish.is_empty() && effects.append.is_empty() {
            return;
        }
        let Some(run) = self.runs.get_mut(number) else { return };
        let name = run.name.clone();
        let address = Address {
            run: &name,
            names_processors: run.names_processors,
            events_topic: &self.events_topic,
            epoch: self.term.writes(),
            now,
        };
        let mut ready = Vec::with_capacity(effects.publish.len());
        let mut appends = effects.append.clone();
        for publish in &effects.publish {
            let slot = run.slots[run.state.plan().object(publish.object).stage.usize()];
            match records::ready(&run.state, &address, self.stages.ready_topic(slot), *publish) {
                Some(mut record) => {
                    record.token = Token::Ready { run: number, object: publish.object }.encode();
                    ready.push(record);
                    run.note_published(publish.object);
                }
                None => {
                    appends.push(Append::Expire(
                        publish.object,
                        publish.attempt,
                        OperatorReason::RecordTooLarge,
                    ));
                }
            }
        }
        let own = appends.iter().map(|append| {
            records::on_events(
                &records::operator_record(&run.state, &address, *append),
                &self.events_topic,
                now,
            )
        });
        let own = own.collect();
        let published = ready.len() as u64;
        self.outbox.publish(ready);
        self.reports.stats.published.fetch_add(published, Ordering::Relaxed);
        if let Some(since) = self.taken_up.filter(|_| published > 0) {
            self.reports.stats.answer_to_ready.observe(since.elapsed(), published);
        }
        self.outbox.write(Some(number), own);
        self.has_changed = true;
    }

    /// Tells the workers what they may do for a run, when that has changed.
    fn open_or_close(&mut self, number: u32) {
        let Some(run) = self.runs.get_mut(number) else { return };
        let Some(wanted) = control::wanted(run).filter(|wanted| run.gate.told != Some(*wanted)) else {
            return;
        };
        let record = records::on_control(run.uid(), Some(wanted), &self.control_topic);
        let record = self.outbox.write(Some(number), vec![record]);
        run.gate = Gate { told: Some(wanted), record, acknowledged: false };
    }

    /// Takes in what the bus says about records that were handed to it, and says whether there is something new to
    /// decide. `Err`: it will never take them.
    pub(crate) fn hear(&mut self, delivery: Delivery) -> Result<bool, BusError> {
        match delivery {
            Delivery::Acknowledged(tokens) => {
                let closed = self.outbox.close(&tokens);
                let matters = !closed.is_empty();
                for (record, Own { run, .. }) in closed {
                    let Some(number) = run else { continue };
                    // Somebody may wait for the run to be settled.
                    self.has_changed = true;
                    if let Some(run) = self.runs.get_mut(number).filter(|run| run.gate.record == record) {
                        run.gate.acknowledged = true;
                    }
                }
                Ok(matters)
            }
            Delivery::GivenUp(undelivered) => self.given_up(undelivered).map(|()| true),
        }
    }

    fn given_up(&mut self, undelivered: Undelivered) -> Result<(), BusError> {
        let token = Delivery::token(&undelivered);
        match (undelivered.error, token) {
            (error @ (BusError::UnknownTopic(_) | BusError::Denied(_) | BusError::Config(_)), _) => {
                Err(error)
            }
            (error, Token::Own(number)) => {
                self.outbox.postpone(number, &error);
                Ok(())
            }
            (error, Token::Ready { run, object }) => {
                self.ready_given_up(run, object, &error);
                Ok(())
            }
        }
    }

    /// A ready record is published again later, or its object fails when no topic takes the record.
    fn ready_given_up(&mut self, number: u32, object: ObjectIx, error: &BusError) {
        let Some(run) = self.runs.get_mut(number) else { return };
        // Answered all the same, or given up before.
        let Some(attempt) = run.dispatch.publication(object).map(|publication| publication.attempt) else {
            return;
        };
        let now = self.clock.now_ms();
        self.has_changed = true;
        if matches!(error, BusError::TooLarge(_)) {
            let append = Append::Expire(object, attempt, OperatorReason::RecordTooLarge);
            return self.perform(number, &Effects { append: vec![append], ..Effects::default() }, now);
        }
        let notice = Notice::Undelivered {
            run_uid: run.uid().as_str().to_owned(),
            object: run.state.plan().object(object).id.as_str().to_owned(),
            problem: error.to_string(),
        };
        let Run { dispatch, state, slots, .. } = run;
        with_slots(&mut self.stages.windows, slots, |windows| {
            dispatch.unpublish(state, object, (attempt, now + PUBLISH_AGAIN_MS), windows);
        });
        // A full channel drops it: it will be written in the end, or the next one is heard.
        let _ = self.reports.notices.try_send(notice);
    }

    pub(crate) fn renew_demand(&mut self) {
        let now = Instant::now();
        if !self.demand_is_stale || self.demand_due > now {
            return;
        }
        self.demand_is_stale = false;
        self.demand_due = now + DEMAND_INTERVAL;
        let demand = self.demand();
        self.reports.demand.send_if_modified(|old| {
            let differs = *old != demand;
            *old = demand;
            differs
        });
    }

    fn demand(&mut self) -> Demand {
        let mut outstanding: Vec<Option<u32>> = vec![None; self.stages.len()];
        let mut soon = vec![false; self.stages.len()];
        for run in self.runs.iter_mut().filter(|run| !run.is_over()) {
            for (stage, slot) in run.slots.iter().enumerate() {
                *outstanding[*slot].get_or_insert(0) += run.dispatch.outstanding(StageIx(stage as u16));
            }
            run.mark_soon(&mut soon);
        }
        let of_slot = |(slot, outstanding): (usize, Option<u32>)| {
            Some(StageDemand {
                stage: self.stages.stage(slot).clone(),
                outstanding: outstanding?,
                soon: soon[slot],
            })
        };
        let mut stages: Vec<StageDemand> = outstanding.into_iter().enumerate().filter_map(of_slot).collect();
        stages.sort_by(|a, b| a.stage.cmp(&b.stage));
        Demand { stages }
    }
}
