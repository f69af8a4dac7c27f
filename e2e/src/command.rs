//! Programs as a person types them: what they say and how they end.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// What a program said.
#[derive(Debug)]
pub struct Said {
    /// Exit status; -1 when a signal ended it.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Panics with all of it unless it ended so.
    #[track_caller]
    // An expectation: mostly it is all that one wants of it.
    #[allow(clippy::return_self_not_must_use)]
    pub fn ended_with(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Panics with all of it unless standard error holds each of these.
    #[track_caller]
    pub fn complains(&self, words: &[&str]) {
        for words in words {
            assert!(self.err.contains(words), "no `{words}` in:\n{self}");
        }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit status {}\n---- stdout\n{}---- stderr\n{}", self.status, self.out, self.err)
    }
}

/// A program with this kubeconfig, in the project's folder.
pub fn command(program: impl AsRef<OsStr>, kubeconfig: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env_remove("ORCH_LOG")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs it to its end.
pub async fn run(program: impl AsRef<OsStr>, kubeconfig: &Path, arguments: &[&str]) -> Said {
    let output = command(program, kubeconfig, arguments).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { status: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}
