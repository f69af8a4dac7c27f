//! The plans of runs whose objects come from ConfigMaps: to read and check a large graph takes a second, and hundreds of
//! megabytes until it is done, so few are read at a time, and runs of one graph share its plan.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use orch_core::finding::Finding;
use orch_core::plan::RunPlan;
use orch_crds::PipelineRun;
use orch_crds::chunk::Chunk;
use orch_crds::stage::StageSpec;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;

use super::{observe, validate};
use crate::lock::lock;
use crate::missing::Missing;

/// Runs with ConfigMaps that are read and checked at the same time.
const READ_AT_A_TIME: usize = 2;

/// Why a run has no plan.
pub(super) enum Unplanned {
    /// Something that it names is not there.
    Missing(Missing),
    /// Everything that is wrong with its graph.
    Refused(Vec<Finding>),
}

/// Everything that a plan is made of, as a digest: the spec, the stages, and which ConfigMaps they are. These are read
/// only when they are immutable, so the uid says what is in one.
#[derive(PartialEq, Eq, Hash)]
struct Key([u8; 32]);

/// See the module.
pub(crate) struct Plans {
    /// Of live runs: whoever drives one holds its plan.
    kept: Mutex<HashMap<Key, Weak<RunPlan>>>,
    turns: Semaphore,
}

impl Default for Plans {
    fn default() -> Self {
        Self { kept: Mutex::default(), turns: Semaphore::new(READ_AT_A_TIME) }
    }
}

impl Plans {
    /// The plan of a run, or why there is none.
    pub(super) async fn of(
        &self,
        api: &Api<ConfigMap>,
        run: &PipelineRun,
        stages: Option<&[StageSpec]>,
    ) -> Result<Result<Arc<RunPlan>, Unplanned>, kube::Error> {
        if run.spec.objects_from.is_none() {
            return Ok(checked(run, stages, &[]));
        }
        let uids = observe::uids(api, run).await?;
        let key = uids.and_then(|uids| Key::of(run, stages, &uids));
        let shared = || key.as_ref().and_then(|key| self.get(key));
        if let Some(plan) = shared() {
            return Ok(Ok(plan));
        }
        // Nobody closes it.
        let _turn = self.turns.acquire().await.ok();
        if let Some(plan) = shared() {
            return Ok(Ok(plan));
        }
        let chunks = match observe::chunks(api, run).await? {
            Ok(chunks) => chunks,
            Err(missing) => return Ok(Err(Unplanned::Missing(missing))),
        };
        Ok(checked(run, stages, &chunks).map(|plan| match key {
            Some(key) => self.share(key, plan),
            None => plan,
        }))
    }

    fn get(&self, key: &Key) -> Option<Arc<RunPlan>> {
        lock(&self.kept).get(key).and_then(Weak::upgrade)
    }

    /// Shares a plan: the answer is the one that all have, which may be one that was made meanwhile.
    fn share(&self, key: Key, plan: Arc<RunPlan>) -> Arc<RunPlan> {
        let mut kept = lock(&self.kept);
        kept.retain(|_, plan| plan.strong_count() > 0);
        if let Some(other) = kept.get(&key).and_then(Weak::upgrade) {
            return other;
        }
        kept.insert(key, Arc::downgrade(&plan));
        plan
    }
}

fn checked(
    run: &PipelineRun,
    stages: Option<&[StageSpec]>,
    chunks: &[Chunk],
) -> Result<Arc<RunPlan>, Unplanned> {
    // The loops of other runs go on meanwhile.
    let plan = block_in_place(|| validate::validate(run, stages, chunks));
    plan.map(Arc::new).map_err(Unplanned::Refused)
}

impl Key {
    fn of(run: &PipelineRun, stages: Option<&[StageSpec]>, uids: &[String]) -> Option<Self> {
        let text = serde_json::to_vec(&(&run.spec, stages, uids)).ok()?;
        Some(Self(Sha256::digest(text).into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(name: &str, spec: &Value) -> PipelineRun {
        serde_json::from_value(json!({
            "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun",
            "metadata": {"name": name, "namespace": "a"}, "spec": spec,
        }))
        .unwrap()
    }

    fn stages(processor: &Value) -> Vec<StageSpec> {
        serde_json::from_value(json!([{"name": "work", "processor": processor}])).unwrap()
    }

    fn from_map() -> Value {
        json!({
            "pipelineRef": {"name": "shared"},
            "objectsFrom": [{"configMap": {"name": "large", "key": "objects.json"}}],
        })
    }

    fn plan() -> Arc<RunPlan> {
        let run = run("one", &json!({"pipelineRef": {"name": "shared"}, "objects": [{"id": "a"}]}));
        let Ok(plan) = checked(&run, Some(&stages(&json!({"simulate": {}}))), &[]) else { panic!() };
        plan
    }

    #[test]
    fn a_key_is_that_of_the_spec_the_stages_and_the_config_maps_and_not_of_the_run() {
        let simulate = stages(&json!({"simulate": {}}));
        let same = ["uid-1".to_owned()];
        let key = |run: &PipelineRun, stages: &[StageSpec], uids: &[String]| {
            Key::of(run, Some(stages), uids).unwrap()
        };
        let one = key(&run("one", &from_map()), &simulate, &same);
        assert!(one == key(&run("two", &from_map()), &simulate, &same));
        let mut targets = from_map();
        targets["targets"] = json!({"ids": ["a"]});
        for (what, other) in [
            ("the spec", key(&run("one", &targets), &simulate, &same)),
            (
                "the stages",
                key(&run("one", &from_map()), &stages(&json!({"exec": {"command": ["x"]}})), &same),
            ),
            ("a ConfigMap made anew", key(&run("one", &from_map()), &simulate, &["uid-2".to_owned()])),
        ] {
            assert!(one != other, "{what}");
        }
    }

    #[test]
    fn runs_of_one_graph_have_one_plan_for_as_long_as_one_of_them_lives() {
        let plans = Plans::default();
        let key = || Key([7; 32]);
        assert!(plans.get(&key()).is_none());
        let first = plans.share(key(), plan());
        let second = plans.share(key(), plan());
        assert!(Arc::ptr_eq(&first, &second), "two that were read at the same time");
        assert!(Arc::ptr_eq(&first, &plans.get(&key()).unwrap()));
        assert!(plans.get(&Key([8; 32])).is_none());
        drop((first, second));
        assert!(plans.get(&key()).is_none());
        let _other = plans.share(Key([8; 32]), plan());
        assert_eq!(plans.kept.lock().unwrap().len(), 1, "what nobody holds is forgotten");
    }
}
