//! A namespace of a cluster.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams};
use kube::config::KubeConfigOptions;
use kube::{Api, Client, Config};
use orch_crds::conversion::MAX_NAME;
use orch_crds::{Pipeline, PipelineRun};
use serde_json::Value;

use super::errors;
use crate::args::ClusterArgs;
use crate::error::CliError;
use crate::input::Manifest;

/// ConfigMaps that are read at the same time.
const READS: usize = 8;

/// A connection to one namespace.
pub(super) struct Cluster {
    pub(super) namespace: String,
    /// Address of the API server, for messages.
    server: String,
    pub(super) runs: Api<PipelineRun>,
    pub(super) pipelines: Api<Pipeline>,
    pub(super) config_maps: Api<ConfigMap>,
}

impl Cluster {
    /// The cluster of the context, and in it the namespace of the arguments, else `of_file`, else that of the context.
    pub(super) async fn connect(args: &ClusterArgs, of_file: Option<&str>) -> Result<Self, CliError> {
        let config = match &args.context {
            Some(context) => {
                let options =
                    KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
                Config::from_kubeconfig(&options).await.map_err(unusable)?
            }
            None => Config::infer().await.map_err(unusable)?,
        };
        let namespace = args.namespace.as_deref().or(of_file).unwrap_or(&config.default_namespace).to_owned();
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(unusable)?;
        Ok(Self {
            runs: Api::namespaced(client.clone(), &namespace),
            pipelines: Api::namespaced(client.clone(), &namespace),
            config_maps: Api::namespaced(client, &namespace),
            namespace,
            server: server.trim_end_matches('/').to_owned(),
        })
    }

    /// A call that did not do what it should, with what to do about it.
    pub(super) fn failed(&self, doing: impl Into<String>, error: kube::Error) -> CliError {
        errors::of(doing.into(), error, &self.server)
    }

    /// A run.
    pub(super) async fn run(&self, name: &str) -> Result<PipelineRun, CliError> {
        let doing = || format!("cannot read the PipelineRun `{name}` of namespace `{}`", self.namespace);
        self.runs.get(name).await.map_err(|error| self.failed(doing(), error))
    }

    /// A run with the Pipeline and the ConfigMaps that it names, as far as they are there.
    pub(super) async fn manifest(&self, name: &str) -> Result<Manifest, CliError> {
        let run = self.run(name).await?;
        let pipeline = match &run.spec.pipeline_ref {
            None => None,
            Some(reference) => self.pipelines.get_opt(&reference.name).await.map_err(|error| {
                self.failed(format!("cannot read the Pipeline `{}`", reference.name), error)
            })?,
        };
        let names: BTreeSet<String> =
            run.spec.objects_from.iter().flatten().map(|entry| entry.config_map.name.clone()).collect();
        let maps: Vec<Option<ConfigMap>> = futures::stream::iter(names)
            .map(|name| async move {
                let read = self.config_maps.get_opt(&name).await;
                read.map_err(|error| self.failed(format!("cannot read the ConfigMap `{name}`"), error))
            })
            .buffered(READS)
            .try_collect()
            .await?;
        Ok(Manifest { run, pipeline, config_maps: maps.into_iter().flatten().collect() })
    }

    /// Changes a run.
    pub(super) async fn patch_run(&self, name: &str, patch: &Value) -> Result<(), CliError> {
        let doing = || format!("cannot change the PipelineRun `{name}` of namespace `{}`", self.namespace);
        let patched = self.runs.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.map(|_| ()).map_err(|error| self.failed(doing(), error))
    }

    /// The first of `NAME-2`, `NAME-3` and so on that no run has.
    pub(super) async fn free_name(&self, name: &str) -> Result<String, CliError> {
        let taken = self.runs.list_metadata(&ListParams::default()).await;
        let taken = taken.map_err(|error| self.failed("cannot list the PipelineRuns", error))?;
        let taken: BTreeSet<String> = taken.items.into_iter().filter_map(|run| run.metadata.name).collect();
        let numbered = |n: usize| {
            let number = format!("-{n}");
            let kept: String = name.chars().take(MAX_NAME - number.len()).collect();
            format!("{kept}{number}")
        };
        // One more number than there are names: one of them is free.
        let free = (2..taken.len() + 3).map(numbered).find(|candidate| !taken.contains(candidate));
        Ok(free.unwrap_or_else(|| numbered(2)))
    }
}

fn unusable(source: impl std::error::Error + Send + Sync + 'static) -> CliError {
    let place = match std::env::var("KUBECONFIG") {
        Ok(path) if !path.is_empty() => format!("KUBECONFIG is `{path}`"),
        _ => "KUBECONFIG is not set, so that `~/.kube/config` counts".to_owned(),
    };
    let hint = format!("{place}: correct it, or name one of `kubectl config get-contexts` with --context");
    CliError::NoCluster { hint, source: Box::new(source) }
}
