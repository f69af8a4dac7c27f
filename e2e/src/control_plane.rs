//! etcd and the API server that a test may kill. `scripts/chaos.sh` starts them, and says how that is done again.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::variable;
use crate::http::post;

const PATIENCE: Duration = Duration::from_mins(1);

/// A program of it.
#[derive(Debug, Clone, Copy)]
pub enum Daemon {
    /// `kube-apiserver`.
    ApiServer,
    /// `etcd`.
    Etcd,
}

/// See the module.
pub struct ControlPlane {
    folder: PathBuf,
    start: String,
}

impl ControlPlane {
    /// The one in `ORCH_TEST_API_DIR`.
    pub fn new() -> Self {
        let how = "`make chaos` starts an API server and sets it";
        let (folder, start) = (variable("ORCH_TEST_API_DIR", how), variable("ORCH_TEST_API_START", how));
        Self { folder: PathBuf::from(folder), start }
    }

    /// For clients that may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// Sends a signal, such as `STOP`.
    pub fn signal(&self, daemon: Daemon, signal: &str) {
        let name = match daemon {
            Daemon::ApiServer => "apiserver",
            Daemon::Etcd => "etcd",
        };
        let pid = std::fs::read_to_string(self.folder.join(format!("run/{name}.pid"))).unwrap();
        let sent = Command::new("kill").args(["-s", signal, pid.trim()]).status().unwrap();
        assert!(sent.success(), "{name} had ended already: see {}", self.folder.display());
        let command = format!("/proc/{}/cmdline", pid.trim());
        let deadline = Instant::now() + Duration::from_secs(10);
        // A start finds nobody that it could take for its own.
        while signal == "KILL" && std::fs::read(&command).is_ok_and(|text| !text.is_empty()) {
            assert!(Instant::now() < deadline, "{name} does not end: see {}", self.folder.display());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts what does not run, and waits until the API server answers. The port of a process that was killed may
    /// answer for a moment longer.
    pub fn start(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut command = Command::new("sh");
        command.args(["-c", &self.start]).stdin(Stdio::null()).stdout(Stdio::null());
        while !command.status().unwrap().success() {
            assert!(Instant::now() < deadline, "it was not started: see {}", self.folder.display());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Has etcd give back the space of what was deleted, and takes its alarm away.
    pub fn make_room(&self) {
        let known = self.etcd("kv/range", &json!({"key": "AA=="}));
        let revision = known["header"]["revision"].as_str().unwrap_or_default();
        // It may be compacted already, which is as good.
        self.etcd("kv/compaction", &json!({"revision": revision, "physical": true}));
        self.etcd("maintenance/defragment", &json!({}));
        let alarms = self.etcd("maintenance/alarm", &json!({"action": "GET"}));
        for alarm in alarms["alarms"].as_array().into_iter().flatten() {
            let off = json!({"action": "DEACTIVATE", "memberID": alarm["memberID"], "alarm": alarm["alarm"]});
            self.etcd("maintenance/alarm", &off);
        }
    }

    /// Asks etcd's JSON gateway; it listens one port above the API server.
    fn etcd(&self, path: &str, question: &Value) -> Value {
        let port = std::fs::read_to_string(self.folder.join("run/port")).unwrap();
        let port: u16 = port.trim().parse().unwrap();
        let answer = post(&format!("127.0.0.1:{}", port + 1), &format!("/v3/{path}"), &question.to_string());
        serde_json::from_str(&answer).unwrap_or(Value::Null)
    }
}

impl Default for ControlPlane {
    fn default() -> Self {
        Self::new()
    }
}
