//! `orch completion SHELL`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Arguments;
use crate::error::{CliError, Exit};
use crate::printer::Printer;

pub(super) fn execute(shell: Shell, printer: &Printer) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "orch", &mut script);
    printer.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Succeeded)
}
