//! An actor in a runtime of its own: stopping that is a crash.

use std::fmt::Write as _;
use std::sync::Arc;

use orch_bus::{Bus, BusError};
use orch_core::engine::{Detail, ObjectPhase, Orders, Refused};
use orch_core::id::RunUid;
use orch_core::plan::RunPlan;
use orch_runner::{
    Demand, Exit, Notice, Outlets, PipelineHandle, PipelineSettings, RunSettings, RunSnapshot, Stats,
};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::world::{DEADLINE, World};

/// See the module.
pub struct Operator {
    process: Process,
    handle: Option<PipelineHandle>,
    pub stats: Arc<Stats>,
    pub notices: mpsc::Receiver<Notice>,
}

impl Operator {
    pub async fn start(world: &World, runs: Vec<RunSettings>) -> Self {
        Self::try_start(world, world.settings(), runs).await.unwrap()
    }

    pub async fn try_start(
        world: &World,
        settings: PipelineSettings,
        runs: Vec<RunSettings>,
    ) -> Result<Self, BusError> {
        let process = Process::new();
        let (sender, notices) = mpsc::channel(64);
        let stats = Arc::new(Stats::default());
        let outlets = Outlets { stats: stats.clone(), notices: sender };
        let bus: Arc<dyn Bus> = world.bus.clone();
        let handle =
            process.runtime().spawn(PipelineHandle::start(bus, settings, runs, outlets)).await.unwrap()?;
        Ok(Self { process, handle: Some(handle), stats, notices })
    }

    pub fn handle(&self) -> &PipelineHandle {
        self.handle.as_ref().unwrap()
    }

    /// Waits until a run is as it should be.
    pub async fn until(&self, uid: &str, what: &str, is_so: impl Fn(&RunSnapshot) -> bool) -> RunSnapshot {
        let uid = RunUid::new(uid);
        let mut changed = self.handle().changed();
        let mut seen = "nothing".to_owned();
        let wait = async {
            loop {
                if let Some(snapshot) = self.handle().snapshot(&uid, Detail::default()).await {
                    seen = describe(&snapshot);
                    if is_so(&snapshot) {
                        return Some(snapshot);
                    }
                }
                if changed.changed().await.is_err() {
                    return None;
                }
            }
        };
        match tokio::time::timeout(DEADLINE, wait).await {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => panic!("the actor ended; `{uid}` should have been: {what}; seen last: {seen}"),
            Err(tokio::time::error::Elapsed { .. }) => panic!("`{uid}` should be: {what}; seen last: {seen}"),
        }
    }

    /// Waits until the run is over and the workers know it.
    pub async fn until_over(&self, uid: &str) -> RunSnapshot {
        self.until(uid, "over", |snapshot| snapshot.view.phase.is_terminal() && snapshot.settled).await
    }

    /// Waits until so many objects are in this phase.
    pub async fn until_count(&self, uid: &str, phase: ObjectPhase, count: u32) -> RunSnapshot {
        let what = format!("{count} {}", phase.as_str());
        self.until(uid, &what, |snapshot| snapshot.view.counts.of(phase) == count).await
    }

    /// Waits until the demand is so.
    pub async fn until_demand(&self, what: &str, is_so: impl Fn(&Demand) -> bool) -> Demand {
        let mut demand = self.handle().demand();
        let waited = tokio::time::timeout(DEADLINE, demand.wait_for(|demand| is_so(demand))).await;
        let seen = waited.map(|demand| demand.unwrap().clone());
        seen.unwrap_or_else(|_| panic!("the demand should be: {what}; it is {:?}", demand.borrow()))
    }

    /// Waits until the actor has taken in so many records that change nothing, for this reason.
    pub async fn until_refused(&self, uid: &str, why: Refused, count: u64) {
        let uid = RunUid::new(uid);
        let wait = async {
            while self.refused(why) < count {
                // Behind each answer the actor looks for records.
                self.handle().snapshot(&uid, Detail { objects: 0, failures: 0 }).await;
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, wait).await;
        assert!(waited.is_ok(), "{count} records should be {why:?}; it is {}", self.refused(why));
    }

    pub fn refused(&self, why: Refused) -> u64 {
        self.stats.refused().find(|(reason, _)| *reason == why).unwrap().1
    }

    /// The next notice.
    pub async fn notice(&mut self) -> Notice {
        tokio::time::timeout(DEADLINE, self.notices.recv()).await.expect("a notice").unwrap()
    }

    pub fn order(&self, uid: &str, orders: Orders) {
        self.handle().order(&RunUid::new(uid), orders);
    }

    /// Waits until the actor ends by itself.
    pub async fn exit(mut self) -> Exit {
        let handle = self.handle.take().unwrap();
        let mut changed = handle.changed();
        let ended = async { while changed.changed().await.is_ok() {} };
        tokio::time::timeout(DEADLINE, ended).await.expect("the actor should end");
        handle.stop().await
    }

    /// Stops the actor as a person does.
    pub async fn stop(mut self) -> Exit {
        self.handle.take().unwrap().stop().await
    }

    /// Kills the actor wherever it is. When this returns it does nothing any more.
    pub fn crash(self) {
        // Before the handle: dropping that would be a request to stop.
        drop(self.process);
    }
}

/// A runtime that is killed when it is dropped.
struct Process(Option<Runtime>);

impl Process {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self(Some(runtime.unwrap()))
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A runtime cannot be waited for inside of another.
        let runtime = self.0.take().unwrap();
        std::thread::spawn(move || runtime.shutdown_timeout(DEADLINE)).join().unwrap();
    }
}

/// One line a run: `Running  a Loaded, b Blocked(a)`.
fn describe(snapshot: &RunSnapshot) -> String {
    let view = &snapshot.view;
    let letters = String::from_utf8_lossy(&view.letters);
    format!("{:?} {:?} {letters}, settled: {}", view.phase, view.reason, snapshot.settled)
}

/// How a run ended: `Failed ObjectsFailed: a Failed, b Blocked(a)`.
pub fn outcome(snapshot: &RunSnapshot, plan: &RunPlan) -> String {
    let view = &snapshot.view;
    let mut text = format!("{} {}:", view.phase.as_str(), view.reason.unwrap_or("-"));
    for (n, object) in view.objects.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(text, "{comma} {} {}", plan.object(object.object).id, object.phase.as_str());
        if let Some(cause) = object.root_cause {
            let _ = write!(text, "({})", plan.object(cause).id);
        }
    }
    text
}
