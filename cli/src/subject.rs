//! What `graph`, `why` and `status` are about: a file, or a run in the cluster. Either way everything is answered from
//! the resources alone.

use std::path::Path;

use orch_core::finding::Finding;
use orch_core::plan::RunPlan;
use orch_crds::conversion::check_name;
use orch_crds::status::PipelineRunStatus;
use orch_crds::{PipelineRun, StatusField};

use crate::args::{InputArgs, SubjectArgs};
use crate::error::CliError;
use crate::input::{self, Input};

/// A run with its graph.
#[derive(Debug)]
pub(crate) struct Subject {
    /// Name of the run.
    pub name: String,
    /// The resource, where there is one.
    pub run: Option<PipelineRun>,
    /// The checked graph, or why there is none.
    pub plan: Result<RunPlan, CliError>,
    /// What is worth knowing about the graph.
    pub warnings: Vec<Finding>,
    /// It came from the cluster, where the operator writes its status.
    pub in_cluster: bool,
}

impl Subject {
    /// From a file that was read.
    pub(crate) fn of_input(input: Input) -> Self {
        let Input { file, name, manifest, graph } = input;
        let (plan, warnings) = match graph.and_then(|graph| input::checked(&file, graph)) {
            Ok((plan, warnings)) => (Ok(plan), warnings),
            Err(error) => (Err(error), Vec::new()),
        };
        Self { name, run: manifest.map(|manifest| manifest.run), plan, warnings, in_cluster: false }
    }

    /// The status, where the run has one.
    pub(crate) fn status(&self) -> Option<&PipelineRunStatus> {
        self.run.as_ref()?.status.as_ref()
    }

    /// `spec.timeout`, where the run has one.
    pub(crate) fn timeout(&self) -> Option<&str> {
        self.run.as_ref()?.spec.timeout.as_ref().map(|timeout| timeout.0.as_str())
    }

    /// Why there is no status.
    pub(crate) fn without_status(&self) -> String {
        if self.in_cluster {
            format!("`{}` has no status yet: the operator has not looked at it", self.name)
        } else {
            format!("`{}` has no status: it has not been run", self.name)
        }
    }
}

/// Finds what the arguments mean.
pub(crate) fn find(args: &SubjectArgs) -> Result<Subject, CliError> {
    let path = Path::new(&args.subject);
    let looks_like_a_file = args.subject == "-" || args.subject.contains(['/', '.']);
    if path.is_file() || looks_like_a_file {
        if args.subject != "-" && !path.exists() {
            return Err(CliError::usage(format!("there is no file `{}`", args.subject), ""));
        }
        let input = InputArgs { file: path.to_owned(), choice: args.choice.clone() };
        return Ok(Subject::of_input(input::load(&input, StatusField::Read)?));
    }
    if check_name(&args.subject).is_some() {
        let problem = format!("there is no file `{}`, and no run can have this name", args.subject);
        return Err(CliError::usage(problem, "name a file, or a run as `kubectl get pipelineruns` lists it"));
    }
    in_cluster(args)
}

#[cfg(feature = "cluster")]
fn in_cluster(args: &SubjectArgs) -> Result<Subject, CliError> {
    let manifest = crate::cluster::fetch(&args.cluster, &args.subject)
        .map_err(|error| error.with_hint(&format!("there is no file `{}` either", args.subject)))?;
    let graph = manifest.graph(&args.subject);
    let name = args.subject.clone();
    let input = Input { file: name.clone(), name, manifest: Some(manifest), graph };
    Ok(Subject { in_cluster: true, ..Subject::of_input(input) })
}

#[cfg(not(feature = "cluster"))]
fn in_cluster(args: &SubjectArgs) -> Result<Subject, CliError> {
    let problem = format!("there is no file `{}`", args.subject);
    Err(CliError::usage(
        problem,
        "this build of orch has no cluster commands: a name of a run means nothing to it",
    ))
}
