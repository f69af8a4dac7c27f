//! A broker that a test may kill. `scripts/servers.sh` starts it, and says how it is started again.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::api::variable;

/// See the module.
pub struct Broker {
    folder: PathBuf,
    start: String,
}

impl Broker {
    /// The spare broker of this name.
    pub fn spare(name: &str) -> Self {
        let how = "`make e2e-processes` starts spare brokers and sets it";
        let folder = PathBuf::from(variable("ORCH_TEST_SPARE_KAFKA", how)).join(name);
        assert!(folder.is_dir(), "there is no broker in {}", folder.display());
        Self { folder, start: variable("ORCH_TEST_SPARE_KAFKA_START", how) }
    }

    /// Where it answers, also after a restart.
    pub fn bootstrap(&self) -> String {
        std::fs::read_to_string(self.folder.join("bootstrap")).unwrap().trim().to_owned()
    }

    /// SIGKILL. When this returns the process is gone: a start finds none that it could take for its own.
    pub fn kill(&self) {
        self.signal("KILL");
        let command = format!("/proc/{}/cmdline", self.pid());
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::fs::read(&command).is_ok_and(|text| !text.is_empty()) {
            assert!(Instant::now() < deadline, "the broker does not end: see {}", self.folder.display());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// It stops in the middle of whatever it does: connections stay, nobody answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// It goes on as if nothing had been, but for the time.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn pid(&self) -> String {
        std::fs::read_to_string(self.folder.join("run/kafka.pid")).unwrap().trim().to_owned()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid()]).status().unwrap();
        assert!(sent.success(), "the broker had ended already: see {}", self.folder.display());
    }

    /// Starts it again with the data that it had; does not wait.
    pub fn start(&self) {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{} '{}'", self.start, self.folder.display())]);
        let started = command.stdin(Stdio::null()).status().unwrap();
        assert!(started.success(), "the broker was not started: see {}", self.folder.display());
    }

    /// Gives it another address, for the next start.
    pub fn move_to(&self, address: &str) {
        let properties = self.folder.join("server.properties");
        let text = std::fs::read_to_string(&properties).unwrap();
        let (old, new) = (format!("HOST://{}", self.bootstrap()), format!("HOST://{address}"));
        assert!(text.contains(&old), "{text}");
        std::fs::write(properties, text.replace(&old, &new)).unwrap();
        std::fs::write(self.folder.join("bootstrap"), address).unwrap();
    }

    /// Gives it more addresses, for the next start: each a name, where it listens, and where it says that it does, as
    /// behind a proxy.
    pub fn add_listeners(&self, listeners: &[(&str, String, String)]) {
        let properties = self.folder.join("server.properties");
        let text = std::fs::read_to_string(&properties).unwrap();
        let of_each = |form: fn(&(&str, String, String)) -> String| {
            listeners.iter().map(form).collect::<Vec<_>>().concat()
        };
        let more = |line: &str| match line.split_once('=').map(|(key, _)| key) {
            Some("listeners") => of_each(|(name, at, _)| format!(",{name}://{at}")),
            Some("advertised.listeners") => of_each(|(name, _, shown)| format!(",{name}://{shown}")),
            Some("listener.security.protocol.map") => of_each(|(name, ..)| format!(",{name}:PLAINTEXT")),
            _ => String::new(),
        };
        let lines: Vec<String> = text.lines().map(|line| format!("{line}{}\n", more(line))).collect();
        std::fs::write(properties, lines.concat()).unwrap();
    }

    /// Whether it answers.
    pub fn answers(&self) -> bool {
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", self.bootstrap()).create().unwrap();
        let leads = |partition: &rdkafka::metadata::MetadataPartition| partition.leader() >= 0;
        client
            .fetch_metadata(None, Duration::from_secs(1))
            .is_ok_and(|metadata| metadata.topics().iter().all(|topic| topic.partitions().iter().all(leads)))
    }
}
