//! What the workers did, from a file that they write themselves and that outlives them: each execution of an object
//! notes when it begins and when it ends. `src/bin/job.rs` is what they execute.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

#[cfg(doc)]
use crate::kubelet::LIFE;
use crate::process::program;

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Whether the execution ends, or begins.
    pub ends: bool,
    /// Life of the worker that started it, see [`LIFE`].
    pub worker: u32,
    /// Its own process.
    pub job: u32,
    /// When, in milliseconds since 1970.
    pub time_ms: i64,
    /// From the ready record.
    pub attempt: u64,
    /// From the ready record; one without spaces.
    pub object: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ends, worker, job, time_ms, attempt, object } = self;
        let what = if *ends { "end" } else { "begin" };
        write!(f, "{what} {worker} {job} {time_ms} {attempt} {object}")
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let of = |text: &str| text.parse::<i64>().map_err(|error| format!("{line}: {error}"));
        match line.split(' ').collect::<Vec<_>>()[..] {
            [what @ ("begin" | "end"), worker, job, time, attempt, object] => Ok(Self {
                ends: what == "end",
                worker: of(worker)? as u32,
                job: of(job)? as u32,
                time_ms: of(time)?,
                attempt: of(attempt)? as u64,
                object: object.to_owned(),
            }),
            _ => Err(format!("no step: {line}")),
        }
    }
}

/// One execution of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Which object.
    pub object: String,
    /// Which attempt.
    pub attempt: u64,
    /// Life of the worker that started it, see [`LIFE`].
    pub worker: u32,
    /// When it began.
    pub begin_ms: i64,
    /// When it ended; `None` when it was killed.
    pub end_ms: Option<i64>,
}

/// Milliseconds since 1970, as the broker's append times.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// The processor whose work takes so long and is written down in `log`.
pub fn processor(log: &Path, work: Duration) -> Value {
    let command = [
        program("orch-e2e-job").display().to_string(),
        log.display().to_string(),
        work.as_millis().to_string(),
    ];
    json!({"exec": {"command": command}})
}

/// While this file exists the object does not end, so that its run does not.
pub fn held(log: &Path, object: &str) -> PathBuf {
    log.with_file_name(format!("held-{object}"))
}

fn steps(log: &Path) -> Vec<Step> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// How many executions have ended.
pub fn ended(log: &Path) -> usize {
    steps(log).iter().filter(|step| step.ends).count()
}

/// All executions in the order in which they began.
pub fn read(log: &Path) -> Vec<Execution> {
    let mut executions: Vec<Execution> = Vec::new();
    // The last that a process began: numbers of processes are used again.
    let mut of_job = HashMap::new();
    for step in steps(log) {
        if step.ends {
            let position: usize = of_job[&step.job];
            executions[position].end_ms = Some(step.time_ms);
        } else {
            of_job.insert(step.job, executions.len());
            executions.push(Execution {
                object: step.object,
                attempt: step.attempt,
                worker: step.worker,
                begin_ms: step.time_ms,
                end_ms: None,
            });
        }
    }
    executions
}

/// How often each attempt of each object was executed.
pub fn times(executions: &[Execution]) -> HashMap<(&str, u64), usize> {
    let mut times = HashMap::new();
    for execution in executions {
        *times.entry((execution.object.as_str(), execution.attempt)).or_default() += 1;
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_were_written() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let lines = "begin 7 100 1000 1 a\nbegin 7 101 1001 1 b\nend 7 100 1020 1 a\nbegin 8 100 2000 2 a\n";
        std::fs::write(log.path(), lines).unwrap();
        let execution = |object: &str, attempt, worker, begin_ms, end_ms| Execution {
            object: object.to_owned(),
            attempt,
            worker,
            begin_ms,
            end_ms,
        };
        let expected = [
            execution("a", 1, 7, 1000, Some(1020)),
            execution("b", 1, 7, 1001, None),
            execution("a", 2, 8, 2000, None),
        ];
        assert_eq!(read(log.path()), expected);
        assert_eq!(ended(log.path()), 1);
        assert!(steps(log.path()).iter().zip(lines.lines()).all(|(step, line)| step.to_string() == line));
    }
}
