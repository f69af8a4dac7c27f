//! The API server: client, namespaces, and waits that name what they last saw.

use std::fmt::Debug;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config, Resource};
use orch_crds::PipelineRun;
use orch_crds::status::PipelineRunStatus;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::OnceCell;

/// A variable that the test target sets.
pub fn variable(name: &str, how: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: {how}"))
}

/// A client for the kubeconfig in this variable.
pub async fn client(variable_name: &str) -> Client {
    // A second install is refused; another test of this process was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let path = variable(variable_name, "run `make test`, which starts an API server");
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// The generated CRDs are served, from the first test of this process on.
pub async fn need_crds(client: &Client) {
    static APPLIED: OnceCell<()> = OnceCell::const_new();
    APPLIED.get_or_init(|| apply_crds(client)).await;
}

async fn apply_crds(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for text in
        [include_str!("../../crds/yaml/pipelineruns.yaml"), include_str!("../../crds/yaml/pipelines.yaml")]
    {
        let crd: CustomResourceDefinition = serde_yaml::from_str(text).unwrap();
        let name = crd.metadata.name.clone().unwrap();
        api.patch(&name, &PatchParams::apply("e2e").force(), &Patch::Apply(&crd)).await.unwrap();
        let established = kube::runtime::conditions::is_crd_established();
        let wait = kube::runtime::wait::await_condition(api.clone(), &name, established);
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the CRD is established").unwrap();
    }
}

/// A new namespace of this name.
pub async fn namespace(client: &Client, name: &str) {
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    api.create(&PostParams::default(), &namespace).await.unwrap();
}

/// Creates a run from YAML.
pub async fn create_run(client: &Client, namespace: &str, yaml: &str) -> PipelineRun {
    let run: PipelineRun = serde_yaml::from_str(yaml).unwrap();
    let api: Api<PipelineRun> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams::default(), &run)
        .await
        .unwrap_or_else(|error| panic!("the run was refused: {error}"))
}

/// Waits by watch until the status is as wanted; the panic shows the last one.
pub async fn wait_for(
    client: &Client,
    namespace: &str,
    name: &str,
    (what, limit): (&str, Duration),
    wanted: impl Fn(&PipelineRunStatus) -> bool,
) -> PipelineRun {
    let api: Api<PipelineRun> = Api::namespaced(client.clone(), namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut last = None;
    let found = tokio::time::timeout(limit, async {
        let mut events = watcher(api, config).default_backoff().applied_objects().boxed();
        loop {
            // An API server that is being killed ends the watch; the next one goes on.
            let Ok(Some(run)) = events.try_next().await else { continue };
            last.clone_from(&run.status);
            if run.status.as_ref().is_some_and(&wanted) {
                return run;
            }
        }
    })
    .await;
    found.unwrap_or_else(|_| {
        panic!("{namespace}/{name} is not {what} after {limit:?}; it was last seen as {last:#?}")
    })
}

/// Waits until the run is over.
pub async fn wait_for_end(client: &Client, namespace: &str, name: &str, limit: Duration) -> PipelineRun {
    wait_for(client, namespace, name, ("over", limit), |status| status.phase.is_final()).await
}

/// Deletes a run, and waits until it is gone.
pub async fn delete_run(client: &Client, namespace: &str, name: &str, limit: Duration) {
    delete::<PipelineRun>(client, namespace, name, limit).await;
}

/// Deletes a resource, and waits until it is gone.
pub async fn delete<K>(client: &Client, namespace: &str, name: &str, limit: Duration)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let uid = api.get(name).await.unwrap().meta().uid.clone().unwrap();
    api.delete(name, &DeleteParams::background()).await.unwrap();
    let gone = kube::runtime::wait::await_condition(api, name, kube::runtime::conditions::is_deleted(&uid));
    tokio::time::timeout(limit, gone)
        .await
        .unwrap_or_else(|_| panic!("{namespace}/{name} is not gone"))
        .unwrap();
}

/// A condition of a status: status, reason and message.
pub fn condition<'a>(status: &'a PipelineRunStatus, type_: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let found = status.conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((&found.status, &found.reason, &found.message))
}

/// Looks again and again until `probe` has an answer; the panic shows what it said last instead.
pub async fn until<T>(what: &str, limit: Duration, mut probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        match probe().await {
            Ok(answer) => return answer,
            Err(seen) if tokio::time::Instant::now() >= deadline => {
                panic!("{what}: not after {limit:?}; it was last seen as {seen}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
