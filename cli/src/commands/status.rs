//! `orch status FILE|NAME`.

use orch_crds::PipelineRun;

use crate::args::{ResourceFormat, StatusArgs, StatusFormat};
use crate::commands::resource_text;
use crate::error::{CliError, Exit};
use crate::phases::Phases;
use crate::printer::Printer;
use crate::report::Report;
use crate::subject::{self, Subject};
use crate::wide;

pub(super) fn execute(args: &StatusArgs, printer: &Printer) -> Result<Exit, CliError> {
    let subject = subject::find(&args.subject)?;
    let resource = match args.output {
        Some(StatusFormat::Json) => Some(ResourceFormat::Json),
        Some(StatusFormat::Yaml) => Some(ResourceFormat::Yaml),
        Some(StatusFormat::Wide) | None => None,
    };
    if let Some(format) = resource {
        printer.data(&resource_text(with_resource(&subject)?, format)?)?;
        return Ok(Exit::Succeeded);
    }
    let Some(status) = subject.status() else { return Err(without_status(subject, &args.subject.subject)) };
    if args.output == Some(StatusFormat::Wide) {
        return wide(subject, printer);
    }
    // Without its graph (a ConfigMap that is not in the file) a run still has a status.
    let report = Report {
        name: &subject.name,
        status,
        timeout: subject.timeout(),
        plan: subject.plan.as_ref().ok(),
        paint: printer.paint(),
    };
    printer.data(&report.status())?;
    Ok(Exit::Succeeded)
}

/// Every object; that takes the graph.
fn wide(subject: Subject, printer: &Printer) -> Result<Exit, CliError> {
    let Subject { plan, run, .. } = subject;
    let (plan, status) = (plan?, run.and_then(|run| run.status).unwrap_or_default());
    let phases = Phases::new(&plan, Some(&status));
    if let Some(note) = phases.note() {
        printer.note(&note);
    }
    printer.data(&wide::table(&plan, &status, &phases, printer.paint()))?;
    Ok(Exit::Succeeded)
}

/// A catalogue or a list is no resource.
fn with_resource(subject: &Subject) -> Result<&PipelineRun, CliError> {
    subject.run.as_ref().ok_or_else(|| {
        let problem = format!("`{}` holds a graph and no PipelineRun", subject.name);
        CliError::usage(problem, "`orch convert` makes one of it, `orch run -o json` one with a status")
    })
}

/// Why there is nothing to show, and what to do.
fn without_status(subject: Subject, given: &str) -> CliError {
    let problem = subject.without_status();
    if let Err(error) = subject.plan {
        return error;
    }
    if subject.in_cluster {
        let hint = "is it there? `kubectl get pods -A -l app.kubernetes.io/name=kafka-orchestrator` shows it";
        return CliError::broken(problem, hint);
    }
    let hint = format!("run it: `orch run {given} -o json > run.json`, then `orch status run.json`");
    CliError::usage(problem, hint)
}
