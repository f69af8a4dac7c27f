//! `orch run` of the same graph: engine, worker and bus in one process, without a broker.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use orch_crds::PipelineRun;
use orch_crds::status::{RunPhase, parse_timestamp};
use orch_e2e::graphs::objects_json;
use orch_e2e::process::program;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::subject::Subject;
use crate::usage::{Taken, children_cpu_s, peak_mb};

/// Between two looks at the memory of the process.
const LOOK: Duration = Duration::from_millis(10);

/// A local run.
pub(crate) struct Ran {
    /// From its start time to its completion time, as its resource says.
    pub(crate) run: Duration,
    /// From the start of the process to its end.
    pub(crate) whole: Duration,
    /// What the process took.
    pub(crate) taken: Taken,
}

/// Writes the graph for [`run`].
pub(crate) fn write(folder: &Path, number: usize, subject: &Subject) -> PathBuf {
    let file = folder.join(format!("graph-{number}.json"));
    std::fs::write(&file, objects_json(&subject.graph)).unwrap();
    file
}

/// Runs the graph in the file.
pub(crate) async fn run(file: &Path, objects: usize) -> Ran {
    let cpu_s = children_cpu_s();
    let begin = Instant::now();
    let mut child = Command::new(program("orch"))
        .args(["run", "--quiet", "--output", "json"])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid = child.id().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut text = String::new();
    let mut most_mb = 0.0;
    let mut looks = tokio::time::interval(LOOK);
    let ended = {
        let mut end = std::pin::pin!(async {
            out.read_to_string(&mut text).await.unwrap();
            child.wait().await.unwrap()
        });
        loop {
            tokio::select! {
                ended = &mut end => break ended,
                _ = looks.tick() => most_mb = peak_mb(pid).unwrap_or(0.0).max(most_mb),
            }
        }
    };
    let whole = begin.elapsed();
    assert!(ended.success(), "orch run {}: {ended}", file.display());
    let run: PipelineRun = serde_json::from_str(&text).unwrap();
    let status = run.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded as usize), (RunPhase::Succeeded, objects));
    let time = |time: Option<&str>| parse_timestamp(time.unwrap()).unwrap();
    let took = time(status.completion_time.as_deref()) - time(status.start_time.as_deref());
    Ran {
        // It counts milliseconds.
        run: Duration::from_millis(took.max(1) as u64),
        whole,
        taken: Taken { cpu_s: children_cpu_s() - cpu_s, peak_mb: most_mb },
    }
}
