//! What `scripts/bench.sh` gives.

use std::path::PathBuf;

use clap::Parser;

use crate::results::Row;

/// How fast runs are, beside what the broker alone allows.
#[derive(Debug, Clone, Parser)]
#[command(name = "orch-bench")]
pub(crate) struct Args {
    /// Address of the broker.
    #[arg(long, env = "ORCH_TEST_KAFKA")]
    pub(crate) kafka: String,
    /// Folder of the broker, where it runs on this machine: for its process and the size of its topics.
    #[arg(long)]
    pub(crate) kafka_dir: Option<PathBuf>,
    /// Release of the broker.
    #[arg(long, default_value = "unknown")]
    pub(crate) kafka_version: String,
    /// Folder of the API server, for its process.
    #[arg(long)]
    pub(crate) api_dir: Option<PathBuf>,
    /// Which source this is.
    #[arg(long, default_value = "unknown")]
    pub(crate) revision: String,
    /// Folder of edge lists, NAME.tsv.gz with a line `parent<TAB>child` for each; in place of the generated graphs.
    #[arg(long)]
    pub(crate) graphs: Option<PathBuf>,
    /// Where bench.json and bench.svg go.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// How often everything is measured; medians count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub(crate) rounds: u32,
    /// Only these rows, beside the replay; then neither the parts of a step nor large graphs are measured.
    #[arg(long, value_delimiter = ',')]
    pub(crate) rows: Vec<Row>,
    /// Seconds of work before anything is measured. A broker that has just begun compiles itself: it becomes three
    /// times as fast within a minute.
    #[arg(long, default_value_t = 45)]
    pub(crate) warm: u64,
    /// One small graph and small raw measures: does it work?
    #[arg(long)]
    pub(crate) quick: bool,
}

impl Args {
    /// What is measured of each graph, in this order. Without the replay there would be no ratio.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let wanted = |row: &Row| self.is_complete() || *row == Row::Replay || self.rows.contains(row);
        Row::ALL.into_iter().filter(wanted).collect()
    }

    /// Nobody wants less than everything.
    pub(crate) fn is_complete(&self) -> bool {
        self.rows.is_empty()
    }
}
