//! Takes in what the events topic says.

use orch_bus::Message;
use orch_core::engine::Refused;
use orch_core::id::Epoch;
use orch_wire::{EventsRecord, decode_event};
use tracing::debug;

use crate::actor::Actor;
use crate::records::run_uid;
use crate::stats::Notice;
use crate::term::Heard;

impl Actor {
    /// Takes one record in. No record, however bad, is an error.
    pub(crate) fn take_in(&mut self, message: &Message) {
        self.position = message.offset + 1;
        let stats = (message.offset >= self.count_from).then_some(&*self.reports.stats);
        let record = match decode_event(&message.key, &message.value) {
            Ok(EventsRecord::LeaderStarted { epoch, leader }) => {
                return self.hear_leader(epoch, &leader, message);
            }
            Ok(record) => record,
            Err(problem) => return self.note_bad(message.offset, problem.to_string()),
        };
        let uid = run_uid(&record);
        if let Some(run) = self.runs.find(uid) {
            match run.fold(record, message, stats) {
                Ok(()) => self.has_changed = true,
                Err(why) => {
                    debug!(run = %run.name, offset = message.offset, reason = why.as_str(), "a record changes nothing");
                }
            }
        } else if !self.arrivals.hold(uid, message)
            && let Some(stats) = stats
        {
            stats.refuse(Refused::ForeignRun);
        }
    }

    fn hear_leader(&mut self, epoch: Epoch, leader: &str, message: &Message) {
        // Each run judges by the records that it has seen: recovery, which may know a later term beforehand, must not
        // come to another result.
        for run in self.runs.iter_mut() {
            run.fold_leader(epoch, message);
        }
        self.arrivals.hold_for_all(message);
        match self.term.hear(epoch, leader) {
            Heard::Ours => {
                // What the bus gave up in the term before would be written again as it was, and be void.
                for run in self.runs.iter_mut() {
                    run.dispatch.ask_again();
                }
                self.led_from = message.offset;
                self.reports.epoch.send_replace(epoch);
            }
            Heard::Void(Refused::Malformed) => {
                self.note_bad(message.offset, format!("no leader can have the term {epoch}"));
            }
            Heard::Void(why) if message.offset >= self.count_from => self.reports.stats.refuse(why),
            Heard::Theirs | Heard::Void(_) => {}
        }
    }

    /// Also after a restart: nobody knows whether the operator before has told it.
    fn note_bad(&self, offset: i64, problem: String) {
        self.reports.stats.refuse(Refused::Malformed);
        debug!(offset, problem, "a record on the events topic is skipped");
        // A full channel drops it: the counter has it.
        let _ = self.reports.notices.try_send(Notice::BadRecord { offset, problem });
    }
}
