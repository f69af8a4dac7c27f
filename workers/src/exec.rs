//! The processor `exec`: runs a command for each object, with the ready record on its standard input. Exit status and
//! last line decide.

use std::collections::BTreeMap;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::exec_output::Said;
use crate::{Outputs, Processor, Progress, Work, WorkFailure};

/// Exit status of wrong usage and of wrong data (`sysexits.h`): nothing that another attempt would mend.
const NOT_RETRYABLE: [i32; 2] = [64, 65];

/// How long to read on after the command has ended: what it left running in the background may hold its streams open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Settings of `exec`, and the processor itself.
///
/// The command gets the ready record as one JSON document on its standard input. With exit status 0 the object is
/// loaded, and the last line of the standard output is its outputs if it is a JSON object. With any other the object
/// has failed: the last line of the standard error says why, and the end of both streams goes along. Status 64 and 65
/// rule out another attempt. When the attempt's time is up the command is killed, with all processes of its group.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exec {
    /// The program and its arguments; no shell reads them.
    pub command: Vec<String>,
    /// Environment variables in addition to the worker's own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Folder in which it runs; default: the worker's own.
    #[serde(default)]
    pub cwd: Option<String>,
}

impl Exec {
    /// The processor, if the settings make sense.
    pub fn checked(self) -> Result<Self, String> {
        match self.command.first() {
            Some(program) if !program.is_empty() => Ok(self),
            _ => Err("the command is empty".to_owned()),
        }
    }

    fn start(&self) -> Result<(Child, Group), WorkFailure> {
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .envs(&self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that what it starts can be ended together with it.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(folder) = &self.cwd {
            command.current_dir(folder);
        }
        let child = command.spawn().map_err(|error| self.not_started(&error))?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        Ok((child, group))
    }

    fn not_started(&self, error: &std::io::Error) -> WorkFailure {
        let program = &self.command[0];
        let folder = self.cwd.as_ref().map_or(String::new(), |folder| format!(" in folder `{folder}`"));
        let text = format!("cannot start `{program}`{folder}: {error}");
        match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => {
                WorkFailure::terminal("CommandNotStarted", text)
            }
            _ => WorkFailure::new("CommandNotStarted", text),
        }
    }
}

#[async_trait]
impl Processor for Exec {
    async fn process(&self, work: &Work, _: &Progress) -> Result<Outputs, WorkFailure> {
        let (mut child, mut group) = self.start()?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
            return Err(WorkFailure::new("CommandNotStarted", "the command has no standard streams"));
        };
        let mut said = Said::default();
        let status = {
            let mut talk = std::pin::pin!(talk(work, stdin, stdout, stderr, &mut said));
            tokio::select! {
                () = &mut talk => child.wait().await,
                status = child.wait() => {
                    let _ = timeout(LAST_WORDS, talk).await;
                    status
                }
            }
        };
        let status = status.map_err(|error| {
            WorkFailure::new("ExitStatus", format!("cannot tell how the command ended: {error}"))
        })?;
        group.ended();
        outcome(status, &said)
    }
}

fn outcome(status: ExitStatus, said: &Said) -> Result<Outputs, WorkFailure> {
    if status.success() {
        let line = said.last_stdout();
        if line.is_cut() && line.bytes.trim_ascii_start().starts_with(b"{") {
            return Err(Outputs::too_large(line.length).with_log_tail(&said.tail()));
        }
        let outputs = line.text().and_then(|text| Outputs::parse(&text));
        return outputs.unwrap_or_else(|| Ok(Outputs::none()));
    }
    // `exit status: 3`, or `signal: 9 (SIGKILL)`: the standard library's words, without the colon.
    let status_text = status.to_string().replacen(": ", " ", 1);
    let error = said.last_stderr().text().unwrap_or(status_text);
    let retryable = status.code().is_none_or(|code| !NOT_RETRYABLE.contains(&code));
    Err(WorkFailure { retryable, ..WorkFailure::new("ExitStatus", error).with_log_tail(&said.tail()) })
}

/// Writes the record and reads both streams, until all three are closed.
async fn talk(work: &Work, stdin: ChildStdin, stdout: ChildStdout, stderr: ChildStderr, said: &mut Said) {
    let said = std::sync::Mutex::new(said);
    let said = &said;
    let keep = |is_error: bool| {
        move |bytes: &[u8]| {
            let mut said = said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if is_error { said.stderr(bytes) } else { said.stdout(bytes) }
        }
    };
    tokio::join!(write(work, stdin), read(stdout, keep(false)), read(stderr, keep(true)));
}

async fn write(work: &Work, mut stdin: ChildStdin) {
    // A command need not read its input: a closed pipe is no error.
    let _ = stdin.write_all(work.record()).await;
    let _ = stdin.shutdown().await;
}

async fn read(mut stream: impl AsyncRead + Unpin, mut keep: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 8 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        keep(&buffer[..length]);
    }
}

/// The processes of a command. Dropped before the command has ended, it kills them all.
struct Group(Option<Pid>);

impl Group {
    /// The command has ended by itself. What it left in the background lives on, and its number may go to others.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It fails when there is nobody left, which is as good.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
