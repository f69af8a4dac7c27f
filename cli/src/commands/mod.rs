//! The commands, one module each.

mod completion;
mod convert;
mod graph;
mod run;
mod status;
mod validate;
mod why;

#[cfg(feature = "cluster")]
pub(crate) use convert::resources;
use orch_crds::PipelineRun;
use serde::Serialize as _;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::args::{Command, ResourceFormat};
use crate::error::{CliError, Exit};
use crate::printer::Printer;

/// Does what the command says.
pub(crate) fn execute(command: Command, printer: &Printer) -> Result<Exit, CliError> {
    match command {
        Command::Run(args) => run::execute(args, printer),
        Command::Validate(args) => validate::execute(&args, printer),
        Command::Convert(args) => convert::execute(&args, printer),
        Command::Graph(args) => graph::execute(&args, printer),
        Command::Why(args) => why::execute(&args, printer),
        Command::Status(args) => status::execute(&args, printer),
        #[cfg(feature = "cluster")]
        Command::Submit(args) => crate::cluster::submit(&args, printer),
        #[cfg(feature = "cluster")]
        Command::Rerun(args) => crate::cluster::rerun(&args, printer),
        #[cfg(feature = "cluster")]
        Command::Watch(args) => crate::cluster::watch(&args, printer),
        #[cfg(feature = "cluster")]
        Command::Cancel(args) => crate::cluster::cancel(&args, printer),
        Command::Completion { shell } => completion::execute(shell, printer),
    }
}

/// The resource as `kubectl get -o` prints it: keys in alphabetical order, JSON indented by four spaces.
fn resource_text(run: &PipelineRun, format: ResourceFormat) -> Result<String, CliError> {
    let fault = |problem: String| CliError::broken(format!("the resource cannot be written: {problem}"), "");
    let value = serde_json::to_value(run).map_err(|error| fault(error.to_string()))?;
    match format {
        ResourceFormat::Yaml => serde_yaml::to_string(&value).map_err(|error| fault(error.to_string())),
        ResourceFormat::Json => {
            let mut json = Vec::new();
            let mut serializer = Serializer::with_formatter(&mut json, PrettyFormatter::with_indent(b"    "));
            value.serialize(&mut serializer).map_err(|error| fault(error.to_string()))?;
            Ok(String::from_utf8_lossy(&json).into_owned())
        }
    }
}
