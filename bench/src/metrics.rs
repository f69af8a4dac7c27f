//! What the API server and the operator count, from the text of their /metrics. Pure.

use std::collections::BTreeMap;

use crate::numbers::Quantiles;

const WRITES: [&str; 6] = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];
/// The end of the name of the operator's histogram: from an answer that it has read to the child that it has handed to
/// its producer.
pub(crate) const ANSWER_TO_READY: &str = "answer_to_ready_seconds";

/// Writes by `VERB resource/subresource`.
pub(crate) type Writes = BTreeMap<String, u64>;

/// Requests that the API server has answered and that change something.
pub(crate) fn writes(text: &str) -> Writes {
    let mut writes = Writes::new();
    for (labels, value) in series(text, |name| name == "apiserver_request_total") {
        let label = |name: &str| labels.get(name).copied().unwrap_or_default();
        if WRITES.contains(&label("verb")) && label("dry_run").is_empty() {
            let sub = Some(label("subresource")).filter(|sub| !sub.is_empty());
            let sub = sub.map_or_else(String::new, |sub| format!("/{sub}"));
            *writes.entry(format!("{} {}{sub}", label("verb"), label("resource"))).or_default() +=
                value as u64;
        }
    }
    writes
}

/// Those that came after `before`.
pub(crate) fn since(before: &Writes, after: &Writes) -> Writes {
    let news = after
        .iter()
        .map(|(what, count)| (what.clone(), count.saturating_sub(before.get(what).copied().unwrap_or(0))));
    news.filter(|(_, count)| *count > 0).collect()
}

/// How many values lie at or below each bound of a histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Histogram(Vec<(f64, u64)>);

impl Histogram {
    /// The one whose name ends so; all its label sets together. Empty when there is none.
    pub(crate) fn read(text: &str, name_end: &str) -> Self {
        let end = format!("{name_end}_bucket");
        let mut counts = Vec::<(f64, u64)>::new();
        for (labels, value) in series(text, |name| name.ends_with(&end)) {
            let bound = labels.get("le").and_then(|le| le.parse::<f64>().ok()).unwrap_or(f64::INFINITY);
            match counts.iter_mut().find(|(other, _)| other.total_cmp(&bound).is_eq()) {
                Some((_, count)) => *count += value as u64,
                None => counts.push((bound, value as u64)),
            }
        }
        counts.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self(counts)
    }

    /// Quantiles in milliseconds of what came after `before`: the bound that is not below them. `None` of nothing.
    pub(crate) fn since_ms(&self, before: &Self) -> Option<Quantiles> {
        let old = |bound: &f64| {
            let same = before.0.iter().find(|(other, _)| other.total_cmp(bound).is_eq());
            same.map_or(0, |(_, count)| *count)
        };
        let news: Vec<(f64, u64)> =
            self.0.iter().map(|(bound, count)| (*bound, count.saturating_sub(old(bound)))).collect();
        let all = news.last()?.1;
        let at = |part: f64| {
            let bound =
                news.iter().find(|(_, count)| *count as f64 >= all as f64 * part).map(|(bound, _)| *bound);
            // Beyond the last bound nothing more is known.
            let largest = news.iter().rev().map(|(bound, _)| *bound).find(|bound| bound.is_finite());
            bound.filter(|bound| bound.is_finite()).or(largest).map(|bound| bound * 1e3)
        };
        (all > 0).then_some(Quantiles { p50: at(0.5)?, p99: at(0.99)? })
    }
}

/// Labels and value of each line of such a name.
fn series(text: &str, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = (BTreeMap<&str, &str>, f64)> {
    text.lines().filter_map(move |line| {
        let (name, rest) = line.split_once('{')?;
        let (labels, value) = rest.rsplit_once('}')?;
        let labels = labels.split("\",").filter_map(|label| label.split_once("=\""));
        let labels = labels.map(|(name, value)| (name, value.trim_end_matches('"')));
        // An exemplar may follow.
        let value = value.split_whitespace().next()?.parse().ok()?;
        wanted(name).then(|| (labels.collect(), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_counted_by_verb_and_resource() {
        let line = |verb: &str, sub: &str, dry: &str, count: u32| {
            format!(
                "apiserver_request_total{{code=\"200\",dry_run=\"{dry}\",resource=\"pipelineruns\",subresource=\"{sub}\",verb=\"{verb}\"}} {count}\n"
            )
        };
        let before = writes(&line("PATCH", "status", "", 3));
        let after = [
            line("PATCH", "status", "", 5),
            line("POST", "", "", 1),
            line("POST", "", "All", 7),
            line("GET", "", "", 9),
        ];
        let news = since(&before, &writes(&after.concat()));
        let expected = [("PATCH pipelineruns/status", 2), ("POST pipelineruns", 1)];
        assert_eq!(news, expected.map(|(what, count)| (what.to_owned(), count)).into());
    }

    #[test]
    fn quantiles_of_a_histogram_are_bounds_of_its_buckets() {
        let text = |counts: [u64; 3]| {
            let [a, b, c] = counts;
            let name = "orchestrator_answer_to_ready_seconds_bucket";
            format!("{name}{{le=\"0.0001\"}} {a}\n{name}{{le=\"0.002\"}} {b}\n{name}{{le=\"+Inf\"}} {c}\n")
        };
        let read = |counts| Histogram::read(&text(counts), ANSWER_TO_READY);
        let quantiles = read([1_090, 1_100, 1_100]).since_ms(&read([1_000, 1_000, 1_000]));
        assert_eq!(quantiles, Some(Quantiles { p50: 0.1, p99: 2.0 }));
        assert_eq!(read([5, 5, 5]).since_ms(&read([5, 5, 5])), None, "nothing new");
        assert_eq!(Histogram::read("", ANSWER_TO_READY).since_ms(&Histogram::default()), None);
    }
}
