//! Small runs beside the large ones, which people cancel, delete, or gave too little time.

use kube::Resource as _;
use kube::api::{DeleteParams, GetParams, Patch, PatchParams};
use orch_e2e::api::until;
use orch_e2e::graphs::layered;
use orch_e2e::setup::LIMIT;
use serde_json::{Value, json};

use crate::recovery::Mark;
use crate::scene::{PIPELINE, Scene, objects_json};

impl Scene {
    /// Creates a run of the Pipeline, with these fields of its spec.
    pub(crate) async fn small_run(&mut self, name: &str, mut spec: Value) -> String {
        let name = self.name(name);
        spec["pipelineRef"] = json!({"name": PIPELINE});
        spec["objects"] = serde_json::from_str(&objects_json(&layered(8, 6, 2))).unwrap();
        let run = json!({
            "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name}, "spec": spec,
        });
        self.setup.create(&run.to_string()).await;
        name
    }

    /// Waits for its end, and keeps it to be judged.
    pub(crate) async fn keep(&mut self, run: &str) {
        let over = async || {
            let shown = self.shown(run).await?;
            let phase = shown["status"]["phase"].as_str().unwrap_or_default().to_owned();
            if ["Succeeded", "Failed", "Cancelled"].contains(&phase.as_str()) {
                Ok(shown)
            } else {
                Err(phase)
            }
        };
        let shown = until(&format!("{run} is over"), LIMIT, over).await;
        self.small.push(shown);
    }

    async fn until_begun(&self, run: &str) {
        let begun = async || {
            let shown = self.shown(run).await?;
            if shown["status"]["counts"]["loaded"].as_u64() > Some(0) {
                Ok(())
            } else {
                Err(shown["status"].to_string())
            }
        };
        until(&format!("{run} has begun"), LIMIT, begun).await;
    }

    pub(crate) async fn run_cancelled(&mut self) -> Mark {
        let run = self.small_run("cancelled", json!({})).await;
        self.until_begun(&run).await;
        let cancel = Patch::Merge(json!({"spec": {"cancel": true}}));
        self.runs_api().patch(&run, &PatchParams::default(), &cancel).await.unwrap();
        let mark = self.mark();
        self.keep(&run).await;
        mark
    }

    pub(crate) async fn run_deleted(&mut self) -> Mark {
        let run = self.small_run("deleted", json!({})).await;
        self.until_begun(&run).await;
        // What comes back is nothing to read.
        let request =
            kube::core::Request::new(orch_crds::PipelineRun::url_path(&(), Some(crate::scene::NAMESPACE)));
        let delete = request.delete(&run, &DeleteParams::background()).unwrap();
        self.setup.client.request_text(delete).await.unwrap();
        let mark = self.mark();
        let gone = async || {
            let request = kube::core::Request::new(orch_crds::PipelineRun::url_path(
                &(),
                Some(crate::scene::NAMESPACE),
            ));
            let get = request.get(&run, &GetParams::default()).unwrap();
            match self.setup.client.request_text(get).await {
                Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        };
        until(&format!("{run} is gone"), LIMIT, gone).await;
        mark
    }

    pub(crate) async fn run_overdue(&mut self) -> Mark {
        let run = self.small_run("overdue", json!({"timeout": "1s"})).await;
        self.keep(&run).await;
        self.mark()
    }
}
