//! Throws away what no recovery needs any more: events below where every run of their set begins, and ready records that
//! their group has finished.
//!
//! What a run needs is known from its status, as the API server has it, and from its actor. A status that is older than
//! the truth names a lower offset, and keeps more. What another operator may believe does no harm: one that reads from an
//! offset that is gone sees that, and reads the status again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::reflector::Store;
use orch_bus::{Bus, BusError};
use orch_core::id::RunUid;
use orch_crds::PipelineRun;
use orch_runner::Needed;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::context::Context;
use crate::guarded::Guarded;
use crate::scope::Scope;
use crate::stages::{SetHandle, SetKey};

/// How often a set is looked at after its log has grown: commits and statuses come later than the records.
const LOOKS: u32 = 5;

/// Looks again and again at the sets of a scope, until `stop`. `runs` are all runs there.
pub(crate) async fn watch(
    context: Arc<Context>,
    scope: Scope,
    runs: Store<Guarded<PipelineRun>>,
    stop: CancellationToken,
) {
    let config = &context.config;
    if !config.truncate {
        return;
    }
    let mut looks: HashMap<SetKey, Looks> = HashMap::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(config.truncate_every) => {}
            () = stop.cancelled() => return,
        }
        let sets: Vec<_> =
            context.registry.all().into_iter().filter(|set| scope.covers(&set.set.namespace)).collect();
        looks.retain(|key, _| sets.iter().any(|set| SetKey::of_set(&set.set) == *key));
        for set in sets {
            let key = SetKey::of_set(&set.set);
            let Some(Needed { position, .. }) = set.needed().await else { continue };
            let look = looks.entry(key.clone()).or_default();
            if set.is_away() || !look.is_due(position, config.truncate_records) {
                continue;
            }
            let of_set = Runs::of(&key, &runs.state());
            if of_set.own_topics(&set)
                && let Err(error) = truncate(&set, &of_set, config.truncate_records).await
            {
                warn!(set = %set.set.name, %error, "topics were not truncated");
            }
        }
    }
}

/// When a set is looked at.
#[derive(Debug, Default)]
struct Looks {
    /// Where its log was when it had grown.
    position: i64,
    /// So many looks are left.
    left: u32,
}

impl Looks {
    /// Whether it is time, with the log at `position`: when that has grown, and a few times more.
    fn is_due(&mut self, position: i64, worth: i64) -> bool {
        if position - self.position >= worth {
            *self = Self { position, left: LOOKS };
        }
        let is_due = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_due
    }
}

/// The runs of a set, as the API server has them.
struct Runs {
    known: Vec<Arc<PipelineRun>>,
    /// One of the namespace cannot be read, and may be one of them.
    is_one_unreadable: bool,
}

impl Runs {
    fn of(key: &SetKey, all: &[Arc<Guarded<PipelineRun>>]) -> Self {
        let (mut known, mut is_one_unreadable) = (Vec::new(), false);
        for run in all {
            match &run.0 {
                Ok(run) if SetKey::of_run(run).as_ref() == Some(key) => known.push(run.clone()),
                Ok(_) => {}
                Err(run) => {
                    let is_near = run.metadata.namespace.as_deref() == Some(key.namespace());
                    is_one_unreadable |= is_near && !run.is_over;
                }
            }
        }
        Self { known, is_one_unreadable }
    }

    /// Whether the operator may take something out of the topics: it has made them.
    fn own_topics(&self, set: &SetHandle) -> bool {
        // A set of an inline run that has begun makes no topics any more, but had made them.
        let made = |run: &PipelineRun| run.spec.topics.unwrap_or_default().create;
        if set.set.inline { self.known.iter().any(|run| made(run)) } else { set.set.create_topics }
    }

    fn needs(&self, drives: impl Fn(&RunUid) -> bool) -> Vec<Need> {
        let need = |run: &Arc<PipelineRun>| {
            let status = run.status.as_ref();
            Need {
                start_offset: status.and_then(|status| status.start_offset),
                is_over: status.is_some_and(|status| status.completion_time.is_some()),
                is_driven: run.uid().is_some_and(|uid| drives(&RunUid::new(&uid))),
            }
        };
        self.known.iter().map(need).collect()
    }
}

/// What is known of one run.
#[derive(Debug, Clone, Copy)]
struct Need {
    start_offset: Option<i64>,
    is_over: bool,
    is_driven: bool,
}

/// Up to where the events may go; `from_actor` is the first offset that the runs of the actor need. `None`: nothing may.
fn events_before(needs: &[Need], from_actor: Option<i64>) -> Option<i64> {
    // What a live run needs before its start offset only its actor knows.
    let is_unknown = |need: &Need| !need.is_over && !need.is_driven && need.start_offset.is_some();
    if needs.iter().any(is_unknown) {
        return None;
    }
    let first = needs.iter().filter_map(|need| need.start_offset).min()?;
    Some(from_actor.map_or(first, |needed| needed.min(first)))
}

async fn truncate(set: &SetHandle, runs: &Runs, worth: i64) -> Result<(), BusError> {
    // A run whose start offset is taken, and not known to its actor yet, comes after this or was before.
    if let Some(_quiet) = set.nobody_begins()
        && let Some(Needed { from, .. }) = set.needed().await
        && !runs.is_one_unreadable
        && let Some(before) = events_before(&runs.needs(|uid| set.drives(uid)), from)
    {
        cut(&*set.bus, &set.set.names.events(), &[Some(before)], worth).await?;
    }
    let topics: HashSet<String> =
        set.set.stage_topics().iter().map(|(stage, _)| set.set.names.ready(stage)).collect();
    for topic in topics {
        let committed = set.bus.committed(&topic, &topic).await?;
        let finished: Vec<_> = committed.into_iter().map(|at| at.map(|at| at.offset)).collect();
        cut(&*set.bus, &topic, &finished, worth).await?;
    }
    Ok(())
}

/// Throws away what each partition holds below an offset, where that is worth it.
async fn cut(bus: &dyn Bus, topic: &str, before: &[Option<i64>], worth: i64) -> Result<(), BusError> {
    for (partition, (bounds, before)) in bus.bounds(topic).await?.iter().zip(before).enumerate() {
        let Some(before) = before.map(|before| before.min(bounds.high)) else { continue };
        if before - bounds.low >= worth {
            bus.truncate(topic, partition as i32, before).await?;
            info!(topic, partition, before, "truncated");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(start_offset: Option<i64>, is_over: bool, is_driven: bool) -> Need {
        Need { start_offset, is_over, is_driven }
    }

    #[test]
    fn a_set_is_looked_at_a_few_times_after_its_log_has_grown() {
        let mut looks = Looks::default();
        let mut due = |position| looks.is_due(position, 100);
        assert!(!due(99) && due(100));
        assert_eq!((0..10).filter(|_| due(150)).count() as u32, LOOKS - 1);
        assert!(!due(199) && due(200) && due(300));
    }

    #[test]
    fn events_go_up_to_the_first_that_any_run_needs() {
        let (ended, live, begins) =
            (need(Some(70), true, false), need(Some(90), false, true), need(None, false, false));
        assert_eq!(
            events_before(&[ended, live], Some(90)),
            Some(70),
            "people look at the log of an ended run"
        );
        assert_eq!(events_before(&[live], Some(90)), Some(90));
        assert_eq!(events_before(&[live], Some(40)), Some(40), "an object gets outputs from there");
        assert_eq!(events_before(&[live, begins], Some(90)), Some(90), "it will begin at the end of the log");
        let elsewhere = need(Some(95), false, false);
        assert_eq!(events_before(&[live, elsewhere], Some(90)), None, "nobody knows what it needs");
        assert_eq!(events_before(&[begins], None), None);
        assert_eq!(events_before(&[], Some(90)), None, "its runs are not known yet");
    }
}
