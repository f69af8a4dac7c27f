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
        subject.plan?;
        let problem = format!("`{}` has no status: it has not been run", subject.name);
        let hint = format!(
            "`orch run {0} -o json > run.json` runs it here; `orch status run.json` shows the result",
            args.subject.subject
        );
        return Err(CliError::usage(problem, hint));
    };
    // Without its graph (a ConfigMap that is not in the file) a run still has a status.
    let report =
        Report { name: &subject.name, status, plan: subject.plan.as_ref().ok(), paint: printer.paint() };
    printer.data(&report.status())?;
    Ok(Exit::Succeeded)
}
