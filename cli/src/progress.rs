//! Progress of a run while it goes on: bars on a terminal, a plain line a second elsewhere, nothing when quiet.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use orch_core::engine::{self, ObjectPhase};
#[cfg(feature = "cluster")]
use orch_crds::status::{Counts, PipelineRunStatus};

use crate::printer::Printer;
#[cfg(feature = "cluster")]
use crate::shown;

/// Where nobody looks at bars, a line is written so often.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Longest name of a stage beside its bar: with it the line fits into 80 columns.
const MAX_NAME: usize = 24;

/// How far the objects of a stage are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StageProgress {
    /// Name of the stage.
    pub name: String,
    /// Objects that a target needs.
    pub total: u32,
    /// Loaded.
    pub loaded: u32,
    /// Failed, blocked or cancelled.
    pub lost: u32,
    /// At a worker.
    pub running: u32,
}

impl StageProgress {
    /// From the engine's counts.
    pub(crate) fn of_engine(name: &str, counts: &engine::Counts) -> Self {
        let lost = [ObjectPhase::Failed, ObjectPhase::Blocked, ObjectPhase::Cancelled];
        Self {
            name: name.to_owned(),
            total: counts.total(),
            loaded: counts.of(ObjectPhase::Loaded),
            lost: lost.into_iter().map(|phase| counts.of(phase)).sum(),
            running: counts.of(ObjectPhase::Running) + counts.of(ObjectPhase::Queued),
        }
    }

    /// From a status.
    #[cfg(feature = "cluster")]
    pub(crate) fn of_status(status: &PipelineRunStatus) -> Vec<Self> {
        let of = |name: &str, counts: &Counts| Self {
            name: shown::line(name).into_owned(),
            total: counts.total,
            loaded: counts.loaded,
            lost: counts.failed + counts.blocked + counts.cancelled,
            running: counts.running + counts.queued,
        };
        status.stages.iter().map(|stage| of(&stage.name, &stage.counts)).collect()
    }

    fn message(&self) -> String {
        let part =
            |count: u32, word: &str| if count > 0 { format!("  {count} {word}") } else { String::new() };
        format!("{}{}", part(self.running, "at work"), part(self.lost, "lost"))
    }
}

/// Shows progress.
pub(crate) struct Progress<'p> {
    printer: &'p Printer,
    bars: Option<Bars>,
    begun: Instant,
    last_line: Instant,
    shown: Vec<StageProgress>,
}

struct Bars {
    all: MultiProgress,
    stages: Vec<ProgressBar>,
}

impl<'p> Progress<'p> {
    /// Nothing is shown before the first update.
    pub(crate) fn new(printer: &'p Printer) -> Self {
        let bars = printer.draws_bars().then(|| Bars {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)),
            stages: Vec::new(),
        });
        let now = Instant::now();
        Self { printer, bars, begun: now, last_line: now, shown: Vec::new() }
    }

    /// Shows how far the stages are.
    pub(crate) fn update(&mut self, stages: Vec<StageProgress>) {
        if stages == self.shown {
            return;
        }
        match &mut self.bars {
            Some(bars) => bars.update(&stages),
            None if self.last_line.elapsed() >= LINE_INTERVAL => {
                self.last_line = Instant::now();
                self.printer.note(&line(self.begun.elapsed(), &stages));
            }
            None => return,
        }
        self.shown = stages;
    }

    /// Says something above the bars.
    pub(crate) fn note(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.all.suspend(|| self.printer.note(text)),
            None => self.printer.note(text),
        }
    }

    /// Takes the bars away: what follows says it all.
    pub(crate) fn finish(self) {
        if let Some(bars) = self.bars {
            for bar in &bars.stages {
                bar.finish_and_clear();
            }
            // A terminal that is gone needs no clearing.
            let _ = bars.all.clear();
        }
    }
}

impl Bars {
    fn update(&mut self, stages: &[StageProgress]) {
        if self.stages.len() != stages.len() {
            let width = stages.iter().map(|stage| stage.name.len()).max().unwrap_or(0);
            for bar in self.stages.drain(..) {
                bar.finish_and_clear();
            }
            self.stages = stages.iter().map(|stage| self.all.add(bar(stage, width))).collect();
        }
        for (bar, stage) in self.stages.iter().zip(stages) {
            bar.set_length(u64::from(stage.total));
            bar.set_position(u64::from(stage.loaded));
            bar.set_message(stage.message());
        }
    }
}

fn bar(stage: &StageProgress, width: usize) -> ProgressBar {
    // A line that is longer than the terminal would not be taken away again: names are cut, and so is the message.
    let width = width.min(MAX_NAME);
    let bar = if width > MAX_NAME / 2 { 20 } else { 30 };
    let template = format!("  {{prefix:{width}!}}  {{bar:{bar}.green/dim}}  {{pos}}/{{len}}{{wide_msg}}");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::hidden().with_style(style.progress_chars("━━─"));
    bar.set_prefix(stage.name.clone());
    bar
}

fn line(elapsed: Duration, stages: &[StageProgress]) -> String {
    let stage =
        |stage: &StageProgress| format!("{} {}/{}{}", stage.name, stage.loaded, stage.total, stage.message());
    let stages: Vec<String> = stages.iter().map(stage).collect();
    format!("{:>4}s  {}", elapsed.as_secs(), stages.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_what_is_not_zero() {
        let stage = |name: &str, running, lost| StageProgress {
            name: name.to_owned(),
            total: 9,
            loaded: 3,
            lost,
            running,
        };
        let text = line(Duration::from_secs(12), &[stage("ingest", 2, 0), stage("standardize", 0, 1)]);
        assert_eq!(text, "  12s  ingest 3/9  2 at work | standardize 3/9  1 lost");
    }
}
