//! The measuring itself: everything is started once and warmed up, then each round measures every graph on every row,
//! one after the other, so that what changes on the machine changes for all.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orch_bus::Bus;
use orch_bus::kafka::{KafkaBus, KafkaConfig};
use orch_e2e::http;
use orch_e2e::setup::Setup;

use crate::args::Args;
use crate::cluster::{Cluster, Warm};
use crate::engine::Engine;
use crate::hops::Hops;
use crate::lag::lag_ms;
use crate::large::{self, LargeResults};
use crate::metrics::{ANSWER_TO_READY, Histogram, Writes, since, writes};
use crate::numbers::{Quantiles, Spread};
use crate::observer::{self, Observer};
use crate::replay::{RECORD_BYTES, Replay};
use crate::results::{GraphResults, Measure, OperatorResults, Raw, Results, Row, Settings, of_row};
use crate::subject::{Subject, subjects};
use crate::usage::{Processes, Taken, Usage, pid_of};
use crate::{local, machine, say};

/// Objects that the one worker has in hand at most.
const CONCURRENCY: usize = 1_024;

/// What is measured with.
struct Bench {
    args: Args,
    bus: Arc<dyn Bus>,
    replay: Arc<Replay>,
    engine: Engine,
    cluster: Cluster,
    warm: Warm,
    /// Broker, API server and its store, where they run here.
    servers: Processes,
}

/// A graph, and what was measured of it so far.
struct Case {
    subject: Subject,
    objects_from: serde_json::Value,
    file: PathBuf,
    rounds: BTreeMap<Row, Vec<Measure>>,
    applied: Vec<AppliedMeasure>,
    hops: Option<Hops>,
}

/// What only a run through the operator has.
struct AppliedMeasure {
    submit_ms: f64,
    first_ready_ms: f64,
    lag: Option<Quantiles>,
    writes: Writes,
    kafka_bytes: BTreeMap<String, u64>,
    answer_to_ready: Option<Quantiles>,
}

/// Measures everything. `name` is that of the namespace, and what all topics begin with.
pub(crate) async fn measure(args: Args, name: String) -> Results {
    let subjects = subjects(&args);
    let mut bench = Bench::start(args, &name).await;
    let mut cases = Vec::new();
    for (number, subject) in subjects.into_iter().enumerate() {
        let objects_from = bench.cluster.store(number, &subject).await;
        let file = local::write(bench.cluster.setup.folder.path(), number, &subject);
        cases.push(Case {
            subject,
            objects_from,
            file,
            rounds: BTreeMap::new(),
            applied: Vec::new(),
            hops: None,
        });
    }
    bench.warm_up(&cases).await;
    let (mut steps, mut pipelined) = (Vec::new(), Vec::new());
    for round in 1..=bench.args.rounds {
        bench.raw(&mut steps, &mut pipelined).await;
        for (number, case) in cases.iter_mut().enumerate() {
            let begin = Instant::now();
            bench.round(&format!("run-{number}-{round}"), case).await;
            let took = begin.elapsed().as_secs_f64();
            say(&format!("round {round} of {}: {} in {took:.1} s", bench.args.rounds, case.subject.name));
        }
    }
    bench.hops(&mut cases).await;
    let large = bench.large().await;
    Results {
        machine: machine::this(&bench.args),
        settings: bench.settings(),
        raw: Raw {
            ping_pong_ms: Quantiles::of(steps.iter().map(|step| step.as_secs_f64() * 1e3)),
            pipelined_records_per_s: Spread::of(pipelined),
        },
        graphs: cases.into_iter().map(Case::results).collect(),
        large,
    }
}

impl Bench {
    async fn start(args: Args, name: &str) -> Self {
        let bus: Arc<dyn Bus> = Arc::new(KafkaBus::new(KafkaConfig::plain(&args.kafka)).unwrap());
        let setup = Setup::with_kafka(name, args.kafka.clone()).await;
        let prefix = format!("{name}.");
        let folder = setup.folder.path().to_path_buf();
        let (engine, (cluster, warm)) =
            tokio::join!(Engine::start(bus.clone(), &args.kafka, &prefix, CONCURRENCY, &folder), async {
                let cluster = Cluster::start(setup);
                let warm = cluster.pipeline("warm", CONCURRENCY).await;
                (cluster, warm)
            },);
        let (kafka, topics) = (args.kafka.clone(), format!("{prefix}replay."));
        let replay = tokio::task::spawn_blocking(move || Replay::new(&kafka, &topics)).await.unwrap();
        let server = |name, folder: &Option<PathBuf>, file: &str| {
            Some((name, pid_of(&folder.as_ref()?.join("run").join(file))?))
        };
        let servers = [
            server("broker", &args.kafka_dir, "kafka.pid"),
            server("apiserver", &args.api_dir, "apiserver.pid"),
            server("etcd", &args.api_dir, "etcd.pid"),
        ];
        let servers = servers.into_iter().flatten().collect();
        Self { args, bus, replay: Arc::new(replay), engine, cluster, warm, servers }
    }

    /// Work until everything that compiles or caches has done so.
    async fn warm_up(&mut self, cases: &[Case]) {
        let end = Instant::now() + Duration::from_secs(self.args.warm);
        say(&format!("warming up for {} s", self.args.warm));
        let mut number = 0;
        loop {
            for case in cases {
                number += 1;
                self.replays(&case.subject.levels).await;
                self.engine.run(&case.subject).await;
                let name = format!("warm-{number}");
                self.cluster.apply(&name, &self.warm, &case.objects_from).await;
                self.cluster.delete(&name).await;
                if Instant::now() > end {
                    return;
                }
            }
        }
    }

    /// The two raw rows.
    async fn raw(&self, steps: &mut Vec<Duration>, pipelined: &mut Vec<f64>) {
        let (times, records) = if self.args.quick { (100, 20_000) } else { (1_000, 500_000) };
        let replay = self.replay.clone();
        let measured =
            tokio::task::spawn_blocking(move || (replay.ping_pong(times), replay.pipelined(records)));
        let (new_steps, took) = measured.await.unwrap();
        steps.extend(new_steps);
        pipelined.push(records as f64 / took.as_secs_f64());
    }

    async fn replays(&self, levels: &[usize]) -> Duration {
        let (replay, levels) = (self.replay.clone(), levels.to_vec());
        tokio::task::spawn_blocking(move || replay.levels(&levels)).await.unwrap()
    }

    /// Every row once.
    async fn round(&mut self, name: &str, case: &mut Case) {
        for row in self.args.rows() {
            let measure = match row {
                Row::Replay => self.round_replay(case).await,
                Row::Engine => self.round_engine(case).await,
                Row::Operator => self.round_operator(name, case).await,
                Row::Local => self.round_local(case).await,
            };
            case.rounds.entry(row).or_default().push(measure);
        }
    }

    async fn round_replay(&self, case: &Case) -> Measure {
        let usage = Usage::begin(&self.processes(&[]));
        let took = self.replays(&case.subject.levels).await.as_secs_f64();
        Measure { run_s: took, whole_s: took, taken: usage.end() }
    }

    async fn round_engine(&mut self, case: &Case) -> Measure {
        let usage = Usage::begin(&self.processes(&[("worker", self.engine.worker())]));
        let (whole, times) = self.engine.run(&case.subject).await;
        Measure { run_s: times.seconds(), whole_s: whole.as_secs_f64(), taken: usage.end() }
    }

    async fn round_operator(&self, name: &str, case: &mut Case) -> Measure {
        let cluster = &self.cluster;
        let mut processes = vec![("operator", cluster.operator.id())];
        processes.extend(cluster.workers().into_iter().map(|pid| ("worker", pid)));
        let writes_before = self.writes().await;
        let histogram = || Histogram::read(&http::get(&cluster.metrics, "/metrics"), ANSWER_TO_READY);
        let histogram_before = histogram();
        let bytes_before = self.kafka_bytes();
        let mark = self.warm.topics.mark(&*self.bus).await;
        let usage = Usage::begin(&self.processes(&processes));
        let applied = cluster.apply(name, &self.warm, &case.objects_from).await;
        let taken = usage.end();
        let writes = since(&writes_before, &self.writes().await);
        let times = self.warm.topics.times(&*self.bus, mark, &applied.uid).await;
        assert_eq!(times.loaded_ms.len(), case.subject.len(), "every object was loaded");
        let grown = |(topic, bytes): (String, u64)| {
            let before = bytes_before.get(&topic).copied().unwrap_or(0);
            (topic, bytes.saturating_sub(before))
        };
        case.applied.push(AppliedMeasure {
            submit_ms: applied.submit.as_secs_f64() * 1e3,
            first_ready_ms: times.first_ready_ms as f64 - applied.begin_ms,
            lag: lag_ms(times.first_ready_ms, &times.loaded_ms, &applied.seen),
            writes,
            kafka_bytes: self.kafka_bytes().into_iter().map(grown).collect(),
            answer_to_ready: histogram().since_ms(&histogram_before),
        });
        cluster.delete(name).await;
        Measure { run_s: times.seconds(), whole_s: applied.whole.as_secs_f64(), taken }
    }

    async fn round_local(&self, case: &Case) -> Measure {
        let ran = local::run(&case.file, case.subject.len()).await;
        let taken: BTreeMap<&'static str, Taken> = [("orch", ran.taken)].into();
        Measure { run_s: ran.run.as_secs_f64(), whole_s: ran.whole.as_secs_f64(), taken }
    }

    /// Where the time of a step goes: with a worker that logs each object, and one more reader of the topics. Beside
    /// the rounds, because both take time themselves.
    async fn hops(&self, cases: &mut [Case]) {
        if !self.args.is_complete() {
            return;
        }
        let others = self.cluster.setup.kubelet.logs();
        self.cluster.setup.kubelet.log_from_now_on("info,orch_workers=debug");
        let watched = self.cluster.pipeline("watched", CONCURRENCY).await;
        for (number, case) in cases.iter_mut().enumerate() {
            let name = format!("hops-warm-{number}");
            self.cluster.apply(&name, &watched, &case.objects_from).await;
            self.cluster.delete(&name).await;
            let log =
                self.cluster.setup.kubelet.logs().into_iter().find(|log| !others.contains(log)).unwrap();
            let from = observer::length(&log);
            let observer =
                Observer::start(&self.args.kafka, &watched.topics, watched.topics.mark(&*self.bus).await);
            let name = format!("hops-{number}");
            self.cluster.apply(&name, &watched, &case.objects_from).await;
            let mut stamps = tokio::task::spawn_blocking(|| observer.end()).await.unwrap();
            observer::add_log(&mut stamps, &log, from);
            case.hops = Some(Hops::of(&case.subject.graph, &stamps));
            self.cluster.delete(&name).await;
            say(&format!("hops: {}", case.subject.name));
        }
    }

    /// Graphs that no cluster run takes. Nothing else may be in this program's way: after everything else.
    async fn large(&self) -> Vec<LargeResults> {
        if self.args.quick || self.args.graphs.is_some() || !self.args.is_complete() {
            return Vec::new();
        }
        large::measure(self.cluster.setup.folder.path(), self.args.rounds).await
    }

    /// These, the servers, and this program.
    fn processes(&self, others: &[(&'static str, u32)]) -> Processes {
        let mut all = self.servers.clone();
        all.push(("bench", std::process::id()));
        all.extend(others);
        all
    }

    async fn writes(&self) -> Writes {
        let request = kube::core::Request::new("/metrics").list(&kube::api::ListParams::default()).unwrap();
        writes(&self.cluster.setup.client.request_text(request).await.unwrap())
    }

    /// Bytes of the topics that runs of the operator use, where the broker's folder is known.
    fn kafka_bytes(&self) -> BTreeMap<String, u64> {
        let Some(folder) = &self.args.kafka_dir else { return BTreeMap::new() };
        let topics = [&self.warm.topics.ready, &self.warm.topics.events];
        let of = |topic: &String| {
            let files = std::fs::read_dir(folder.join("data").join(format!("{topic}-0"))).unwrap();
            let segments = files
                .map(|file| file.unwrap().path())
                .filter(|file| file.extension().is_some_and(|end| end == "log"));
            segments.map(|file| file.metadata().unwrap().len()).sum()
        };
        topics.map(|topic| (topic.clone(), of(topic))).into()
    }

    fn settings(&self) -> Settings {
        let worker = self.cluster.setup.kubelet.logs();
        let logs = [("operator", self.cluster.operator.log())]
            .into_iter()
            .chain(worker.first().map(|file| ("worker", std::fs::read_to_string(file).unwrap())));
        Settings {
            rounds: self.args.rounds,
            warm_s: self.args.warm,
            replay_record_bytes: RECORD_BYTES,
            worker_concurrency: CONCURRENCY,
            clients: logs.map(|(name, text)| (name, client_settings(&text))).collect(),
        }
    }
}

/// The settings of a Kafka client in a log: `kafka=[("acks", "-1"), ...]`.
fn client_settings(log: &str) -> BTreeMap<String, String> {
    let line = log.lines().find(|line| line.contains("enable.idempotence")).unwrap_or_default();
    // The worker's line is JSON.
    let line = line.replace('\\', "");
    let pairs = line.split("(\"").skip(1).filter_map(|pair| pair.split_once("\", \""));
    pairs
        .map(|(name, rest)| (name.to_owned(), rest.split('"').next().unwrap_or_default().to_owned()))
        .collect()
}

impl Case {
    fn results(self) -> GraphResults {
        let Self { subject, rounds, applied, hops, .. } = self;
        let replays = &rounds[&Row::Replay];
        let spread = |part: fn(&AppliedMeasure) -> Option<f64>| Spread::of(applied.iter().filter_map(part));
        let answers = applied.iter().filter_map(|measure| measure.answer_to_ready);
        let answers: Vec<Quantiles> = answers.collect();
        let last = applied.last();
        GraphResults {
            name: subject.name.clone(),
            objects: subject.len(),
            edges: subject.edges(),
            levels: subject.levels.len(),
            rows: rounds
                .iter()
                .filter_map(|(row, measures)| of_row(*row, subject.len(), measures, replays))
                .collect(),
            operator: OperatorResults {
                submit_ms: spread(|measure| Some(measure.submit_ms)),
                first_ready_ms: spread(|measure| Some(measure.first_ready_ms)),
                lag_p50_ms: spread(|measure| Some(measure.lag?.p50)),
                lag_p99_ms: spread(|measure| Some(measure.lag?.p99)),
                api_writes: last.map(|measure| measure.writes.clone()).unwrap_or_default(),
                kafka_bytes: last.map(|measure| measure.kafka_bytes.clone()).unwrap_or_default(),
                answer_to_ready_ms: answers.last().copied(),
            },
            hops_ms: hops,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_a_client_are_found_in_both_forms_of_a_log() {
        let expected = [("acks", "-1"), ("enable.idempotence", "true"), ("sasl.mechanisms", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let text = r#"INFO connected kafka=[("acks", "-1"), ("enable.idempotence", "true"), ("sasl.mechanisms", "")]"#;
        assert_eq!(client_settings(&format!("first\n{text}\n")), expected);
        let json = serde_json::json!({ "kafka": text }).to_string();
        assert_eq!(client_settings(&json), expected);
    }
}
