//! Reads everything that a run names: its Pipeline and its ConfigMaps. Reads only.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, ResourceExt};
use orch_core::catalogue::Room;
use orch_crds::chunk::{Chunk, ChunkMissing};
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
    Ok(match chunks(&Api::namespaced(client.clone(), &namespace), run).await? {
        Ok(chunks) => Ok(Observed { pipeline, stages, chunks }),
        Err(missing) => Err(Missing { reason: missing.reason(), message: missing.to_string() }),
    })
}

/// What `objectsFrom` names, up to the entry with which it is more than any run may hold: the checks refuse that.
async fn chunks(
    api: &Api<ConfigMap>,
    run: &PipelineRun,
) -> Result<Result<Vec<Chunk>, ChunkMissing>, kube::Error> {
    let mut last: Option<(&str, Option<ConfigMap>)> = None;
    let mut chunks = Vec::new();
    let mut bytes = 0;
    for entry in run.spec.objects_from.iter().flatten().map(|entry| &entry.config_map) {
        // One at a time: beside its text each is in memory once more.
        let map = match last.take().filter(|(name, _)| *name == entry.name) {
            Some((_, map)) => map,
            None => api.get_opt(&entry.name).await?,
        };
        let (_, map) = last.insert((&entry.name, map));
        match Chunk::take(entry, map.as_ref()) {
            Ok(chunk) => {
                bytes += chunk.bytes.len();
                chunks.push(chunk);
            }
            Err(missing) => return Ok(Err(missing)),
        }
        if bytes > Room::MAX_BYTES {
            break;
        }
    }
    Ok(Ok(chunks))
}
