//! Stands in for the kubelet where there is no node: follows the Deployments of a namespace and runs a worker process
//! for each replica, with the variables and the files of the pod template.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Container, PodTemplateSpec, Secret};
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::process::{Process, program};

/// Variable with the number of the life that a worker process is: unlike that of a process it is never used again.
pub const LIFE: &str = "ORCH_TEST_LIFE";

/// Variable with the filter of its log.
const LOG: &str = "ORCH_LOG";
/// What a pod mounts is there after this.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a kill makes of a worker: jobs know the numbers as [`LIFE`].
#[derive(Debug, Clone, Copy)]
pub struct Lives {
    /// Of the process that was killed.
    pub ended: u32,
    /// Of the one that was started instead.
    pub next: u32,
}

/// The workers of a namespace.
pub struct Kubelet {
    workers: Arc<Mutex<HashMap<String, Vec<Worker>>>>,
    given: Given,
    task: JoinHandle<()>,
}

/// Variables of workers that are started, above those of the pod template.
type Given = Arc<Mutex<HashMap<String, String>>>;

struct Worker {
    name: String,
    process: Process,
    life: u32,
    template: PodTemplateSpec,
    variables: Vec<(String, String)>,
    log: PathBuf,
}

impl Kubelet {
    /// Starts following.
    pub fn start(client: Client, namespace: &str, folder: &Path) -> Self {
        let workers = Arc::new(Mutex::new(HashMap::new()));
        let filter = std::env::var("ORCH_TEST_LOG").unwrap_or_else(|_| "info".to_owned());
        let given: Given = Arc::new(Mutex::new(HashMap::from([(LOG.to_owned(), filter)])));
        let follower = Follower {
            client,
            namespace: namespace.to_owned(),
            folder: folder.to_path_buf(),
            workers: workers.clone(),
            given: given.clone(),
            number: 0,
        };
        Self { workers, given, task: tokio::spawn(follower.follow()) }
    }

    /// Workers that are started from now on log by this filter.
    pub fn log_from_now_on(&self, filter: &str) {
        self.give_from_now_on(LOG, filter);
    }

    /// Workers that are started from now on get this variable.
    pub fn give_from_now_on(&self, variable: &str, value: &str) {
        self.given.lock().unwrap().insert(variable.to_owned(), value.to_owned());
    }

    /// Names of the workers that run.
    pub fn names(&self) -> Vec<String> {
        let workers = self.workers.lock().unwrap();
        let mut names: Vec<_> = workers.values().flatten().map(|worker| worker.name.clone()).collect();
        names.sort();
        names
    }

    /// SIGKILLs the worker of this name and starts one in its place, as a kubelet restarts a container. The answer is
    /// the two lives.
    pub fn kill_and_restart(&self, name: &str) -> Lives {
        self.kill_and_start(name, name)
    }

    /// The same, but the new one has a name of its own, as the pod that replaces a lost one.
    pub fn kill_and_replace(&self, name: &str) -> Lives {
        self.kill_and_start(name, &format!("{name}-again"))
    }

    fn kill_and_start(&self, name: &str, next: &str) -> Lives {
        let mut workers = self.workers.lock().unwrap();
        let worker = workers.values_mut().flatten().find(|worker| worker.name == name).unwrap();
        worker.process.kill();
        next.clone_into(&mut worker.name);
        let variables = worker.variables.iter_mut().find(|(variable, _)| variable == "POD_NAME");
        next.clone_into(&mut variables.unwrap().1);
        let ended = worker.life;
        (worker.life, worker.process) = live(next, &worker.variables, &worker.log);
        Lives { ended, next: worker.life }
    }

    /// Sends a signal, such as `STOP`, to the worker of this name, if it is still there.
    pub fn signal(&self, name: &str, signal: &str) {
        let workers = self.workers.lock().unwrap();
        if let Some(worker) = workers.values().flatten().find(|worker| worker.name == name) {
            worker.process.signal(signal);
        }
    }

    /// SIGTERM to the worker of this life. It may take its time.
    pub fn ask_to_end(&self, life: u32) {
        let workers = self.workers.lock().unwrap();
        workers.values().flatten().find(|worker| worker.life == life).unwrap().process.ask_to_end();
    }

    /// The processes of the workers that run.
    pub fn ids(&self) -> Vec<u32> {
        self.workers.lock().unwrap().values().flatten().map(|worker| worker.process.id()).collect()
    }

    /// The logs of the workers that run.
    pub fn logs(&self) -> Vec<PathBuf> {
        self.workers.lock().unwrap().values().flatten().map(|worker| worker.log.clone()).collect()
    }

    /// Ends everything, as dropping it does.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
        // A test that panicked while it held them has said so.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What follows the Deployments.
struct Follower {
    client: Client,
    namespace: String,
    folder: PathBuf,
    workers: Arc<Mutex<HashMap<String, Vec<Worker>>>>,
    given: Given,
    number: usize,
}

impl Follower {
    async fn follow(mut self) {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut events = watcher(api.clone(), watcher::Config::default()).default_backoff().boxed();
        let mut listed = HashSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Apply(deployment)) => self.meet(&api, &deployment).await,
                Ok(watcher::Event::InitApply(deployment)) => {
                    listed.insert(deployment.name_any());
                    self.meet(&api, &deployment).await;
                }
                Ok(watcher::Event::Delete(deployment)) => {
                    self.workers.lock().unwrap().remove(&deployment.name_any());
                }
                Ok(watcher::Event::Init) => listed.clear(),
                // What went while nobody watched.
                Ok(watcher::Event::InitDone) => {
                    self.workers.lock().unwrap().retain(|name, _| listed.contains(name));
                }
                // An API server that is away; the watch begins again.
                Err(_) => {}
            }
        }
    }

    /// Runs as many workers as the Deployment wants.
    async fn meet(&mut self, api: &Api<Deployment>, deployment: &Deployment) {
        let name = deployment.name_any();
        let wanted = deployment.spec.replicas.unwrap_or(1) as usize;
        // A worker with another template goes: at once, as one whose grace is over.
        let template = deployment.spec.template.clone();
        let is_current = |worker: &mut Worker| worker.template == template;
        self.workers.lock().unwrap().entry(name.clone()).or_default().retain_mut(is_current);
        let have = self.workers.lock().unwrap().get(&name).map_or(0, Vec::len);
        for _ in have..wanted {
            self.number += 1;
            let given = self.given.lock().unwrap().clone();
            let Some(worker) = start(&self.client, deployment, &self.folder, self.number, given).await else {
                return;
            };
            self.workers.lock().unwrap().entry(name.clone()).or_default().push(worker);
        }
        let surplus: Vec<Worker> = {
            let mut workers = self.workers.lock().unwrap();
            let of = workers.entry(name.clone()).or_default();
            let keep = wanted.min(of.len());
            of.split_off(keep)
        };
        for worker in surplus {
            // A worker drains: it is waited for beside the watch.
            tokio::task::spawn_blocking(move || worker.process.terminate());
        }
        report(api, deployment, wanted).await;
    }
}

/// Says that the replicas are ready, once.
async fn report(api: &Api<Deployment>, deployment: &Deployment, replicas: usize) {
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    if ready as usize != replicas {
        let patch = Patch::Merge(json!({"status": {
            "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas, "updatedReplicas": replicas,
        }}));
        // A Deployment that is going has no status to write.
        let _ = api.patch_status(&deployment.name_any(), &PatchParams::default(), &patch).await;
    }
}

async fn start(
    client: &Client,
    deployment: &Deployment,
    folder: &Path,
    number: usize,
    given: HashMap<String, String>,
) -> Option<Worker> {
    let name = format!("{}-{number}", deployment.name_any());
    let spec = deployment.spec.template.spec.as_ref().unwrap();
    let container = spec.containers.iter().find(|container| container.name == "worker").unwrap();
    let config = folder.join(&name);
    std::fs::create_dir_all(&config).unwrap();
    let sources = spec.volumes.iter().flatten().filter_map(|volume| volume.projected.as_ref());
    for source in sources.flat_map(|projected| projected.sources.iter().flatten()) {
        let namespace = deployment.namespace().unwrap();
        if let Some(secret) = &source.secret {
            let api: Api<Secret> = Api::namespaced(client.clone(), &namespace);
            for (key, value) in eventually(&api, &secret.name, deployment).await?.data.unwrap_or_default() {
                std::fs::write(config.join(key), value.0).unwrap();
            }
        }
        if let Some(map) = &source.config_map {
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
            for (key, value) in eventually(&api, &map.name, deployment).await?.data.unwrap_or_default() {
                std::fs::write(config.join(key), value).unwrap();
            }
        }
    }
    let variables = variables(container, &config, &name, given);
    let log = folder.join(format!("{name}.log"));
    let (life, process) = live(&name, &variables, &log);
    let template = deployment.spec.template.clone();
    Some(Worker { name, process, life, template, variables, log })
}

/// Starts a worker process, with the number of its life.
fn live(name: &str, variables: &[(String, String)], log: &Path) -> (u32, Process) {
    static LIVES: AtomicU32 = AtomicU32::new(1);
    let life = LIVES.fetch_add(1, Ordering::Relaxed);
    let mut variables = variables.to_vec();
    variables.push((LIFE.to_owned(), life.to_string()));
    (life, Process::start(name, &program("orch-worker"), &variables, log))
}

/// What a pod mounts; `None` when the Deployment has gone meanwhile.
async fn eventually<K>(api: &Api<K>, name: &str, deployment: &Deployment) -> Option<K>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let deployments: Api<Deployment> =
        Api::namespaced(api.clone().into_client(), &deployment.namespace().unwrap());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = match api.get_opt(name).await {
            Ok(Some(found)) => return Some(found),
            Ok(None) if matches!(deployments.get_opt(&deployment.name_any()).await, Ok(None)) => return None,
            seen => format!("{seen:?}"),
        };
        assert!(Instant::now() < deadline, "a pod mounts {name}, which is not there: {seen}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn variables(
    container: &Container,
    config: &Path,
    name: &str,
    given: HashMap<String, String>,
) -> Vec<(String, String)> {
    let of_template =
        container.env.iter().flatten().map(|var| (var.name.clone(), var.value.clone().unwrap_or_default()));
    let mut variables: Vec<(String, String)> = of_template.collect();
    let ours = [
        ("ORCH_CONFIG_DIR", config.display().to_string()),
        ("ORCH_LISTEN", "127.0.0.1:0".to_owned()),
        ("POD_NAME", name.to_owned()),
    ];
    let ours = ours.map(|(key, value)| (key.to_owned(), value));
    for (key, value) in ours.into_iter().chain(given) {
        variables.retain(|(other, _)| *other != key);
        variables.push((key, value));
    }
    variables
}
