//! One operator, one namespace, one stand-in for the kubelet.

use std::path::PathBuf;
use std::time::Duration;

use crate::api::{apply_crds, client, create_run, namespace, variable, wait_for_end};
use crate::history::{self, Story};
use crate::kubelet::Kubelet;
use crate::process::{Process, program};
use kube::Client;
use kube::api::{Api, PostParams};
use orch_crds::PipelineRun;
use serde_json::json;
use tempfile::TempDir;

/// A run may take this long on a machine that is busy with other things.
pub const LIMIT: Duration = Duration::from_mins(2);

/// What a test stands on.
pub struct Setup {
    pub client: Client,
    pub namespace: String,
    pub bootstrap: String,
    pub kubelet: Kubelet,
    pub folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Setup {
    /// A namespace of this name, and a kubelet for it. No operator yet.
    pub async fn new(name: &str) -> Self {
        let client = client("ORCH_TEST_KUBECONFIG").await;
        let bootstrap = variable("ORCH_TEST_KAFKA", "run `make test`, which starts a broker");
        apply_crds(&client).await;
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

    pub fn log(&self, identity: &str) -> PathBuf {
        self.folder.path().join(format!("{identity}.log"))
    }

    pub async fn create(&self, yaml: &str) -> PipelineRun {
        create_run(&self.client, &self.namespace, yaml).await
    }

    pub async fn end_of(&self, name: &str) -> PipelineRun {
        wait_for_end(&self.client, &self.namespace, name, LIMIT).await
    }

    /// Stores objects in an immutable ConfigMap, as `orch submit` does.
    pub async fn config_map(&self, name: &str, objects: &str) {
        let map = json!({"metadata": {"name": name}, "immutable": true, "data": {"objects.json": objects}});
        let api =
            Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(self.client.clone(), &self.namespace);
        api.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    }

    /// What the topics say of a run.
    pub async fn story(&self, run: &PipelineRun) -> Story {
        let (bootstrap, prefix) = (self.bootstrap.clone(), format!("{}.", self.namespace));
        let uid = run.metadata.uid.clone().unwrap();
        tokio::task::spawn_blocking(move || Story::of(&history::read(&bootstrap, &prefix), &uid))
            .await
            .unwrap()
    }
}
