//! Counters and gauges. Labels come from closed sets: no name of a run, object or topic is one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use orch_runner::Stats;

use crate::status::Urgency;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconcile {
    controller: &'static str,
    result: &'static str,
    category: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Wait {
    urgency: &'static str,
}

/// How long a status waits for its turn, in seconds; beyond the last it is a minute and more.
const WAITS: [f64; 10] = [0.001, 0.01, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];

/// The metrics of the process.
pub(crate) struct Metrics {
    registry: Registry,
    stats: Arc<Stats>,
    reconciles: Family<Reconcile, Counter>,
    status_writes: Counter,
    status_bytes: Counter,
    status_stored: Counter,
    status_waits: Family<Wait, Histogram, fn() -> Histogram>,
    status_refusals: Counter,
    leader: Gauge,
    sets: Gauge,
    runs: Gauge,
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("orchestrator");
        let stats = Arc::new(Stats::default());
        let metrics = Self {
            stats: stats.clone(),
            reconciles: Family::default(),
            status_writes: Counter::default(),
            status_bytes: Counter::default(),
            status_stored: Counter::default(),
            status_waits: Family::new_with_constructor(|| Histogram::new(WAITS)),
            status_refusals: Counter::default(),
            leader: Gauge::default(),
            sets: Gauge::default(),
            runs: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("reconcile", "Reconciles by controller and result", metrics.reconciles.clone());
        registry.register("status_writes", "Writes of a run's status", metrics.status_writes.clone());
        let bytes = metrics.status_bytes.clone();
        registry.register_with_unit("status_written", "JSON sent for the status of runs", Unit::Bytes, bytes);
        let stored = metrics.status_stored.clone();
        let help = "Sizes of the whole resources that were written for it: what counts in the budget";
        registry.register_with_unit("status_stored", help, Unit::Bytes, stored);
        let waits = metrics.status_waits.clone();
        let help = "From the wish to write a status to its turn in the budget";
        registry.register_with_unit("status_wait", help, Unit::Seconds, waits);
        registry.register(
            "status_refusals",
            "Writes of a status that were refused",
            metrics.status_refusals.clone(),
        );
        registry.register("leader", "1 on the replica that drives", metrics.leader.clone());
        registry.register("stage_sets", "Pipelines and inline runs that are driven", metrics.sets.clone());
        registry.register("live_runs", "Runs that are driven", metrics.runs.clone());
        registry.register_collector(Box::new(Events(stats)));
        Self { registry, ..metrics }
    }

    /// The counters that all actors share.
    pub(crate) fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// A reconcile ended; `category` says why it failed.
    pub(crate) fn reconciled(&self, controller: &'static str, category: Option<&'static str>) {
        let result = if category.is_some() { "error" } else { "ok" };
        let labels = Reconcile { controller, result, category: category.unwrap_or_default() };
        self.reconciles.get_or_create(&labels).inc();
    }

    /// A status was written: so many bytes were sent.
    pub(crate) fn status_written(&self, sent: usize) {
        self.status_writes.inc();
        self.status_bytes.inc_by(sent as u64);
    }

    /// So many has the whole resource with it.
    pub(crate) fn status_stored(&self, bytes: usize) {
        self.status_stored.inc_by(bytes as u64);
    }

    /// A status has waited for its turn.
    pub(crate) fn status_waited(&self, urgency: Urgency, time: Duration) {
        let urgency = match urgency {
            Urgency::Progress => "progress",
            Urgency::News => "news",
        };
        self.status_waits.get_or_create(&Wait { urgency }).observe(time.as_secs_f64());
    }

    /// A status was refused.
    pub(crate) fn status_refused(&self) {
        self.status_refusals.inc();
    }

    /// Whether this replica drives.
    pub(crate) fn leading(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// The text of /metrics. `sets` and `runs` are driven now.
    pub(crate) fn render(&self, sets: usize, runs: usize) -> String {
        self.sets.set(sets as i64);
        self.runs.set(runs as i64);
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing into a String fails only where an encoder is wrong.
            Err(fmt::Error) => "# the metrics cannot be encoded\n".to_owned(),
        }
    }
}

/// The records of the actors, by status and producer.
#[derive(Debug)]
struct Events(Arc<Stats>);

impl Collector for Events {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut events = encoder.encode_descriptor(
            "events",
            "Records that counted, by what they say and who wrote them",
            None,
            MetricType::Counter,
        )?;
        let rows = [
            ("ready", "operator", &self.0.published),
            ("loaded", "worker", &self.0.loaded),
            ("failed", "any", &self.0.failed),
            ("other", "any", &self.0.other),
        ];
        for (status, producer, counter) in rows {
            let labels = [("status", status), ("producer", producer)];
            ConstCounter::new(read(counter)).encode(events.encode_family(&labels)?)?;
        }
        let latency = &self.0.answer_to_ready;
        let buckets: Vec<(f64, u64)> = latency.buckets().collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder
            .encode_descriptor(
                "answer_to_ready",
                "From an answer that came to the ready records that it let be published, handed to Kafka's client",
                Some(&Unit::Seconds),
                MetricType::Histogram,
            )?
            .encode_histogram::<NoLabelSet>(latency.sum(), count, &buckets, None)?;
        let mut refused = encoder.encode_descriptor(
            "refused_records",
            "Records that changed nothing, by reason",
            None,
            MetricType::Counter,
        )?;
        for (reason, count) in self.0.refused() {
            ConstCounter::new(count).encode(refused.encode_family(&[("reason", reason.as_str())])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o18_the_counter_by_status_and_producer_moves() {
        let metrics = Metrics::new();
        metrics.stats().published.fetch_add(3, Ordering::Relaxed);
        metrics.stats().answer_to_ready.observe(Duration::from_micros(100), 5);
        metrics.stats().answer_to_ready.observe(Duration::from_secs(1), 1);
        metrics.reconciled("pipelinerun", Some("api_server"));
        metrics.status_written(70);
        metrics.status_stored(900);
        metrics.status_waited(Urgency::News, Duration::from_millis(20));
        let text = metrics.render(1, 2);
        for line in [
            r#"orchestrator_events_total{status="ready",producer="operator"} 3"#,
            r#"orchestrator_refused_records_total{reason="malformed"} 0"#,
            r#"orchestrator_reconcile_total{controller="pipelinerun",result="error",category="api_server"} 1"#,
            "orchestrator_live_runs 2",
            "orchestrator_status_written_bytes_total 70",
            "orchestrator_status_stored_bytes_total 900",
            r#"orchestrator_status_wait_seconds_bucket{le="0.1",urgency="news"} 1"#,
            r#"orchestrator_answer_to_ready_seconds_bucket{le="0.000064"} 0"#,
            r#"orchestrator_answer_to_ready_seconds_bucket{le="0.000128"} 5"#,
            r#"orchestrator_answer_to_ready_seconds_bucket{le="+Inf"} 6"#,
            "orchestrator_answer_to_ready_seconds_count 6",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
