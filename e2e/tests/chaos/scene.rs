//! Everything that can fail, and the runs meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource as _};
use orch_crds::PipelineRun;
use orch_crds::status::PipelineRunStatus;
use orch_e2e::api::{until, variable};
use orch_e2e::broker::Broker;
use orch_e2e::chance::Chance;
use orch_e2e::checker::Sources;
use orch_e2e::control_plane::ControlPlane;
use orch_e2e::gateway::Gateway;
use orch_e2e::graphs::{Graph, layered};
use orch_e2e::paced::Paced;
use orch_e2e::process::Process;
use orch_e2e::proxy::Proxy;
use orch_e2e::recorder::Recorder;
use orch_e2e::setup::{LIMIT, Setup};
use serde_json::{Value, json};

use crate::Settings;
use crate::pace::Pace;

pub(crate) const NAMESPACE: &str = "chaos";
/// The Pipeline of the runs that share their topics.
pub(crate) const PIPELINE: &str = "shared";
/// Of the operators.
pub(crate) const LEASE: Duration = Duration::from_secs(4);
/// Runs, with their parts in ten of all objects and how many parents an object has. The first has topics of its own.
const RUNS: [(&str, usize, usize); 3] = [("own", 5, 2), ("sharing", 4, 2), ("failing", 1, 1)];
/// Objects of a ConfigMap.
const CHUNK: usize = 8_000;
/// Snapshots and truncation come often enough to be met by faults.
const EAGER: [(&str, &str); 3] =
    [("ORCH_SNAPSHOT_RECORDS", "5000"), ("ORCH_TRUNCATE_EVERY", "10s"), ("ORCH_TRUNCATE_RECORDS", "1000")];

/// A run that is to come to its end whatever happens.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) uid: String,
    pub(crate) graph: Graph,
}

/// An operator, and who it says that it is.
pub(crate) struct Operator {
    pub(crate) identity: String,
    pub(crate) process: Process,
}

/// The last status of each run.
type Statuses = Arc<Mutex<HashMap<String, PipelineRunStatus>>>;

/// See the module.
pub(crate) struct Scene {
    pub(crate) setup: Setup,
    pub(crate) broker: Broker,
    pub(crate) control_plane: ControlPlane,
    pub(crate) operators: Vec<Operator>,
    /// Between the operators and their API server, and for one that does not belong to them.
    pub(crate) gateway: Gateway,
    pub(crate) other_gateway: Gateway,
    /// Between Kafka and the operators, and the workers.
    pub(crate) links: [Proxy; 2],
    pub(crate) recorder: Recorder,
    pub(crate) work: Paced,
    pub(crate) pace: Pace,
    pub(crate) runs: Vec<Run>,
    /// Small runs that people made, as they ended.
    pub(crate) small: Vec<Value>,
    pub(crate) sources: Sources,
    /// Topics that were deleted.
    pub(crate) deleted: Vec<String>,
    pub(crate) limit: Duration,
    statuses: Statuses,
    /// Names that were given.
    pub(crate) names: usize,
    kafka_of_operators: String,
    /// Where the work of objects is done.
    pub(crate) work_at: String,
}

/// Ports that the script found free, one after another.
struct Ports(u16);

impl Ports {
    fn next(&mut self) -> String {
        self.0 += 1;
        format!("127.0.0.1:{}", self.0 - 1)
    }
}

impl Scene {
    /// All of it, and the runs are at work.
    pub(crate) async fn new(settings: &Settings) -> Self {
        let how = "`make chaos` finds free ports and sets it";
        let mut ports = Ports(variable("ORCH_CHAOS_PORTS", how).parse().unwrap());
        let broker = Broker::spare("chaos");
        let shown = [("OPERATORS", ports.next(), ports.next()), ("WORKERS", ports.next(), ports.next())];
        broker.kill();
        broker.add_listeners(&shown);
        broker.start();
        let answers = async || if broker.answers() { Ok(()) } else { Err("silent") }.map_err(str::to_owned);
        until("the broker answers", LIMIT, answers).await;
        let [(_, at_operators, of_operators), (_, at_workers, of_workers)] = shown;
        let links =
            [Proxy::start(&of_operators, &at_operators).await, Proxy::start(&of_workers, &at_workers).await];
        let mut setup = Setup::with_kafka(NAMESPACE, broker.bootstrap()).await;
        // The script keeps it when something is found, and takes it away.
        setup.folder.disable_cleanup(true);
        setup.kubelet.give_from_now_on("ORCH_BOOTSTRAP_SERVERS", &of_workers);
        let control_plane = ControlPlane::new();
        let api = control_plane.kubeconfig();
        let gateway = Gateway::start(&ports.next(), &api, setup.folder.path()).await;
        let other_gateway = Gateway::start(&ports.next(), &api, setup.folder.path()).await;
        let work_at = ports.next();
        let work = Paced::start(&work_at).await;
        let dump = setup.folder.path().join("records.jsonl");
        let recorder = Recorder::start(&broker.bootstrap(), &format!("{NAMESPACE}."), &dump);
        let mut scene = Self {
            broker,
            control_plane,
            operators: Vec::new(),
            gateway,
            other_gateway,
            links,
            recorder,
            work,
            pace: Pace::default(),
            runs: Vec::new(),
            small: Vec::new(),
            sources: Sources::default(),
            deleted: Vec::new(),
            limit: settings.limit,
            statuses: Statuses::default(),
            names: 0,
            kafka_of_operators: of_operators,
            work_at,
            setup,
        };
        tokio::spawn(follow(scene.runs_api(), scene.statuses.clone()));
        for identity in ["operator-0", "operator-1"] {
            scene.start_operator(identity);
        }
        scene.begin(settings).await;
        scene
    }

    /// Starts an operator; one with an identity that is there already is forgotten.
    pub(crate) fn start_operator(&mut self, identity: &str) {
        let process = self.operator(identity, &[("KUBECONFIG", &self.gateway.kubeconfig())]);
        self.operators.retain(|operator| operator.identity != identity);
        self.operators.push(Operator { identity: identity.to_owned(), process });
    }

    pub(crate) fn operator(&self, identity: &str, more: &[(&str, &str)]) -> Process {
        let kafka = [("ORCH_BOOTSTRAP_SERVERS", self.kafka_of_operators.as_str())];
        let log = [("ORCH_LOG", "info,orch_operator=debug")];
        self.setup.operator_with(identity, &[&kafka[..], &log[..], &EAGER[..], more].concat())
    }

    /// A name that nobody has.
    pub(crate) fn name(&mut self, begin: &str) -> String {
        self.names += 1;
        format!("{begin}-{}", self.names)
    }

    async fn begin(&mut self, settings: &Settings) {
        let stages = self.stages(settings.objects);
        self.setup.pipeline_with(PIPELINE, json!({"stages": stages})).await;
        self.sources.pipeline = Some(json!({"spec": {"stages": stages}}));
        for (name, part, parents) in RUNS {
            let graph = graph(settings.objects * part / 10, parents);
            let spec = if name == "own" {
                json!({"stages": stages})
            } else {
                json!({"pipelineRef": {"name": PIPELINE}})
            };
            let uid = self.apply(name, spec, &graph).await;
            self.pace.add(name, graph.len());
            self.runs.push(Run { name, uid, graph });
        }
        // All of them: the first fault may be one of any run.
        let at_work = async || match self.runs.iter().find(|run| self.ended_of(run.name) == 0) {
            Some(run) => Err(format!("nothing of {} has ended", run.name)),
            None => Ok(()),
        };
        until("the runs are at work", LIMIT, at_work).await;
    }

    /// One whose work has a pace, and one that follows at once.
    fn stages(&self, objects: usize) -> Value {
        // What waits for its turn has to be done before a fault counts as recovered.
        let concurrency = if objects < 20_000 { 4 } else { 8 };
        let stage = |name: &str, workers: u32, processor: Value| {
            json!({
                "name": name, "partitions": 4, "processor": processor,
                "worker": {"concurrency": concurrency, "minReplicas": workers, "maxReplicas": workers},
                "retry": {"maxAttempts": 100, "initialDelay": "100ms", "maxDelay": "1s"},
                "timeouts": {"heartbeat": "5s"},
            })
        };
        json!([
            stage("work", 2, json!({"http": {"url": format!("http://{}/", self.work_at)}})),
            stage("quick", 1, json!({"simulate": {"duration": "120ms", "jitter": 0.5}})),
        ])
    }

    /// Creates a run of these objects in ConfigMaps; its uid.
    async fn apply(&mut self, name: &str, mut spec: Value, graph: &Graph) -> String {
        let mut from = Vec::new();
        for (number, objects) in graph.chunks(CHUNK).enumerate() {
            let (map, text) = (format!("{name}-{number}"), objects_json(objects));
            self.setup.config_map(&map, &text).await;
            from.push(json!({"configMap": {"name": map, "key": "objects.json"}}));
            self.sources.config_maps.insert(map, json!({"data": {"objects.json": text}}));
        }
        spec["objectsFrom"] = json!(from);
        let run = json!({
            "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name}, "spec": spec,
        });
        self.setup.create(&run.to_string()).await.metadata.uid.unwrap()
    }

    pub(crate) fn runs_api(&self) -> Api<PipelineRun> {
        Api::namespaced(self.setup.client.clone(), NAMESPACE)
    }

    /// A run as the API server shows it.
    pub(crate) async fn shown(&self, name: &str) -> Result<Value, String> {
        let request = kube::core::Request::new(PipelineRun::url_path(&(), Some(NAMESPACE)));
        let request = request.get(name, &kube::api::GetParams::default()).unwrap();
        self.setup.client.request(request).await.map_err(|error| error.to_string())
    }

    pub(crate) fn status(&self, run: &str) -> PipelineRunStatus {
        self.statuses.lock().unwrap().get(run).cloned().unwrap_or_default()
    }

    /// Objects of the runs that have ended, as the statuses say.
    pub(crate) fn ended(&self) -> u32 {
        self.runs.iter().map(|run| self.ended_of(run.name)).sum()
    }

    pub(crate) fn ended_of(&self, run: &str) -> u32 {
        let counts = self.status(run).counts;
        counts.loaded + counts.failed + counts.blocked + counts.cancelled
    }

    pub(crate) fn uids(&self) -> Vec<String> {
        self.runs.iter().map(|run| run.uid.clone()).collect()
    }

    /// Position of the operator that holds the Lease; of any when nobody can say.
    pub(crate) async fn leader(&self) -> usize {
        let leases: Api<Lease> = Api::namespaced(self.setup.client.clone(), NAMESPACE);
        let lease = leases.get_opt("kafka-orchestrator").await.ok().flatten();
        let holder = lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default();
        self.operators.iter().position(|operator| operator.identity == holder).unwrap_or(0)
    }

    /// Waits until somebody holds the Lease of this name.
    pub(crate) async fn until_leads(&self, lease: &str) {
        let leases: Api<Lease> = Api::namespaced(self.setup.client.clone(), NAMESPACE);
        let held = async || match leases.get_opt(lease).await {
            Ok(Some(lease)) if lease.spec.as_ref().is_some_and(|spec| spec.holder_identity.is_some()) => {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        };
        until(&format!("the Lease {lease} is held"), LIMIT, held).await;
    }

    /// A topic of the run with stages of its own, or of the Pipeline.
    pub(crate) fn topic(&self, run: &str, end: &str) -> Option<String> {
        let stage = self.status(run).stages.into_iter().next()?;
        Some(format!("{}{end}", stage.topic.strip_suffix(&stage.name)?))
    }

    /// Names of workers, in an order that does not depend on the machine.
    pub(crate) fn worker(&self, chance: &mut Chance) -> String {
        let names = self.setup.kubelet.names();
        chance.one_of(&names).clone()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.setup.folder.path().to_path_buf()
    }
}

/// Keeps the last status of each run.
async fn follow(api: Api<PipelineRun>, statuses: Statuses) {
    let mut events = watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed();
    while let Some(event) = events.next().await {
        // An API server that is away is tried again.
        let Ok(run) = event else { continue };
        let (Some(name), Some(status)) = (run.metadata.name, run.status) else { continue };
        statuses.lock().unwrap().insert(name, status);
    }
}

/// So many objects in levels.
fn graph(objects: usize, parents: usize) -> Graph {
    let width = (objects / 100).clamp(10, 250);
    let mut graph = layered(objects.div_ceil(width), width, parents);
    graph.truncate(objects);
    graph
}

/// Levels take turns in the two stages.
pub(crate) fn objects_json(objects: &[(String, Vec<String>)]) -> String {
    let object = |(id, parents): &(String, Vec<String>)| {
        let mut object = BTreeMap::from([("id", json!(id)), ("stage", json!(stage_of(id)))]);
        if !parents.is_empty() {
            object.insert("dependsOn", json!(parents));
        }
        json!(object)
    };
    json!(objects.iter().map(object).collect::<Vec<_>>()).to_string()
}

/// The stage of an object `n<level>-<number>`.
pub(crate) fn stage_of(id: &str) -> &'static str {
    let level = id.trim_start_matches('n').split('-').next().and_then(|level| level.parse::<usize>().ok());
    if level.unwrap_or(0).is_multiple_of(2) { "work" } else { "quick" }
}
