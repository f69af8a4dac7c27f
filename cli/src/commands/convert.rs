//! `orch convert FILE`.

use std::path::Path;

use orch_core::counted;
use orch_crds::StatusField;
use orch_crds::conversion::check_name;
use serde::Serialize;

use crate::args::ConvertArgs;
use crate::convert::{manifest, shrink};
use crate::error::{CliError, Exit};
use crate::input::{self, Input, Manifest};
use crate::printer::Printer;

pub(super) fn execute(args: &ConvertArgs, printer: &Printer) -> Result<Exit, CliError> {
    let input = input::load(&args.input, StatusField::Ignored)?;
    let manifest = resources(input, args.name.as_deref(), printer)?;
    let documents = documents(&manifest)?;
    match &args.output {
        None => {
            printer.data(&documents.into_iter().map(|(_, text)| text).collect::<String>())?;
        }
        Some(folder) => {
            for (name, text) in &documents {
                write(folder, name, text)?;
            }
            printer.note(&format!(
                "{} written; next: kubectl apply -f {}",
                counted(documents.len(), "file"),
                folder.display()
            ));
        }
    }
    Ok(Exit::Succeeded)
}

/// The resources of any input, fit for a cluster, and checked as a cluster would check them.
pub(crate) fn resources(input: Input, name: Option<&str>, printer: &Printer) -> Result<Manifest, CliError> {
    let Input { file, name: own, manifest: given, graph } = input;
    let graph = graph?;
    if let Some(finding) = name.and_then(check_name) {
        return Err(CliError::usage(finding.problem, finding.remedy));
    }
    let mut manifest = match given {
        Some(mut given) => {
            given.run.status = None;
            shrink(given, &graph.spec)?
        }
        None => manifest(name.unwrap_or(&own), &graph.spec)?,
    };
    if let Some(name) = name {
        manifest.run.metadata.name = Some(name.to_owned());
    }
    let (_, warnings) = input::checked(&file, graph)?;
    printer.warnings(&warnings);
    Ok(manifest)
}

/// Each resource with the name of its file, in the order in which they can be created.
fn documents(manifest: &Manifest) -> Result<Vec<(String, String)>, CliError> {
    let mut documents = Vec::new();
    for map in &manifest.config_maps {
        documents.push((map.metadata.name.clone().unwrap_or_default(), yaml(map)?));
    }
    if let Some(pipeline) = &manifest.pipeline {
        documents.push((
            format!("pipeline-{}", pipeline.metadata.name.as_deref().unwrap_or_default()),
            yaml(pipeline)?,
        ));
    }
    documents.push((manifest.name().to_owned(), yaml(&manifest.run)?));
    Ok(documents)
}

/// A document with its mark, so that files can be put behind each other.
fn yaml(resource: &impl Serialize) -> Result<String, CliError> {
    let text = serde_yaml::to_string(resource)
        .map_err(|error| CliError::broken(format!("a resource cannot be written: {error}"), ""))?;
    Ok(format!("---\n{text}"))
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), CliError> {
    let path = folder.join(format!("{name}.yaml"));
    let unwritable = |source| CliError::Write { what: format!("`{}`", path.display()), source };
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    std::fs::write(&path, text).map_err(unwritable)
}
