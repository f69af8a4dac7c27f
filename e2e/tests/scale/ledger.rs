//! Every version of every run, as a watch of the API server brings it: who wrote how much, and when.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::Api;
use kube::runtime::watcher::{self, Event};
use orch_crds::PipelineRun;
use orch_crds::status::{PipelineRunStatus, RunPhase};
use orch_e2e::setup::Setup;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{MAX_RESOURCE, MAX_STATUS};

/// One write of a status.
#[derive(Debug, Clone)]
struct Write {
    at: Instant,
    /// Of the whole resource.
    bytes: usize,
}

/// What is known of one run.
#[derive(Debug, Default)]
struct Account {
    last: Option<PipelineRunStatus>,
    writes: Vec<Write>,
}

/// See the module.
pub(crate) struct Ledger {
    accounts: Arc<Mutex<HashMap<String, Account>>>,
    over: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

/// What the writes came to.
pub(crate) struct Sum {
    pub(crate) writes: usize,
    pub(crate) bytes: usize,
    pub(crate) seconds: f64,
    pub(crate) largest: usize,
}

impl Ledger {
    /// Begins before there is a run.
    pub(crate) async fn open(setup: &Setup) -> Self {
        let api: Api<PipelineRun> = Api::namespaced(setup.client.clone(), &setup.namespace);
        let mut events = kube::runtime::watcher(api, watcher::Config::default()).boxed();
        while !matches!(events.next().await, Some(Ok(Event::InitDone))) {}
        let accounts = Arc::<Mutex<HashMap<String, Account>>>::default();
        let (sender, over) = watch::channel(0);
        let kept = accounts.clone();
        let task = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let Ok(Event::Apply(run) | Event::InitApply(run)) = event else { continue };
                let mut accounts = kept.lock().expect("no audit has failed");
                enter(&mut accounts, run);
                let is_over =
                    |account: &&Account| account.last.as_ref().is_some_and(|status| status.phase.is_final());
                let over = accounts.values().filter(is_over).count();
                sender.send_if_modified(|before| std::mem::replace(before, over) != over);
            }
        });
        Self { accounts, over, task }
    }

    /// Waits until so many runs are over; the answer is how each ended.
    pub(crate) async fn until_over(
        &mut self,
        runs: usize,
        limit: Duration,
    ) -> HashMap<String, PipelineRunStatus> {
        let ended = tokio::time::timeout(limit, self.over.wait_for(|over| *over >= runs)).await;
        let accounts = self.accounts.lock().unwrap();
        let states: HashMap<_, _> = accounts
            .iter()
            .map(|(name, account)| (name.clone(), account.last.clone().unwrap_or_default()))
            .collect();
        let shown = |status: &PipelineRunStatus| format!("{:?} {:?}", status.phase, status.progress);
        let open = states.iter().filter(|(_, status)| !status.phase.is_final());
        let open: Vec<String> = open.map(|(name, status)| format!("{name}: {}", shown(status))).collect();
        assert!(ended.is_ok(), "not over after {limit:?}: {open:?}");
        for (name, status) in &states {
            assert_eq!(status.phase, RunPhase::Succeeded, "{name}: {:?}", status.conditions);
        }
        states
    }

    /// How often anything was written so far.
    pub(crate) fn count(&self) -> usize {
        self.accounts.lock().unwrap().values().map(|account| account.writes.len()).sum()
    }

    /// All writes were within the budget, and none of them came sooner after the one before than it may.
    pub(crate) fn audit(&self, bytes_per_second: usize) -> Sum {
        let accounts = self.accounts.lock().unwrap();
        for (name, Account { writes, .. }) in accounts.iter() {
            let seconds = span(writes);
            // The first, that it began, and the end are written at once.
            let most = seconds as usize + 4;
            assert!(writes.len() <= most, "{name}: {} writes in {seconds:.1} s", writes.len());
        }
        let mut all: Vec<Write> = accounts.values().flat_map(|account| account.writes.clone()).collect();
        all.sort_by_key(|write| write.at);
        let (bytes, largest) =
            (all.iter().map(|write| write.bytes).sum(), all.iter().map(|write| write.bytes).max());
        let sum = Sum { writes: all.len(), bytes, seconds: span(&all), largest: largest.unwrap_or(0) };
        // A full bucket to begin with, one more that ends may borrow, and half a second for the watch.
        let allowed = bytes_per_second as f64 * (sum.seconds + 2.5) + sum.largest as f64;
        assert!((sum.bytes as f64) <= allowed, "{} bytes in {:.1} s", sum.bytes, sum.seconds);
        sum
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn enter(accounts: &mut HashMap<String, Account>, run: PipelineRun) {
    let bytes = serde_json::to_vec(&run).unwrap().len();
    let account = accounts.entry(run.metadata.name.clone().unwrap()).or_default();
    // A finalizer is no status.
    let Some(status) = run.status.filter(|status| account.last.as_ref() != Some(status)) else { return };
    assert!(bytes <= MAX_RESOURCE, "{bytes} bytes");
    let of_status = serde_json::to_vec(&status).unwrap().len();
    assert!(of_status <= MAX_STATUS, "a status of {of_status} bytes");
    is_consistent(&status);
    account.writes.push(Write { at: Instant::now(), bytes });
    account.last = Some(status);
}

/// The phase map is complete, and says what the counts say.
fn is_consistent(status: &PipelineRunStatus) {
    let Some(map) = &status.phase_map else { return };
    let letters = map.decode().unwrap();
    let of = |letter: char| letters.chars().filter(|other| *other == letter).count();
    let counts = &status.counts;
    assert_eq!(letters.len(), counts.total as usize);
    for (letter, count) in [
        ('P', counts.pending),
        ('R', counts.ready),
        ('Q', counts.queued),
        ('N', counts.running),
        ('T', counts.retrying),
        ('L', counts.loaded),
        ('F', counts.failed),
        ('B', counts.blocked),
        ('X', counts.cancelled),
    ] {
        assert_eq!(of(letter), count as usize, "{letter}");
    }
}

fn span(writes: &[Write]) -> f64 {
    match (writes.first(), writes.last()) {
        (Some(first), Some(last)) => (last.at - first.at).as_secs_f64(),
        _ => 0.0,
    }
}
