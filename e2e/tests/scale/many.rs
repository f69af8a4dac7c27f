//! Many runs at once, some of them large: nobody waits for ever, and nobody is favoured.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::StreamExt;
use orch_crds::status::{PipelineRunStatus, parse_timestamp};
use orch_e2e::api::variable;
use orch_e2e::command::run;
use orch_e2e::executions::now_ms;
use orch_e2e::setup::Setup;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::ledger::Ledger;
use crate::sizes::Sizes;
use crate::tape::Tape;
use crate::{graph, listed, operator, peak_mib, pipeline, run_of, store};

/// Requests at a time.
const AT_ONCE: usize = 32;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The first ready record of the last run of a size comes within so many times of what the middle one waits.
const LAST_TO_MEDIAN: f64 = 3.0;
/// Runs of a size that began together end within this part of their time of each other.
const SPREAD_OF_ENDS: f64 = 0.2;
/// Runs of less than seconds would see more than their shares.
const GRAIN_MS: f64 = 500.0;
const GRAIN_OF_ENDS_MS: f64 = 2_000.0;

/// The runs of one size.
struct Group {
    kind: &'static str,
    /// When each was asked for, in milliseconds since 1970.
    created: HashMap<String, i64>,
}

#[tokio::test(flavor = "multi_thread")]
async fn many_runs_at_once_have_equal_shares_and_are_silent_afterwards() {
    let sizes = Sizes::read();
    let setup = Setup::new("scale-many").await;
    let operator = operator(&setup, &sizes);
    pipeline(&setup, Duration::ZERO).await;
    let sources = store(&setup, "large", &graph(sizes.objects)).await;
    let small: Vec<Value> =
        graph(sizes.small_objects).into_iter().map(|(id, of)| json!({"id": id, "dependsOn": of})).collect();
    let mut ledger = Ledger::open(&setup).await;
    let tape = Tape::begin(&setup, &format!("{0}.{0}.shared.work", setup.namespace)).await;
    let began = Instant::now();
    let groups = [
        create(&setup, "large", sizes.large, &json!({"objectsFrom": sources})).await,
        create(&setup, "small", sizes.runs - sizes.large, &json!({"objects": small})).await,
    ];
    let created = began.elapsed().as_secs_f64();
    let mut looks = vec![look(&setup, sizes.runs).await];
    let ended = {
        let mut over = std::pin::pin!(ledger.until_over(sizes.runs, sizes.limit));
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                ended = &mut over => break ended,
                _ = every.tick() => looks.push(look(&setup, sizes.runs).await),
            }
        }
    };
    looks.sort();
    let get = looks[looks.len() / 2];
    let seconds = began.elapsed().as_secs_f64();
    let sum = ledger.audit(sizes.bytes_per_second);
    let peak = peak_mib(operator.id());
    println!(
        "{} runs, {} of {} objects: {}",
        sizes.runs,
        sizes.large,
        sizes.objects,
        listed(&[
            ("created in s", created),
            ("seconds", seconds),
            ("kubectl get s", get.as_secs_f64()),
            ("operator MiB", peak),
            ("writes", sum.writes as f64),
            ("KiB/s", sum.bytes as f64 / 1024.0 / sum.seconds),
            ("largest KiB", sum.largest as f64 / 1024.0),
        ])
    );
    let first = tape.end();
    let faults: Vec<String> = groups.iter().flat_map(|group| group.judge(&first, &ended)).collect();
    is_silent(&ledger, sizes.rest).await;
    assert!(get <= sizes.get, "kubectl get took {looks:?}");
    assert!(faults.is_empty(), "{faults:#?}");
}

async fn create(setup: &Setup, kind: &'static str, runs: usize, spec: &Value) -> Group {
    let names = (0..runs).map(|n| format!("{kind}-{n}"));
    let create = async |name: String| {
        let at = now_ms();
        setup.create(&run_of(&name, spec).to_string()).await;
        (name, at)
    };
    let created = futures::stream::iter(names.map(create)).buffer_unordered(AT_ONCE).collect().await;
    Group { kind, created }
}

/// How long `kubectl get pipelineruns` takes.
async fn look(setup: &Setup, runs: usize) -> Duration {
    let kubeconfig = PathBuf::from(variable("ORCH_TEST_KUBECONFIG", "run `make scale`"));
    let begin = Instant::now();
    let said = run("kubectl", &kubeconfig, &["get", "pipelineruns", "--namespace", &setup.namespace]).await;
    let took = begin.elapsed();
    assert_eq!(said.ended_with(0).out.lines().count(), runs + 1);
    took
}

impl Group {
    /// What is not fair: the first ready records by the topic, the ends by the statuses. An end counts from the first
    /// record on: how much later than others a run began is judged by itself.
    fn judge(&self, first: &HashMap<String, i64>, ended: &HashMap<String, PipelineRunStatus>) -> Vec<String> {
        let mut waits = Vec::new();
        let mut ends = Vec::new();
        for (name, created) in &self.created {
            let end = parse_timestamp(ended[name].completion_time.as_deref().unwrap()).unwrap();
            waits.push((first[name] - created) as f64);
            ends.push((end - first[name]) as f64);
        }
        waits.sort_by(f64::total_cmp);
        ends.sort_by(f64::total_cmp);
        let ([least_wait, .., most_wait], [first_end, .., last_end]) = (&waits[..], &ends[..]) else {
            return Vec::new();
        };
        let (wait, end) = (waits[waits.len() / 2], ends[ends.len() / 2]);
        let shown = listed(&[
            ("first ready ms: least", *least_wait),
            ("median", wait),
            ("most", *most_wait),
            ("from there to the end: first", *first_end),
            ("median", end),
            ("last", *last_end),
        ]);
        println!("{} {}: {shown}", self.created.len(), self.kind);
        let mut faults = Vec::new();
        if *most_wait > wait * LAST_TO_MEDIAN + GRAIN_MS {
            faults.push(format!("{}: the last first record came late: {shown}", self.kind));
        }
        if last_end - first_end > last_end * SPREAD_OF_ENDS + GRAIN_OF_ENDS_MS {
            faults.push(format!("{}: the ends lie far apart: {shown}", self.kind));
        }
        faults
    }
}

/// After the last word about the last run there is nothing to write.
async fn is_silent(ledger: &Ledger, rest: Duration) {
    let deadline = Instant::now() + rest;
    let before = ledger.count();
    while Instant::now() < deadline {
        assert_eq!(ledger.count(), before, "something is written although nothing happens");
        sleep(Duration::from_millis(100)).await;
    }
}
