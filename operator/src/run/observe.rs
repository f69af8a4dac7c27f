//! Reads everything that a run names: its Pipeline and its ConfigMaps. Reads only.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, ResourceExt};
use orch_crds::chunk::Chunk;
use orch_crds::condition::accepted;
use orch_crds::stage::StageSpec;
use orch_crds::{Pipeline, PipelineRun};

use crate::guarded::Guarded;
use crate::missing::Missing;

/// What a run names, as it was found.
pub(crate) struct Observed {
    pub(crate) pipeline: Option<Arc<Pipeline>>,
    /// The Pipeline's stages as this run has them, see [`PipelineRun::shared_stages`].
    pub(crate) stages: Option<Vec<StageSpec>>,
    pub(crate) chunks: Vec<Chunk>,
}

/// Reads what the run names.
pub(crate) async fn observe(
    client: &Client,
    run: &PipelineRun,
) -> Result<Result<Observed, Missing>, kube::Error> {
    let namespace = run.namespace().unwrap_or_default();
    let pipeline = match &run.spec.pipeline_ref {
        None => None,
        Some(reference) => {
            let api: Api<Guarded<Pipeline>> = Api::namespaced(client.clone(), &namespace);
            match api.get_opt(&reference.name).await?.map(|pipeline| pipeline.0) {
                None => {
                    let message =
                        format!("the Pipeline `{}` does not exist in this namespace", reference.name);
                    return Ok(Err(Missing { reason: accepted::PIPELINE_NOT_FOUND, message }));
                }
                Some(Err(unreadable)) => return Ok(Err(Missing::of_unreadable(&unreadable))),
                Some(Ok(pipeline)) if pipeline.metadata.deletion_timestamp.is_some() => {
                    let message = format!("the Pipeline `{}` is being deleted", reference.name);
                    return Ok(Err(Missing { reason: accepted::PIPELINE_DELETING, message }));
                }
                Some(Ok(pipeline)) => Some(pipeline),
            }
        }
    };
    let stages = match run.shared_stages(pipeline.as_deref()) {
        Ok(stages) => stages,
        Err(finding) => {
            return Ok(Err(Missing { reason: accepted::STATUS_UNREADABLE, message: finding.to_string() }));
        }
    };
    let mut maps: HashMap<String, ConfigMap> = HashMap::new();
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    for entry in run.spec.objects_from.iter().flatten() {
        let name = &entry.config_map.name;
        if !maps.contains_key(name)
            && let Some(map) = api.get_opt(name).await?
        {
            maps.insert(name.clone(), map);
        }
    }
    Ok(match Chunk::take_all(&run.spec, |name| maps.get(name)) {
        Ok(chunks) => Ok(Observed { pipeline, stages, chunks }),
        Err(missing) => Err(Missing { reason: missing.reason(), message: missing.to_string() }),
    })
}
