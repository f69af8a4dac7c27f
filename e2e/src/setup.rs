//! One operator, one namespace, one stand-in for the kubelet.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use orch_crds::status::PipelineRunStatus;
use orch_crds::{Pipeline, PipelineRun};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{
    client, condition, create_run, namespace, need_crds, until, variable, wait_for, wait_for_end,
};
use crate::history::{self, Entry, Story};
use crate::kubelet::Kubelet;
use crate::process::{Process, program};

/// A run may take this long on a machine that is busy with other things.
pub const LIMIT: Duration = Duration::from_mins(2);

/// What a test stands on.
pub struct Setup {
    /// The API server.
    pub client: Client,
    /// Everything of the test is in it.
    pub namespace: String,
    /// The broker.
    pub bootstrap: String,
    /// Runs the workers.
    pub kubelet: Kubelet,
    /// For logs and other files; it goes with the test.
    pub folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Setup {
    /// A namespace of this name, and a kubelet for it. No operator yet.
    pub async fn new(name: &str) -> Self {
        let bootstrap = variable("ORCH_TEST_KAFKA", "run `make test`, which starts a broker");
        Self::with_kafka(name, bootstrap).await
    }

    /// The same with another broker than the one that all tests share.
    pub async fn with_kafka(name: &str, bootstrap: String) -> Self {
        let client = client("ORCH_TEST_KUBECONFIG").await;
        need_crds(&client).await;
        namespace(&client, name).await;
        let folder = tempfile::tempdir().unwrap();
        let kubelet = Kubelet::start(client.clone(), name, folder.path());
        let kubeconfig = variable("ORCH_TEST_KUBECONFIG", "");
        let variables = [
            ("KUBECONFIG", kubeconfig.as_str()),
            ("ORCH_KAFKA_DIR", "/nonexistent"),
            ("ORCH_BOOTSTRAP_SERVERS", &bootstrap),
            ("ORCH_TOPIC_PREFIX", &format!("{name}.")),
            ("ORCH_WATCH_NAMESPACES", name),
            ("ORCH_WORKER_IMAGE", "none"),
            ("ORCH_LISTEN", "127.0.0.1:0"),
            ("ORCH_LEASE_NAMESPACE", name),
            ("ORCH_LEASE_SECONDS", "4"),
            ("ORCH_LOG_FORMAT", "text"),
            ("ORCH_FINALIZER_DEADLINE", "20s"),
        ];
        let variables =
            variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { client, namespace: name.to_owned(), bootstrap, kubelet, folder, variables }
    }

    /// Starts an operator that calls itself `identity`.
    pub fn operator(&self, identity: &str) -> Process {
        self.operator_with(identity, &[])
    }

    /// The same with other variables.
    pub fn operator_with(&self, identity: &str, variables: &[(&str, &str)]) -> Process {
        let mut all = self.variables.clone();
        all.push(("POD_NAME".to_owned(), identity.to_owned()));
        all.extend(variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        Process::start(identity, &program("orch-operator"), &all, &self.log(identity))
    }

    /// Where the operator of this identity logs.
    pub fn log(&self, identity: &str) -> PathBuf {
        self.folder.path().join(format!("{identity}.log"))
    }

    /// Waits by watch until the run's status is as wanted.
    pub async fn until(
        &self,
        run: &str,
        what: &str,
        wanted: impl Fn(&PipelineRunStatus) -> bool,
    ) -> PipelineRunStatus {
        let run = wait_for(&self.client, &self.namespace, run, (what, LIMIT), wanted).await;
        run.status.unwrap()
    }

    /// Waits until a condition of the run has this reason; the answer is its message.
    pub async fn until_reason(&self, run: &str, type_: &str, reason: &str) -> String {
        let has = |status: &PipelineRunStatus| {
            condition(status, type_).is_some_and(|(_, found, _)| found == reason)
        };
        let status = self.until(run, &format!("{type_} with {reason}"), has).await;
        condition(&status, type_).unwrap().2.to_owned()
    }

    /// A run as it is now.
    pub async fn get(&self, run: &str) -> PipelineRun {
        Api::namespaced(self.client.clone(), &self.namespace).get(run).await.unwrap()
    }

    /// Waits until an Event about a run has this reason. The answer is how often it was told.
    pub async fn until_told(&self, run: &str, reason: &str) -> i32 {
        let api = Api::<Event>::namespaced(self.client.clone(), &self.namespace);
        let told = async || {
            let events = api.list(&ListParams::default()).await.unwrap().items.into_iter();
            let about_run = events.filter(|event| {
                event.regarding.as_ref().and_then(|about| about.name.as_deref()) == Some(run)
            });
            let (told, others): (Vec<Event>, Vec<Event>) =
                about_run.partition(|event| event.reason.as_deref() == Some(reason));
            let times = |event: &Event| event.series.as_ref().map_or(1, |series| series.count);
            if told.is_empty() { Err(format!("{others:?}")) } else { Ok(told.iter().map(times).sum()) }
        };
        until(&format!("an Event {reason} about {run}"), LIMIT, told).await
    }

    /// Creates a run from YAML.
    pub async fn create(&self, yaml: &str) -> PipelineRun {
        create_run(&self.client, &self.namespace, yaml).await
    }

    /// Waits until the run is over.
    pub async fn end_of(&self, name: &str) -> PipelineRun {
        wait_for_end(&self.client, &self.namespace, name, LIMIT).await
    }

    /// Creates a Pipeline with these stages.
    pub async fn pipeline(&self, name: &str, stages: &Value) {
        self.pipeline_with(name, json!({"stages": stages})).await;
    }

    /// Creates a Pipeline with this spec.
    pub async fn pipeline_with(&self, name: &str, spec: Value) {
        let pipeline = json!({
            "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "Pipeline", "metadata": {"name": name},
            "spec": spec,
        });
        let api = Api::<Pipeline>::namespaced(self.client.clone(), &self.namespace);
        api.create(&PostParams::default(), &serde_json::from_value(pipeline).unwrap()).await.unwrap();
    }

    /// Writes a Secret, whether it is there already or not.
    pub async fn secret(&self, name: &str, files: &BTreeMap<String, Vec<u8>>) {
        let files: BTreeMap<_, _> =
            files.iter().map(|(key, value)| (key, ByteString(value.clone()))).collect();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": files});
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        api.patch(name, &PatchParams::apply("e2e").force(), &Patch::Apply(secret)).await.unwrap();
    }

    /// Stores objects in an immutable ConfigMap, as `orch submit` does.
    pub async fn config_map(&self, name: &str, objects: &str) {
        let map = json!({"metadata": {"name": name}, "immutable": true, "data": {"objects.json": objects}});
        let api =
            Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(self.client.clone(), &self.namespace);
        api.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    }

    /// Everything in the topics of this test.
    pub async fn entries(&self) -> Vec<Entry> {
        let (bootstrap, prefix) = (self.bootstrap.clone(), format!("{}.", self.namespace));
        tokio::task::spawn_blocking(move || history::read(&bootstrap, &prefix)).await.unwrap()
    }

    /// What the topics say of a run.
    pub async fn story(&self, run: &PipelineRun) -> Story {
        Story::of(&self.entries().await, run.metadata.uid.as_deref().unwrap())
    }
}
