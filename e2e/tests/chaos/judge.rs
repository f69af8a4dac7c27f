//! The end: every run is over, and its topics are judged.

use std::fmt;
use std::io::BufReader;
use std::time::Duration;

use orch_e2e::api::until;
use orch_e2e::checker::{Graph, Leave, Log, Verdict, judge, read_dump};
use orch_e2e::setup::LIMIT;
use serde_json::Value;

use crate::scene::Scene;

/// What came of all runs.
pub(crate) struct Judged(Vec<(String, Verdict)>);

impl Judged {
    pub(crate) fn is_well(&self) -> bool {
        self.0.iter().all(|(_, verdict)| verdict.findings.is_empty())
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (run, verdict) in &self.0 {
            write!(f, "{run}: {verdict}")?;
        }
        let sum = |of: fn(&Verdict) -> usize| self.0.iter().map(|(_, verdict)| of(verdict)).sum::<usize>();
        writeln!(
            f,
            "\n{} objects in {} runs: {} lost, {} counted twice, {} findings",
            sum(|verdict| verdict.totals.objects),
            self.0.len(),
            sum(|verdict| verdict.totals.lost),
            sum(|verdict| verdict.totals.counted_twice),
            sum(|verdict| verdict.findings.len()),
        )
    }
}

impl Scene {
    pub(crate) async fn judge(mut self) -> Judged {
        let mut runs = Vec::new();
        for run in &self.runs {
            runs.push(self.over(run.name, run.graph.len()).await);
            let never = self.never_done(run);
            assert!(never.is_empty(), "{} is loaded, and nobody did {never:?}", run.name);
        }
        runs.append(&mut self.small);
        until("every record is read", LIMIT, async || self.recorder.has_read_all()).await;
        let Self { recorder, sources, deleted, setup, .. } = self;
        // Operators and workers first: what they say at their end belongs to nobody.
        setup.kubelet.stop();
        let dump = std::fs::File::open(recorder.finish()).unwrap();
        let log: Log = read_dump(BufReader::new(dump)).unwrap();
        let leave = Leave { incomplete: deleted, ..Leave::default() };
        let judged = runs.iter().map(|run| {
            let graph = Graph::of(run, &sources).unwrap();
            let name = run["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            (name, judge(run, &graph, &log, &leave).unwrap())
        });
        Judged(judged.collect())
    }

    /// Waits until a run is over, as long as it moves on.
    async fn over(&self, name: &str, objects: usize) -> Value {
        let patience = LIMIT + Duration::from_millis(10) * objects as u32;
        let over = async || {
            let shown = self.shown(name).await?;
            match shown["status"]["completionTime"].as_str() {
                Some(_) => Ok(shown),
                None => Err(shown["status"]["counts"].to_string()),
            }
        };
        until(&format!("{name} is over"), patience, over).await
    }
}
