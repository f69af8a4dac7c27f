//! Programs of ours as processes: started, killed and stopped by id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// A running program. Dropping it kills it.
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

/// Where `cargo build` put our programs: beside the tests, or where `ORCH_BIN_DIR` says.
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var("ORCH_BIN_DIR").map_or_else(
        |_| {
            let test = std::env::current_exe().unwrap();
            test.ancestors().nth(2).unwrap().to_path_buf()
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built: cargo build --workspace", path.display());
    path
}

impl Process {
    /// Starts a program with these variables; its output goes to `log`.
    pub fn start(name: &str, program: &Path, variables: &[(String, String)], log: &Path) -> Self {
        Self::spawn(name, Command::new(program), variables, log)
    }

    /// The same with a script that an interpreter reads.
    pub fn script(interpreter: &Path, script: &Path, variables: &[(String, String)], log: &Path) -> Self {
        let mut command = Command::new(interpreter);
        command.arg(script);
        Self::spawn(&script.display().to_string(), command, variables, log)
    }

    fn spawn(name: &str, mut command: Command, variables: &[(String, String)], log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .envs(variables.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { child, name: name.to_owned(), log: log.to_path_buf() }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub fn ask_to_end(&self) {
        self.signal("TERM");
    }

    /// Sends a signal, such as `STOP`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "{} had ended already: see {}", self.name, self.log.display());
    }

    /// SIGTERM, and after [`GRACE`] SIGKILL, as a kubelet does it. A worker ends what it has in hand for ten minutes: so
    /// long a test would wait for it.
    pub fn terminate(mut self) {
        self.ask_to_end();
        let deadline = Instant::now() + GRACE;
        while self.child.try_wait().unwrap().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        // Dropping it kills it, if it is still there.
    }

    /// What it has written.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
