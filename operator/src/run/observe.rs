//! Reads what a run names: its Pipeline and its ConfigMaps. Reads only.

use std::sync::Arc;

use futures::stream::{self, Buffered};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, ResourceExt};
use orch_core::catalogue::Room;
use orch_crds::chunk::Chunk;
use orch_crds::condition::accepted;
use orch_crds::stage::StageSpec;
use orch_crds::{Pipeline, PipelineRun};

use crate::guarded::Guarded;
use crate::missing::Missing;

/// ConfigMaps that are asked for at a time: while many ask, each answer takes long. Few, because beside its text each is in
/// memory once more.
const READ_AHEAD: usize = 4;
/// The same where no more than their names come back.
const ASK_AHEAD: usize = 8;

/// The Pipeline that a run names, as it was found.
pub(crate) struct Observed {
    pub(crate) pipeline: Option<Arc<Pipeline>>,
    /// The Pipeline's stages as this run has them, see [`PipelineRun::shared_stages`].
    pub(crate) stages: Option<Vec<StageSpec>>,
}

/// Reads the Pipeline that the run names.
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
    Ok(match run.shared_stages(pipeline.as_deref()) {
        Ok(stages) => Ok(Observed { pipeline, stages }),
        Err(finding) => Err(Missing { reason: accepted::STATUS_UNREADABLE, message: finding.to_string() }),
    })
}

/// What `objectsFrom` names, up to the entry with which it is more than any run may hold: the checks refuse that.
pub(super) async fn chunks(
    api: &Api<ConfigMap>,
    run: &PipelineRun,
) -> Result<Result<Vec<Chunk>, Missing>, kube::Error> {
    let entries: Vec<_> = run.spec.objects_from.iter().flatten().map(|entry| &entry.config_map).collect();
    let mut maps = each_map(run, READ_AHEAD, |name| {
        let api = api.clone();
        async move { api.get_opt(&name).await }
    });
    let mut chunks = Vec::new();
    let mut bytes = 0;
    for entries in entries.chunk_by(|one, next| one.name == next.name) {
        let map = maps.try_next().await?.flatten();
        for entry in entries {
            match Chunk::take(entry, map.as_ref()) {
                Ok(chunk) => {
                    bytes += chunk.bytes.len();
                    chunks.push(chunk);
                }
                Err(missing) => {
                    return Ok(Err(Missing { reason: missing.reason(), message: missing.to_string() }));
                }
            }
            if bytes > Room::MAX_BYTES {
                return Ok(Ok(chunks));
            }
        }
    }
    Ok(Ok(chunks))
}

/// The uids of the ConfigMaps that `objectsFrom` names; none where one of them is not there.
pub(super) async fn uids(
    api: &Api<ConfigMap>,
    run: &PipelineRun,
) -> Result<Option<Vec<String>>, kube::Error> {
    let found = each_map(run, ASK_AHEAD, |name| {
        let api = api.clone();
        async move { api.get_metadata_opt(&name).await }
    });
    let found: Vec<_> = found.try_collect().await?;
    Ok(found.into_iter().map(|found| found?.metadata.uid).collect())
}

/// Asks about each ConfigMap that `objectsFrom` names, so many at a time. One that several entries in a row name is asked
/// about once; the answers come in their order.
fn each_map<F: Future>(
    run: &PipelineRun,
    at_a_time: usize,
    ask: impl Fn(String) -> F,
) -> Buffered<stream::Iter<std::vec::IntoIter<F>>> {
    let names = run.spec.objects_from.iter().flatten().map(|entry| entry.config_map.name.clone());
    let mut names: Vec<String> = names.collect();
    names.dedup();
    let asked: Vec<F> = names.into_iter().map(ask).collect();
    stream::iter(asked).buffered(at_a_time)
}
