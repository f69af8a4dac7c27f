//! The results as text, at most 140 columns wide. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::large::LargeResults;
use crate::numbers::{Quantiles, Spread};
use crate::results::{GraphResults, Results, RowResults};

/// Of the name of a graph.
const NAME: usize = 33;
/// Of a line.
const WIDTH: usize = 140;

/// Everything.
pub(crate) fn all(results: &Results) -> String {
    let mut text = format!("\n{}\n{}\n", about(results), raw(results));
    let rounds = results.settings.rounds;
    let mut part = |title: &str, head: &[&str], rows: &[Vec<String>]| {
        if !rows.is_empty() {
            let _ = write!(text, "\n{title}\n{}", grid(head, rows));
        }
    };
    let graphs = &results.graphs;
    part(
        &format!(
            "Objects/s: medians of {rounds}; ratios to the level replay of the same round. `whole`: from the request to its end as seen outside"
        ),
        &["graph", "objects", "levels", "row", "objects/s", "least", "most", "ratio", "whole: /s", "ratio"],
        &graphs.iter().flat_map(|graph| graph.rows.iter().map(|row| speed(graph, row))).collect::<Vec<_>>(),
    );
    part(
        "Runs through the operator",
        &[
            "graph",
            "create ms",
            "ready ms",
            "lag p50 ms",
            "p99",
            "API writes",
            "of status",
            "Kafka MB",
            "B/object",
            "a->r p50 ms",
            "p99",
        ],
        &graphs.iter().filter_map(operator).collect::<Vec<_>>(),
    );
    part(
        "A step in its parts: p50 / p99 in ms, in a run by itself with an observer and a worker that logs each object",
        &[
            "graph",
            "ready->received",
            "received->answered",
            "(in the worker)",
            "answered->next ready",
            "step",
        ],
        &graphs.iter().filter_map(hops).collect::<Vec<_>>(),
    );
    let processes = ["operator", "worker", "broker", "apiserver", "etcd", "bench", "orch"];
    let mut head = vec!["graph", "row"];
    head.extend(processes);
    let used = |what: fn(&RowResults) -> &BTreeMap<&'static str, f64>, digits: usize| {
        let row = move |graph: &GraphResults, row: &RowResults| {
            let of = |name| what(row).get(name).map_or_else(dash, |value| format!("{value:.digits$}"));
            let cells = [name(graph), row.row.name().to_owned()];
            cells.into_iter().chain(processes.map(of)).collect::<Vec<_>>()
        };
        graphs.iter().flat_map(|graph| graph.rows.iter().map(move |own| row(graph, own))).collect::<Vec<_>>()
    };
    part("CPU seconds of each process, during a run", &head, &used(|row| &row.cpu_s, 2));
    part("Peak memory of each process in MB, during a run", &head, &used(|row| &row.peak_mb, 0));
    part(
        "Large graphs: reading, checking and indexing, and a local run",
        &[
            "graph", "objects", "edges", "levels", "read ms", "plan ms", "total ms", "run s", "whole s",
            "peak MB",
        ],
        &results.large.iter().map(large).collect::<Vec<_>>(),
    );
    text + &clients(results)
}

fn about(results: &Results) -> String {
    let machine = &results.machine;
    format!(
        "{} · revision {} ({} build) · {} cores, {} MB, Linux {} · Kafka {}",
        machine.date,
        machine.revision,
        machine.build,
        machine.cores,
        machine.memory_mb,
        machine.kernel,
        machine.kafka
    )
}

fn raw(results: &Results) -> String {
    let raw = &results.raw;
    let records = raw.pipelined_records_per_s.as_ref().map_or_else(dash, |rate| count(rate.median));
    format!(
        "raw: ping-pong {} ms (p50 / p99) · pipelined {records} records/s · records of {} bytes",
        both(raw.ping_pong_ms),
        results.settings.replay_record_bytes
    )
}

fn speed(graph: &GraphResults, row: &RowResults) -> Vec<String> {
    let Spread { median, least, most } = row.objects_per_s;
    vec![
        name(graph),
        graph.objects.to_string(),
        graph.levels.to_string(),
        row.row.name().to_owned(),
        count(median),
        count(least),
        count(most),
        ratio(row.ratio.median),
        count(row.whole_objects_per_s.median),
        ratio(row.whole_ratio.median),
    ]
}

fn operator(graph: &GraphResults) -> Option<Vec<String>> {
    let own = &graph.operator;
    own.submit_ms?;
    let bytes: u64 = own.kafka_bytes.values().sum();
    let writes: u64 = own.api_writes.values().sum();
    let of_status = own.api_writes.get("PATCH pipelineruns/status").copied().unwrap_or(0);
    let answer =
        |part: fn(Quantiles) -> f64| own.answer_to_ready_ms.map_or_else(dash, |both| fine(part(both)));
    let known = |value: f64, digits: usize| if bytes == 0 { dash() } else { format!("{value:.digits$}") };
    Some(vec![
        name(graph),
        median(own.submit_ms, 1),
        median(own.first_ready_ms, 0),
        median(own.lag_p50_ms, 0),
        median(own.lag_p99_ms, 0),
        writes.to_string(),
        of_status.to_string(),
        known(bytes as f64 / 1e6, 1),
        known(bytes as f64 / graph.objects as f64, 0),
        answer(|both| both.p50),
        answer(|both| both.p99),
    ])
}

fn hops(graph: &GraphResults) -> Option<Vec<String>> {
    let hops = graph.hops_ms.as_ref()?;
    let parts = [
        hops.ready_to_received,
        hops.received_to_answered,
        hops.in_worker,
        hops.answered_to_ready,
        hops.step,
    ];
    Some(std::iter::once(name(graph)).chain(parts.map(both)).collect())
}

fn large(graph: &LargeResults) -> Vec<String> {
    vec![
        graph.name.clone(),
        graph.objects.to_string(),
        graph.edges.to_string(),
        graph.levels.to_string(),
        median(graph.read_ms, 0),
        median(graph.plan_ms, 0),
        median(graph.total_ms, 0),
        median(graph.local_s, 2),
        median(graph.local_whole_s, 2),
        median(graph.local_peak_mb, 0),
    ]
}

/// What the clients of operator and worker are set to.
fn clients(results: &Results) -> String {
    let mut text = String::from("\nKafka clients, as they logged their settings\n");
    for (program, settings) in &results.settings.clients {
        let mut line = format!("{program}:");
        for (setting, value) in settings {
            let pair = format!(" {setting}={value}");
            if line.len() + pair.len() > WIDTH {
                let _ = writeln!(text, "{line}");
                line = " ".repeat(program.len() + 1);
            }
            line += &pair;
        }
        let _ = writeln!(text, "{line}");
    }
    text
}

fn name(graph: &GraphResults) -> String {
    graph.name.chars().take(NAME).collect()
}

fn dash() -> String {
    "-".to_owned()
}

fn median(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(dash, |spread| format!("{:.digits$}", spread.median))
}

fn both(quantiles: Option<Quantiles>) -> String {
    quantiles.map_or_else(dash, |both| format!("{} / {}", fine(both.p50), fine(both.p99)))
}

/// Milliseconds, of short times with their microseconds.
fn fine(ms: f64) -> String {
    if ms.abs() < 10.0 { format!("{ms:.2}") } else { format!("{ms:.0}") }
}

fn ratio(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// 117000 as 117,000.
fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Columns as wide as they have to be; texts to the left, numbers to the right. A graph is named once.
fn grid(head: &[&str], rows: &[Vec<String>]) -> String {
    let is_text = |column: usize| ["graph", "row"].contains(&head[column]);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (column, cell) in cells.enumerate() {
            let width = widths[column];
            let _ = if is_text(column) {
                write!(line, "{cell:<width$}  ")
            } else {
                write!(line, "{cell:>width$}  ")
            };
        }
        line.trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut head.iter().copied());
    let mut last = "";
    for row in rows {
        let first = if row[0] == last { "" } else { row[0].as_str() };
        last = &row[0];
        text += &line(&mut std::iter::once(first).chain(row[1..].iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Args;
    use crate::hops::Hops;
    use crate::machine;
    use crate::results::{OperatorResults, Raw, Row, Settings};

    #[test]
    fn columns_are_aligned_and_a_graph_is_named_once() {
        let cells = |row: [&str; 3]| row.map(str::to_owned).to_vec();
        let text = grid(
            &["graph", "row", "objects/s"],
            &[cells(["chain", "replay", "2,050"]), cells(["chain", "local", "117,000"])],
        );
        let expected = "\
graph  row     objects/s
chain  replay      2,050
       local     117,000
";
        assert_eq!(text, expected);
    }

    fn measured(name: &str) -> GraphResults {
        let spread = Spread { median: 1_234_567.0, least: 1_234_567.0, most: 1_234_567.0 };
        let quantiles = Some(Quantiles { p50: 1_234.5, p99: 9_876.5 });
        let processes = || BTreeMap::from([("operator", 123.45), ("broker", 1_234.5)]);
        let row = |row| RowResults {
            row,
            objects_per_s: spread,
            ratio: spread,
            whole_objects_per_s: spread,
            whole_ratio: spread,
            cpu_s: processes(),
            peak_mb: processes(),
        };
        let slow = Some(Spread { median: 12_345.6, least: 1.0, most: 99_999.9 });
        GraphResults {
            name: name.to_owned(),
            objects: 200_000,
            edges: 400_000,
            levels: 24_802,
            rows: Row::ALL.map(row).into(),
            operator: OperatorResults {
                submit_ms: slow,
                first_ready_ms: slow,
                lag_p50_ms: slow,
                lag_p99_ms: slow,
                api_writes: [("PATCH pipelineruns/status".to_owned(), 3)].into(),
                kafka_bytes: [("topic".to_owned(), 123_456_789)].into(),
                answer_to_ready_ms: quantiles,
            },
            hops_ms: Some(Hops {
                ready_to_received: quantiles,
                received_to_answered: quantiles,
                in_worker: quantiles,
                answered_to_ready: quantiles,
                step: quantiles,
            }),
        }
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let settings = (0..20).map(|n| (format!("some.long.setting.{n}"), "value".to_owned()));
        let results = Results {
            machine: machine::this(&Args::parse_from(["orch-bench", "--kafka", "k:1", "--out", "."])),
            settings: Settings {
                rounds: 99,
                warm_s: 45,
                replay_record_bytes: 300,
                worker_concurrency: 1_024,
                clients: [("operator", settings.collect())].into(),
            },
            raw: Raw { ping_pong_ms: None, pipelined_records_per_s: None },
            graphs: vec![measured("a-graph-with-a-name-that-is-longer-than-most-others")],
            large: Vec::new(),
        };
        let text = all(&results);
        for part in ["1,234,567", "1234 / 9876", "123.5", "some.long.setting.19=value", "24802"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap_or_default();
        assert!(widest.chars().count() <= WIDTH, "{widest}");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0.0, 999.4, 117_000.0, 1_234_567.0].map(count), ["0", "999", "117,000", "1,234,567"]);
        assert_eq!([0.123, 9.999, 10.4].map(ratio), ["0.12", "10.00", "10"]);
    }
}
