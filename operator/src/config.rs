//! Settings of the process: flags, each with an environment variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use orch_runner::SnapshotRule;
use orch_wire::TopicPrefix;

use crate::scope::Scope;

/// Runs graphs of data objects over Apache Kafka: the operator of PipelineRun and Pipeline.
#[derive(Debug, Clone, Parser)]
#[command(name = "orch-operator", version, subcommand_negates_reqs = true)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Folder with `client.properties` and, where needed, `ca.crt`, `tls.crt` and `tls.key`.
    #[arg(long, env = "ORCH_KAFKA_DIR", default_value = "/etc/orchestrator/kafka")]
    pub(crate) kafka_dir: PathBuf,
    /// Overrides `bootstrap.servers`; enough by itself for a plain broker.
    #[arg(long, env = "ORCH_BOOTSTRAP_SERVERS")]
    pub(crate) bootstrap_servers: Option<String>,
    /// What all topics begin with.
    #[arg(long, env = "ORCH_TOPIC_PREFIX", default_value = "orchestrator.", value_parser = topic_prefix)]
    pub(crate) topic_prefix: TopicPrefix,
    /// Namespaces to watch, separated by commas. Empty: all.
    #[arg(long, env = "ORCH_WATCH_NAMESPACES", value_delimiter = ',')]
    pub(crate) watch_namespaces: Vec<String>,
    /// Image of worker pods, unless a stage's template names one.
    #[arg(long, env = "ORCH_WORKER_IMAGE", required = true)]
    worker_image: Option<String>,
    /// Pull policy of that image.
    #[arg(long, env = "ORCH_WORKER_IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    pub(crate) worker_image_pull_policy: String,
    /// Replication factor of topics. Not set: the broker's default.
    #[arg(long, env = "ORCH_REPLICATION_FACTOR")]
    pub(crate) replication_factor: Option<i32>,
    /// `min.insync.replicas` of topics. Not set: the broker's default.
    #[arg(long, env = "ORCH_MIN_INSYNC_REPLICAS")]
    pub(crate) min_insync_replicas: Option<i32>,
    /// Objects of a stage that may be published and not ended at the same time.
    #[arg(long, env = "ORCH_STAGE_WINDOW", default_value_t = 4096)]
    pub(crate) stage_window: u32,
    /// What the statuses of all runs may cost together: bytes a second, counted by the size of the whole resource.
    #[arg(long, env = "ORCH_STATUS_BYTES_PER_SECOND", default_value_t = 500 << 10, value_parser = clap::value_parser!(u64).range(10_240..=1 << 30))]
    pub(crate) status_bytes_per_second: u64,
    /// The state of a run is written into its log after so many records, so that a recovery need not read all of them.
    #[arg(long, env = "ORCH_SNAPSHOT_RECORDS", default_value_t = SnapshotRule::default().records)]
    snapshot_records: u64,
    /// Whether events and ready records that no recovery needs any more are thrown away.
    #[arg(long, env = "ORCH_TRUNCATE", default_value_t = true, action = ArgAction::Set)]
    pub(crate) truncate: bool,
    /// How often that is looked at.
    #[arg(long, env = "ORCH_TRUNCATE_EVERY", default_value = "60s", value_parser = duration)]
    pub(crate) truncate_every: Duration,
    /// So many records of a partition are worth it.
    #[arg(long, env = "ORCH_TRUNCATE_RECORDS", default_value_t = 10_000)]
    pub(crate) truncate_records: i64,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "ORCH_LISTEN", default_value = "0.0.0.0:8080")]
    pub(crate) listen: SocketAddr,
    /// Namespace of the Lease.
    #[arg(long, env = "ORCH_LEASE_NAMESPACE")]
    pub(crate) lease_namespace: Option<String>,
    /// Name of the Lease.
    #[arg(long, env = "ORCH_LEASE_NAME", default_value = "kafka-orchestrator")]
    pub(crate) lease_name: String,
    /// How long a leader that vanished keeps the Lease.
    #[arg(long, env = "ORCH_LEASE_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(3..=3600))]
    pub(crate) lease_seconds: u64,
    /// Who this replica is.
    #[arg(long, env = "POD_NAME")]
    pub(crate) pod_name: Option<String>,
    /// Where this replica is.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub(crate) pod_namespace: String,
    /// A deleted resource waits for its topics no longer than this.
    #[arg(long, env = "ORCH_FINALIZER_DEADLINE", default_value = "60s", value_parser = duration)]
    pub(crate) finalizer_deadline: Duration,
    /// Filter of the log, as tracing's `EnvFilter` reads it.
    #[arg(long, env = "ORCH_LOG", default_value = "info")]
    pub(crate) log: String,
    /// Form of the log.
    #[arg(long, env = "ORCH_LOG_FORMAT", default_value = "json")]
    pub(crate) log_format: LogFormat,
}

/// What it does instead of leading.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Before an uninstall: stops the operator, deletes the workers and topics of runs that have ended, and takes its
    /// finalizers away, so that nothing hangs in Terminating afterwards.
    Leave {
        /// The operator's Deployment in this namespace.
        #[arg(long, env = "ORCH_DEPLOYMENT")]
        deployment: Option<String>,
    },
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Config {
    /// Who this replica is: the pod, or this process.
    pub(crate) fn identity(&self) -> String {
        self.pod_name.clone().unwrap_or_else(|| format!("orch-operator-{}", std::process::id()))
    }

    /// Image of worker pods; always there where it is needed.
    pub(crate) fn worker_image(&self) -> String {
        self.worker_image.clone().unwrap_or_default()
    }

    /// When the state of a run is written into its log.
    pub(crate) fn snapshots(&self) -> SnapshotRule {
        SnapshotRule { records: self.snapshot_records.max(1), ..SnapshotRule::default() }
    }

    /// Where to look.
    pub(crate) fn scopes(&self) -> Vec<Scope> {
        Scope::of(&self.watch_namespaces)
    }
}

fn topic_prefix(text: &str) -> Result<TopicPrefix, String> {
    TopicPrefix::parse(text).map_err(|error| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    let ms = orch_core::duration::parse(text).map_err(|error| error.to_string())?;
    Ok(Duration::from_millis(ms as u64))
}
