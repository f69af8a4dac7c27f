//! The worker process of a stage, with the built-in processors.

use std::process::ExitCode;

fn main() -> ExitCode {
    orch_workers::run(orch_workers::Registry::builtin())
}
