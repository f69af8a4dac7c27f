//! When a fault is recovered: what waited when it was over was answered, and the statuses count on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use orch_e2e::chance::Chance;

use crate::plan::Kind;
use crate::scene::Scene;

/// After so many times the limit, and not before so long, nothing more is waited for.
const PATIENCE: (u32, Duration) = (3, Duration::from_mins(1));
const LOOK: Duration = Duration::from_millis(100);

/// How it stood when a fault was over.
pub(crate) struct Mark {
    at: Instant,
    ended: u32,
    waiting: HashMap<u64, String>,
}

impl Mark {
    /// How long the fault lasted that began then.
    pub(crate) fn lasted(&self, since: Instant) -> Duration {
        self.at.saturating_duration_since(since)
    }
}

impl Scene {
    /// The fault is over now.
    pub(crate) fn mark(&self) -> Mark {
        Mark { at: Instant::now(), ended: self.ended(), waiting: self.recorder.waiting(&self.uids()) }
    }

    pub(crate) async fn strike(&mut self, kind: Kind, chance: &mut Chance) -> Mark {
        match kind {
            Kind::BrokerKilled => self.broker_killed(),
            Kind::BrokerStopped => self.broker_stopped(chance).await,
            Kind::LeaderKilled => self.leader_killed(chance).await,
            Kind::LeaderStopped => self.leader_stopped(chance).await,
            Kind::OperatorsKilled => self.operators_killed(),
            Kind::TwoOperators => self.two_operators(chance).await,
            Kind::WorkerKilled => self.worker_killed(chance),
            Kind::WorkerLost => self.worker_lost(chance),
            Kind::WorkerStopped => self.worker_stopped(chance).await,
            Kind::WorkersKilled => self.workers_killed(),
            Kind::ApiKilled => self.api_killed(),
            Kind::ApiStopped => self.api_stopped(chance).await,
            Kind::EtcdKilled => self.etcd_killed(),
            Kind::EtcdFull => self.etcd_full(chance).await,
            Kind::AcksDropped => self.acks_dropped(chance).await,
            Kind::LinksSlow => self.links_slow(chance).await,
            Kind::LinksCut => self.links_cut(chance).await,
            Kind::Garbage => self.garbage(chance),
            Kind::Duplicates => self.duplicates(chance),
            Kind::Stale => self.stale(),
            Kind::Oversized => self.oversized(),
            Kind::Foreign => self.foreign(),
            Kind::TopicDeleted => self.topic_deleted(chance).await,
            Kind::Conflicts => self.conflicts(chance).await,
            Kind::VersionsGone => self.versions_gone(chance).await,
            Kind::TooManyRequests => self.too_many_requests(chance).await,
            Kind::ApiUnavailable => self.api_unavailable(chance).await,
            Kind::ApiAnswersLost => self.api_answers_lost(chance).await,
            Kind::RunCancelled => self.run_cancelled().await,
            Kind::RunDeleted => self.run_deleted().await,
            Kind::RunOverdue => self.run_overdue().await,
        }
    }

    /// How long it took. Longer than the limit is told at the end; what does not come at all ends the test here.
    pub(crate) async fn recovered(&self, mark: &Mark, (number, kind): (usize, Kind)) -> Duration {
        let deadline = mark.at + (self.limit * PATIENCE.0).max(PATIENCE.1);
        loop {
            let (ended, waiting) = (self.ended(), self.recorder.still_waiting(&mark.waiting));
            if waiting.is_empty() && (ended > mark.ended || self.has_nothing_left()) {
                return mark.at.elapsed();
            }
            assert!(
                Instant::now() < deadline,
                "fault {number}, {}, is not recovered after {:?}: {} objects had ended, and now {ended}; \
                 {} of {} attempts that waited still do: {:?}\n{}\nsee {}",
                kind.name(),
                mark.at.elapsed(),
                mark.ended,
                waiting.len(),
                mark.waiting.len(),
                &waiting[..waiting.len().min(10)],
                self.conditions(),
                self.folder().display(),
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether all runs are over: then no count can move on.
    fn has_nothing_left(&self) -> bool {
        self.runs.iter().all(|run| self.status(run.name).phase.is_final())
    }

    fn conditions(&self) -> String {
        let of = |run: &crate::scene::Run| {
            let status = self.status(run.name);
            let told = status
                .conditions
                .iter()
                .map(|it| format!("{}={} {}: {}", it.type_, it.status, it.reason, it.message));
            format!(
                "{} {:?} {:?}\n  {}",
                run.name,
                status.phase,
                status.counts,
                told.collect::<Vec<_>>().join("\n  ")
            )
        };
        self.runs.iter().map(of).collect::<Vec<_>>().join("\n")
    }
}

/// Between so many milliseconds.
pub(crate) fn between(chance: &mut Chance, from_ms: u64, to_ms: u64) -> Duration {
    Duration::from_millis(from_ms + chance.number() % (to_ms - from_ms))
}

/// A fault goes on up to this deadline.
pub(crate) async fn lasts(time: Duration) {
    let deadline = tokio::time::Instant::now() + time;
    tokio::time::sleep_until(deadline).await;
}
