//! What breaks, when its time has come.

use orch_bus::Outgoing;
use orch_core::id::Millis;
use serde_json::json;

use super::scenario::{Fault, OPERATORS};
use super::world::World;

/// An operator that nobody hears of loses its Lease after this at the latest.
const LEASE_MS: Millis = 10_000;

impl World {
    pub fn faults_begin(&mut self) {
        let scenario = self.scenario.clone();
        for (at, fault) in scenario.faults.iter().cloned() {
            self.after(at, move |world| world.breaks(&fault));
        }
        for (number, run) in scenario.runs.iter().enumerate() {
            self.after(run.applied_at, move |world| world.note(&format!("run {number} is applied")));
        }
        self.after(scenario.calm_at, World::calms_down);
    }

    fn breaks(&mut self, fault: &Fault) {
        self.note(&format!("{fault:?}"));
        match *fault {
            Fault::Crash { operator, deaf_ms, back_ms } => {
                if let Some(process) = self.operators.process[operator] {
                    self.processes[process].deaf = deaf_ms > 0;
                }
                self.after(deaf_ms, move |world| world.operator_crashes(operator, back_ms));
            }
            Fault::Freeze { operator, ms } => self.operator_freezes(operator, ms),
            Fault::LeaseMoves { both_ms } => self.lease_moves(both_ms),
            Fault::ClockJump { operator, ms } => self.operators.clock_ms[operator] += ms,
            Fault::BrokerAway { ms } => {
                self.broker_back_at = self.broker_back_at.max(self.elapsed() + ms);
                self.after(ms, World::wake_readers);
            }
            Fault::ProducerReplaced { operator } => {
                if let Some(process) = self.operators.process[operator] {
                    self.replace_producer(process);
                }
            }
            Fault::WorkerCrash { worker, back_ms } => self.worker_crashes(worker, back_ms),
            Fault::WorkerDrain { worker, back_ms } => self.worker_drains(worker, back_ms),
            Fault::WorkerCutOff { worker, back_ms } => self.worker_is_cut_off(worker, back_ms),
            Fault::Cancel { run } => {
                self.laws.cancel_ordered.insert(run);
                self.api.change(run, |resource| resource.cancel = true);
            }
            Fault::Noise { kind } => self.noise(kind),
        }
    }

    fn operator_crashes(&mut self, operator: usize, back_ms: Millis) {
        self.operator_ends(operator);
        self.after(back_ms, move |world| world.operator_starts(operator));
        if *self.operators.leads[operator].borrow() && self.dice.percent(50) {
            let wait = self.dice.between(1, LEASE_MS);
            self.after(wait, |world| world.lease_moves(0));
        }
    }

    fn operator_freezes(&mut self, operator: usize, ms: Millis) {
        let Some(process) = self.operators.process[operator] else { return };
        let until = self.elapsed() + ms;
        self.processes[process].frozen_until = until;
        self.after(ms, World::wake_readers);
        if ms > LEASE_MS && *self.operators.leads[operator].borrow() {
            self.after(LEASE_MS, move |world| world.lease_moves(ms - LEASE_MS));
        }
    }

    /// The next operator has the Lease now; the one before believes for a while that it still has it.
    fn lease_moves(&mut self, both_ms: Millis) {
        if self.is_calm() {
            return;
        }
        let before = self.operators.holder;
        let next = (before + 1) % OPERATORS;
        self.operators.holder = next;
        self.note(&format!("the Lease moves from operator {before} to {next}"));
        self.operators.leads[next].send_replace(true);
        self.after(both_ms, move |world| {
            if !world.is_calm() && world.operators.holder != before {
                world.operators.leads[before].send_replace(false);
            }
        });
    }

    /// Whatever is wrong is mended, and one operator leads.
    fn calms_down(&mut self) {
        self.note("from here on nothing breaks");
        self.broker_back_at = 0;
        let leader = self.operators.holder;
        for operator in 0..OPERATORS {
            self.operators.clock_ms[operator] = 0;
            self.operators.leads[operator].send_if_modified(|leads| {
                std::mem::replace(leads, operator == leader) != (operator == leader)
            });
        }
        for process in &mut self.processes {
            process.frozen_until = 0;
        }
        self.wake_readers();
    }

    fn noise(&mut self, kind: usize) {
        let run = self.dice.below(self.scenario.runs.len());
        let object = self.dice.below(self.scenario.runs[run].ids.len());
        let (uid, id) = (self.scenario.runs[run].uid.as_str(), &self.scenario.runs[run].ids[object]);
        let (key, value) = match kind {
            0 => ("", b"\xff\xfe not json".to_vec()),
            1 => (
                "",
                json!({"event_type": "LeaderStarted", "epoch": 1_u64 << 60, "leader": "nobody"})
                    .to_string()
                    .into(),
            ),
            2 => (
                "",
                json!({"event_type": "LeaderStarted", "epoch": 0, "leader": "nobody"}).to_string().into(),
            ),
            3 => (
                uid,
                json!({"event_type": "RunCancelled", "run_uid": uid, "epoch": 0, "reason": "Cancelled"})
                    .to_string()
                    .into(),
            ),
            4 => (id.as_str(), json!({"event_type": "ObjectLoaded", "run_uid": uid}).to_string().into()),
            5 => (
                id.as_str(),
                json!({"event_type": "ObjectLoaded", "run_uid": uid, "attempt": 9}).to_string().into(),
            ),
            6 => (
                id.as_str(),
                json!({"event_type": "ObjectDreamt", "run_uid": uid, "attempt": 1}).to_string().into(),
            ),
            // An outsider that answers with the four fields that it must give, before it was asked or after.
            _ => (
                id.as_str(),
                json!({"event_type": "ObjectLoaded", "id_objet": null, "run_uid": uid, "attempt": 1})
                    .to_string()
                    .into(),
            ),
        };
        let topic = self.scenario.names.events().into();
        let key = key.to_owned().into();
        self.append(Outgoing {
            topic,
            partition: 0,
            key,
            value: value.into(),
            headers: orch_wire::Headers::default(),
            token: 0,
        });
    }
}
