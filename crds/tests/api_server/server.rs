//! The server, with our definitions on it.

use std::time::{Duration, Instant};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Config, ResourceExt as _};
use orch_crds::yaml;
use serde_json::{Value, json};

use crate::cases::Kind;

const NAMESPACE: &str = "default";
const DEADLINE: Duration = Duration::from_secs(20);

/// An API server that knows both kinds.
pub struct Server {
    pub client: Client,
}

impl Server {
    /// Connects, and installs the definitions.
    pub async fn connect() -> Self {
        let path = std::env::var("ORCH_TEST_KUBECONFIG")
            .expect("ORCH_TEST_KUBECONFIG names no kubeconfig: run `make it`");
        let kubeconfig = Kubeconfig::read_from(path).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let server = Self { client: Client::try_from(config).unwrap() };
        for definition in yaml::definitions() {
            server.install(definition).await;
        }
        server
    }

    async fn install(&self, definition: CustomResourceDefinition) {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let name = definition.name_any();
        let apply = PatchParams::apply("orch-crds-tests").force();
        definitions.patch(&name, &apply, &Patch::Apply(&definition)).await.unwrap();
        let kind = definition.spec.names.kind.as_str();
        let kind = if kind == "Pipeline" { Kind::Pipeline } else { Kind::PipelineRun };
        let deadline = Instant::now() + DEADLINE;
        // A definition is served some time after it was accepted.
        while let Err(error) = self.api(kind).list(&kube::api::ListParams::default()).await {
            assert!(Instant::now() < deadline, "{name} is not served: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The resources of one kind, untyped: the tests send what the types could not even say.
    pub fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("kafka-orchestrator.dev", "v1alpha1", &format!("{kind:?}"));
        Api::namespaced_with(self.client.clone(), NAMESPACE, &ApiResource::from_gvk(&kind))
    }

    /// What the server would store.
    pub async fn try_create(&self, kind: Kind, resource: &Value) -> Result<Value, String> {
        self.post(kind, resource, true).await
    }

    /// Creates the resource under a name that no other test has, and gives that name.
    pub async fn create(&self, kind: Kind, mut resource: Value) -> String {
        resource["metadata"] = json!({"generateName": "test-"});
        let created = self.post(kind, &resource, false).await.unwrap();
        created["metadata"]["name"].as_str().unwrap().to_owned()
    }

    async fn post(&self, kind: Kind, resource: &Value, dry_run: bool) -> Result<Value, String> {
        let object: DynamicObject = serde_json::from_value(resource.clone()).unwrap();
        let params = PostParams { dry_run, ..PostParams::default() };
        let created = self.api(kind).create(&params, &object).await;
        created.map(|created| serde_json::to_value(created).unwrap()).map_err(|error| error.to_string())
    }

    /// What the server would store after a merge patch.
    pub async fn try_change(&self, kind: Kind, name: &str, patch: &Value) -> Result<(), String> {
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        let changed = self.api(kind).patch(name, &params, &Patch::Merge(patch)).await;
        changed.map(|_| ()).map_err(|error| error.to_string())
    }

    pub async fn delete(&self, kind: Kind, name: &str) {
        self.api(kind).delete(name, &kube::api::DeleteParams::default()).await.unwrap();
    }
}
