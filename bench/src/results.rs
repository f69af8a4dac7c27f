//! What was measured, as bench.json has it. `bench/README.md` describes the fields.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::Serialize;

use crate::hops::Hops;
use crate::large::LargeResults;
use crate::metrics::Writes;
use crate::numbers::{Quantiles, Spread};
use crate::usage::Taken;

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    pub(crate) raw: Raw,
    pub(crate) graphs: Vec<GraphResults>,
    pub(crate) large: Vec<LargeResults>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) cores: usize,
    pub(crate) memory_mb: u64,
    pub(crate) kernel: String,
    pub(crate) kafka: String,
    pub(crate) revision: String,
    pub(crate) build: &'static str,
}

/// How it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Settings {
    pub(crate) rounds: u32,
    pub(crate) warm_s: u64,
    pub(crate) replay_record_bytes: usize,
    pub(crate) worker_concurrency: usize,
    /// Of the Kafka clients of operator and worker, as those logged them.
    pub(crate) clients: BTreeMap<&'static str, BTreeMap<String, String>>,
}

/// What a bare client does.
#[derive(Debug, Serialize)]
pub(crate) struct Raw {
    pub(crate) ping_pong_ms: Option<Quantiles>,
    pub(crate) pipelined_records_per_s: Option<Spread>,
}

/// Of one graph.
#[derive(Debug, Serialize)]
pub(crate) struct GraphResults {
    pub(crate) name: String,
    pub(crate) objects: usize,
    pub(crate) edges: usize,
    pub(crate) levels: usize,
    pub(crate) rows: Vec<RowResults>,
    pub(crate) operator: OperatorResults,
    /// Of a run by itself.
    pub(crate) hops_ms: Option<Hops>,
}

/// Of one way to run a graph.
#[derive(Debug, Serialize)]
pub(crate) struct RowResults {
    pub(crate) row: Row,
    pub(crate) objects_per_s: Spread,
    pub(crate) ratio: Spread,
    pub(crate) whole_objects_per_s: Spread,
    pub(crate) whole_ratio: Spread,
    pub(crate) cpu_s: BTreeMap<&'static str, f64>,
    pub(crate) peak_mb: BTreeMap<&'static str, f64>,
}

/// What only runs through the operator have.
#[derive(Debug, Serialize)]
pub(crate) struct OperatorResults {
    pub(crate) submit_ms: Option<Spread>,
    pub(crate) first_ready_ms: Option<Spread>,
    pub(crate) lag_p50_ms: Option<Spread>,
    pub(crate) lag_p99_ms: Option<Spread>,
    /// Of the last round.
    pub(crate) api_writes: Writes,
    /// Of the last round, by topic.
    pub(crate) kafka_bytes: BTreeMap<String, u64>,
    pub(crate) answer_to_ready_ms: Option<Quantiles>,
}

/// The ways to run a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Row {
    /// The records alone.
    Replay,
    /// Without Kubernetes.
    Engine,
    /// All of it.
    Operator,
    /// In memory.
    Local,
}

impl Row {
    pub(crate) const ALL: [Self; 4] = [Self::Replay, Self::Engine, Self::Operator, Self::Local];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Engine => "engine",
            Self::Operator => "operator",
            Self::Local => "local",
        }
    }
}

/// One round of one row.
#[derive(Debug, Clone)]
pub(crate) struct Measure {
    /// The run itself.
    pub(crate) run_s: f64,
    /// With all around it.
    pub(crate) whole_s: f64,
    pub(crate) taken: BTreeMap<&'static str, Taken>,
}

/// The medians of a row; ratios are of each round to the replay beside it.
pub(crate) fn of_row(
    row: Row,
    objects: usize,
    rounds: &[Measure],
    replays: &[Measure],
) -> Option<RowResults> {
    let rate = |seconds: fn(&Measure) -> f64| Spread::of(rounds.iter().map(|m| objects as f64 / seconds(m)));
    let ratio = |seconds: fn(&Measure) -> f64| {
        Spread::of(rounds.iter().zip(replays).map(|(own, replay)| replay.run_s / seconds(own)))
    };
    let taken = |part: fn(&Taken) -> f64| {
        let names = rounds.iter().flat_map(|measure| measure.taken.keys());
        let of = |name: &&'static str| {
            let all = rounds.iter().filter_map(|measure| Some(part(measure.taken.get(*name)?)));
            Spread::of(all).map_or(0.0, |spread| spread.median)
        };
        names.map(|name| (*name, of(name))).collect::<BTreeMap<_, _>>()
    };
    Some(RowResults {
        row,
        objects_per_s: rate(|measure| measure.run_s)?,
        ratio: ratio(|measure| measure.run_s)?,
        whole_objects_per_s: rate(|measure| measure.whole_s)?,
        whole_ratio: ratio(|measure| measure.whole_s)?,
        cpu_s: taken(|taken| taken.cpu_s),
        peak_mb: taken(|taken| taken.peak_mb),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(run_s: f64) -> Measure {
        let taken = BTreeMap::from([("broker", Taken { cpu_s: run_s, peak_mb: 100.0 })]);
        Measure { run_s, whole_s: 2.0 * run_s, taken }
    }

    #[test]
    fn a_ratio_is_that_to_the_replay_of_the_same_round() {
        let own = [1.0, 4.0, 2.0].map(measure);
        let replays = [0.5, 1.0, 0.5].map(measure);
        let row = of_row(Row::Engine, 100, &own, &replays).unwrap();
        assert_eq!(row.objects_per_s, Spread { median: 50.0, least: 25.0, most: 100.0 });
        assert_eq!(row.ratio, Spread { median: 0.25, least: 0.25, most: 0.5 });
        assert_eq!(row.whole_ratio, Spread { median: 0.125, least: 0.125, most: 0.25 });
        assert_eq!(row.cpu_s, BTreeMap::from([("broker", 2.0)]));
    }
}
