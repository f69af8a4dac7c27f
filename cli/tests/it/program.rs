//! Starts the program and shows what it said.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of the project.
pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What the program did.
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// All of it, for a snapshot.
    pub(crate) fn all(&self) -> String {
        let Self { status, out, err } = self;
        format!("exit status {status}\n---- stdout\n{out}---- stderr\n{err}")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.all()))
    }
}

/// Runs the program in the project's folder.
pub(crate) fn orch(args: &[&str]) -> Said {
    orch_in(&project(), args)
}

/// Runs the program in a folder.
pub(crate) fn orch_in(folder: &Path, args: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orch"));
    command.current_dir(folder).args(args).env_remove("ORCH_LOG").env("KUBECONFIG", "/nowhere");
    let Output { status, stdout, stderr } = command.output().unwrap();
    Said {
        status: status.code().unwrap_or(-1),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// A folder with one file.
pub(crate) fn file(name: &str, text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), text).unwrap();
    folder
}

/// Runs the program on one file with this text.
pub(crate) fn orch_on(command: &str, name: &str, text: &str, more: &[&str]) -> Said {
    let folder = file(name, text);
    let mut args = vec![command, name];
    args.extend(more);
    orch_in(folder.path(), &args)
}

/// Compares with the snapshot in the source; what differs from run to run is replaced first.
macro_rules! assert_said {
    ($said:expr, @$expected:literal) => {
        insta::with_settings!({filters => vec![
            // How long a run took.
            (r"(?m) in [0-9.hms]+$", " in [time]"),
            // A line of progress a second.
            (r"(?m)^ *\d+s  \w.*\n", ""),
            (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "[date]"),
        ]}, {
            insta::assert_snapshot!($said.all(), @$expected);
        });
    };
}
pub(crate) use assert_said;
