//! `orch status FILE|NAME`.

use crate::args::StatusArgs;
use crate::commands::resource_text;
use crate::error::{CliError, Exit};
use crate::printer::Printer;
use crate::report::Report;
use crate::subject;

pub(super) fn execute(args: &StatusArgs, printer: &Printer) -> Result<Exit, CliError> {
    let subject = subject::find(&args.subject)?;
    if let (Some(format), Some(run)) = (args.output, &subject.run) {
        printer.data(&resource_text(run, format)?)?;
        return Ok(Exit::Succeeded);
    }
    let Some(status) = subject.status() else {
        let without_status = subject.without_status();
        subject.plan?;
        if subject.in_cluster {
            let hint =
                "is it there? `kubectl get pods -A -l app.kubernetes.io/name=kafka-orchestrator` shows it";
            return Err(CliError::broken(without_status, hint));
        }
        let hint = format!(
            "run it: `orch run {0} -o json > run.json`, then `orch status run.json`",
            args.subject.subject
        );
        return Err(CliError::usage(without_status, hint));
    };
    // Without its graph (a ConfigMap that is not in the file) a run still has a status.
    let report =
        Report { name: &subject.name, status, plan: subject.plan.as_ref().ok(), paint: printer.paint() };
    printer.data(&report.status())?;
    Ok(Exit::Succeeded)
}
