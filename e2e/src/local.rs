//! A local run over a broker whose only object starts a program that would outlive it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;
use tokio::process::Child;

use crate::api::until;
use crate::command::{Said, command};
use crate::process::program;
use crate::setup::LIMIT;

/// See the module. Dropping it kills it.
pub struct LocalRun {
    child: Child,
    folder: TempDir,
}

impl LocalRun {
    /// Starts `orch run --kafka` with this name and so many stages, which have a topic each.
    pub fn start(name: &str, bootstrap: &str, stages: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = "sleep 600 & echo $! > \"$0\"; wait";
        let exec = json!({"command": ["sh", "-c", script, folder.path().join("program")]});
        let stage = |n: usize| json!({"name": format!("stage-{n}"), "processor": {"simulate": {}}});
        let manifest = json!({
            "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name},
            "spec": {
                "stages": (0..stages).map(stage).collect::<Vec<_>>(),
                "objects": [{"id": "a", "stage": "stage-0", "processor": {"exec": exec}}],
            },
        });
        let file: PathBuf = folder.path().join("run.json");
        std::fs::write(&file, manifest.to_string()).unwrap();
        let arguments = ["run", file.to_str().unwrap(), "--kafka", bootstrap];
        let mut command = command(program("orch"), "/nowhere".as_ref(), &arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, folder }
    }

    /// Waits until the object's program runs, and gives its number.
    pub async fn at_work(&self) -> u32 {
        let number = async || {
            let text = std::fs::read_to_string(self.folder.path().join("program")).unwrap_or_default();
            text.trim().parse().map_err(|_| format!("`{text}`"))
        };
        until("the program has started", LIMIT, number).await
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("it has ended").to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        assert!(sent.success(), "there is no process {pid}");
    }

    /// Waits for its end.
    pub async fn ended(self) -> Said {
        let output = tokio::time::timeout(LIMIT, self.child.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("it goes on after {LIMIT:?}")).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            status: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// Waits until a program does nothing any more: it has ended, or nobody has asked how.
pub async fn until_gone(pid: u32) {
    let gone = async || {
        let said = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
        let state = String::from_utf8(said.stdout).unwrap().trim().to_owned();
        if state.is_empty() || state.starts_with('Z') { Ok(()) } else { Err(state) }
    };
    until(&format!("process {pid} is gone"), LIMIT, gone).await;
}
