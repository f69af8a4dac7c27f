//! The commands that talk to a Kubernetes API server: the only part of the program that does.

mod client;
mod create;
mod errors;
mod follow;

use orch_crds::conversion::check_name;
use orch_crds::pipeline_run::PipelineRunSpec;
use orch_crds::status::RunPhase;
use orch_crds::{Pipeline, PipelineRun, StatusField};
use serde_json::json;

use crate::args::{ClusterArgs, NamedArgs, RerunArgs, SubmitArgs};
use crate::commands::resources;
use crate::error::{CliError, Exit};
use crate::input::{self, Manifest};
use crate::printer::Printer;
use client::Cluster;

/// A run with all that it names, from the cluster.
pub(crate) fn fetch(args: &ClusterArgs, name: &str) -> Result<Manifest, CliError> {
    block_on(async {
        let cluster = Cluster::connect(args, None).await?;
        cluster.manifest(name).await
    })
}

/// `orch submit FILE`.
pub(crate) fn submit(args: &SubmitArgs, printer: &Printer) -> Result<Exit, CliError> {
    let input = input::load(&args.input, StatusField::Ignored)?;
    let mut manifest = resources(input, args.name.as_deref(), printer)?;
    let namespace = manifest.run.metadata.namespace.take();
    block_on(async {
        let cluster = Cluster::connect(&args.cluster, namespace.as_deref()).await?;
        create::manifest(&cluster, &manifest, printer).await?;
        created(&cluster, manifest.name(), args.wait, printer).await
    })
}

/// `orch rerun NAME`.
pub(crate) fn rerun(args: &RerunArgs, printer: &Printer) -> Result<Exit, CliError> {
    check_run(&args.run.name)?;
    block_on(async {
        let cluster = Cluster::connect(&args.run.cluster, None).await?;
        let earlier = cluster.manifest(&args.run.name).await?;
        let name = match &args.name {
            Some(name) => match check_name(name) {
                Some(finding) => return Err(CliError::usage(finding.problem, finding.remedy)),
                None => name.clone(),
            },
            None => cluster.free_name(&args.run.name).await?,
        };
        let spec = PipelineRunSpec { cancel: false, ..earlier.run.spec.clone() };
        create::again(&cluster, &earlier, PipelineRun::new(&name, spec)).await?;
        created(&cluster, &name, args.wait, printer).await
    })
}

async fn created(cluster: &Cluster, name: &str, wait: bool, printer: &Printer) -> Result<Exit, CliError> {
    if wait {
        printer.note(&format!("{} created", resource(name)));
        return follow::until_end(cluster, name, printer).await;
    }
    printer.data(&format!("{} created", resource(name)))?;
    printer.note(&format!("next: orch watch {name} -n {}", cluster.namespace));
    Ok(Exit::Succeeded)
}

/// Refuses what no run can be called, before a server is asked: most often it is a file.
fn check_run(name: &str) -> Result<(), CliError> {
    if check_name(name).is_none() {
        return Ok(());
    }
    let problem = format!("`{name}` is no name of a run in a cluster");
    Err(CliError::usage(
        problem,
        "`kubectl get pipelineruns` lists them; `orch status`, `why` and `graph` take files too",
    ))
}

/// `orch watch NAME`.
pub(crate) fn watch(args: &NamedArgs, printer: &Printer) -> Result<Exit, CliError> {
    check_run(&args.name)?;
    block_on(async {
        let cluster = Cluster::connect(&args.cluster, None).await?;
        follow::until_end(&cluster, &args.name, printer).await
    })
}

/// `orch cancel NAME`.
pub(crate) fn cancel(args: &NamedArgs, printer: &Printer) -> Result<Exit, CliError> {
    check_run(&args.name)?;
    block_on(async {
        let cluster = Cluster::connect(&args.cluster, None).await?;
        let run = cluster.run(&args.name).await?;
        let phase = run.status.map_or(RunPhase::Pending, |status| status.phase);
        if phase.is_final() {
            printer.note(&format!("`{}` has ended already: {phase:?}", args.name));
            return Ok(Exit::Succeeded);
        }
        cluster.patch_run(&args.name, &json!({"spec": {"cancel": true}})).await?;
        printer.data(&format!("{} cancelled", resource(&args.name)))?;
        Ok(Exit::Succeeded)
    })
}

/// A run as `kubectl` names it.
fn resource(name: &str) -> String {
    format!("pipelinerun.{}/{name}", orch_crds::GROUP)
}

/// Pipelines and runs that a command makes carry no status.
fn without_server_fields(pipeline: &Pipeline) -> Pipeline {
    let mut fresh =
        Pipeline::new(pipeline.metadata.name.as_deref().unwrap_or_default(), pipeline.spec.clone());
    fresh.metadata.labels.clone_from(&pipeline.metadata.labels);
    fresh.metadata.annotations.clone_from(&pipeline.metadata.annotations);
    fresh
}

fn block_on<T>(future: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| CliError::broken(format!("the network cannot be used: {error}"), ""))?;
    runtime.block_on(future)
}
