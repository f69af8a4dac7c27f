//! Settings of the process: flags, each with an environment variable.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use orch_core::drain::Drain;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Settings;

/// Longest `group.instance.id` that a broker takes.
const MAX_PLACE: usize = 249;

/// A worker of one stage: takes ready objects from Kafka, does the work, answers.
#[derive(Debug, Clone, Parser)]
#[command(name = "orch-worker", version)]
pub(super) struct Args {
    /// Overrides `bootstrap.servers`; enough by itself for a plain broker.
    #[arg(long, env = "ORCH_BOOTSTRAP_SERVERS")]
    bootstrap_servers: Option<String>,
    /// Folder with `stage.json`, `client.properties`, and where needed `ca.crt`, `tls.crt` and `tls.key`.
    #[arg(long, env = "ORCH_CONFIG_DIR", default_value = "/etc/orchestrator")]
    config_dir: PathBuf,
    /// Ready topic of the stage.
    #[arg(long, env = "ORCH_READY_TOPIC")]
    ready_topic: String,
    /// Where answers go when a ready record does not say.
    #[arg(long, env = "ORCH_EVENTS_TOPIC")]
    events_topic: String,
    /// Which runs are open.
    #[arg(long, env = "ORCH_CONTROL_TOPIC")]
    control_topic: String,
    /// Consumer group. Default: the name of the ready topic.
    #[arg(long, env = "ORCH_GROUP")]
    group: Option<String>,
    /// Objects at the same time.
    #[arg(long, env = "ORCH_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    concurrency: u32,
    /// Name of the stage, for the log.
    #[arg(long, env = "ORCH_STAGE", default_value = "")]
    pub(super) stage: String,
    /// Name of this worker in answers and in the status; default: the host's name. A worker that is started again with
    /// the same name gets its partitions back at once: no two may have it at the same time.
    #[arg(long, env = "POD_NAME")]
    pod_name: Option<String>,
    /// Seconds from SIGTERM to SIGKILL: everything is done within them.
    #[arg(long, env = "ORCH_DRAIN_SECONDS", default_value_t = 600)]
    drain_seconds: u64,
    /// Where /healthz and /readyz are served.
    #[arg(long, env = "ORCH_LISTEN", default_value = "0.0.0.0:8081")]
    pub(super) listen: SocketAddr,
    /// Filter of the log, as tracing's `EnvFilter` reads it. `debug` shows every object.
    #[arg(long, env = "ORCH_LOG", default_value = "info")]
    pub(super) log: String,
    /// Form of the log.
    #[arg(long, env = "ORCH_LOG_FORMAT", default_value = "json")]
    pub(super) log_format: LogFormat,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// A JSON object a line.
    Json,
    /// For people.
    Text,
}

/// What the operator mounts as `stage.json`. Members that are not known are ignored.
#[derive(Deserialize)]
struct StageFile<'a> {
    #[serde(borrow)]
    processor: &'a RawValue,
}

impl Args {
    pub(super) fn kafka_dir(&self) -> PathBuf {
        self.config_dir.clone()
    }

    pub(super) fn servers(&self) -> Option<&str> {
        given(self.bootstrap_servers.as_ref())
    }

    /// The name under which the worker keeps its place in the group. Only one that somebody gave: several workers may
    /// share a host.
    pub(super) fn place(&self) -> Option<&str> {
        let is_one = |name: &&str| {
            name.len() <= MAX_PLACE && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        given(self.pod_name.as_ref()).filter(is_one)
    }

    pub(super) fn settings(&self) -> Settings {
        let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        Settings {
            worker: given(self.pod_name.as_ref()).map_or_else(host, str::to_owned),
            ready_topic: self.ready_topic.clone(),
            events_topic: self.events_topic.clone(),
            control_topic: self.control_topic.clone(),
            group: given(self.group.as_ref()).unwrap_or(&self.ready_topic).to_owned(),
            concurrency: self.concurrency as usize,
            drain: Drain::within(Duration::from_secs(self.drain_seconds)),
        }
    }

    /// The stage's processor from `stage.json`, as JSON text. Without the file there is none; then objects that bring
    /// no processor of their own fail and say so, unless the worker has a single one for all.
    pub(super) fn processor(&self) -> Result<String, String> {
        let path = self.config_dir.join("stage.json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok("{}".to_owned()),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let stage: StageFile<'_> =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(stage.processor.get().to_owned())
    }
}

/// An empty variable is as good as none.
fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPICS: [&str; 7] = [
        "orch-worker",
        "--ready-topic",
        "p.a.s",
        "--events-topic",
        "p.a.events",
        "--control-topic",
        "p.a.control",
    ];

    fn args(more: &[&str]) -> Args {
        Args::parse_from(TOPICS.iter().chain(more))
    }

    #[test]
    fn the_group_is_named_as_the_ready_topic_unless_given() {
        assert_eq!(args(&[]).settings().group, "p.a.s");
        assert_eq!(args(&["--group", ""]).settings().group, "p.a.s");
        assert_eq!(args(&["--group", "mine"]).settings().group, "mine");
        assert!(!args(&[]).settings().worker.is_empty());
    }

    #[test]
    fn only_a_name_that_was_given_is_a_place_in_the_group() {
        assert_eq!(args(&["--pod-name", "work-1.a"]).place(), Some("work-1.a"));
        for none in ["", "two words", "é"] {
            assert_eq!(args(&["--pod-name", none]).place(), None, "{none}");
        }
    }

    #[test]
    fn the_processor_comes_from_stage_json() {
        let folder = tempfile::tempdir().unwrap();
        let args = args(&["--config-dir", folder.path().to_str().unwrap()]);
        assert_eq!(args.processor().as_deref(), Ok("{}"));
        let write = |text: &str| std::fs::write(folder.path().join("stage.json"), text).unwrap();
        write(r#"{"stage": "ingest", "processor": {"simulate": {"duration": "1s"}}}"#);
        assert_eq!(args.processor().as_deref(), Ok(r#"{"simulate": {"duration": "1s"}}"#));
        write("{");
        assert!(args.processor().unwrap_err().contains("stage.json"));
    }
}
