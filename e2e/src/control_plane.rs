//! etcd and the API server that a test may kill. `scripts/chaos.sh` starts them, and says how that is done again.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::variable;
use crate::http::post;

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

    /// Sends a signal, such as `STOP`. After `KILL` the daemon is gone when this returns: a start finds none that it could
    /// take for its own, and its port is free. The last of its threads may keep that for a moment longer.
    pub fn signal(&self, daemon: Daemon, signal: &str) {
        let (name, port) = match daemon {
            Daemon::ApiServer => ("apiserver", self.port()),
            Daemon::Etcd => ("etcd", self.port() + 1),
        };
        let pid = std::fs::read_to_string(self.folder.join(format!("run/{name}.pid"))).unwrap();
        let sent = Command::new("kill").args(["-s", signal, pid.trim()]).status().unwrap();
        assert!(sent.success(), "{name} had ended already: see {}", self.folder.display());
        let command = format!("/proc/{}/cmdline", pid.trim());
        let deadline = Instant::now() + Duration::from_secs(10);
        while signal == "KILL"
            && (std::fs::read(&command).is_ok_and(|text| !text.is_empty())
                || TcpStream::connect(("127.0.0.1", port)).is_ok())
        {
            assert!(Instant::now() < deadline, "{name} does not end: see {}", self.folder.display());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts what does not run, and waits until the API server answers.
    pub fn start(&self) {
        let mut command = Command::new("sh");
        let command = command.args(["-c", &self.start]).stdin(Stdio::null()).stdout(Stdio::null());
        assert!(command.status().unwrap().success(), "it was not started: see {}", self.folder.display());
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
        let at = format!("127.0.0.1:{}", self.port() + 1);
        let answer = post(&at, &format!("/v3/{path}"), &question.to_string());
        serde_json::from_str(&answer).unwrap_or(Value::Null)
    }

    /// Of the API server.
    fn port(&self) -> u16 {
        std::fs::read_to_string(self.folder.join("run/port")).unwrap().trim().parse().unwrap()
    }
}

impl Default for ControlPlane {
    fn default() -> Self {
        Self::new()
    }
}
