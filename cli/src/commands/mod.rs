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
use serde_json::Value;
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

/// The resource as `kubectl get -o` prints it: keys in alphabetical order, JSON indented by four spaces, no notes of
/// who wrote which field.
fn resource_text(run: &PipelineRun, format: ResourceFormat) -> Result<String, CliError> {
    let fault = |problem: String| CliError::broken(format!("the resource cannot be written: {problem}"), "");
    let mut value = serde_json::to_value(run).map_err(|error| fault(error.to_string()))?;
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    match format {
        ResourceFormat::Yaml => serde_yaml::to_string(&value).map_err(|error| fault(error.to_string())),
        ResourceFormat::Json => {
            let mut json = Vec::new();
            let mut serializer = Serializer::with_formatter(&mut json, PrettyFormatter::with_indent(b"    "));
            value.serialize(&mut serializer).map_err(|error| fault(error.to_string()))?;
            Ok(as_go_writes(&String::from_utf8_lossy(&json)))
        }
    }
}

/// Go writes JSON that can stand in HTML. These characters occur inside of texts only.
fn as_go_writes(json: &str) -> String {
    let escapes = [
        ('<', "\\u003c"),
        ('>', "\\u003e"),
        ('&', "\\u0026"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ];
    escapes.into_iter().fold(json.to_owned(), |json, (from, to)| json.replace(from, to))
}
