//! Where the time of a step goes: from a ready record to its worker, to the answer, to the next ready record. Pure.
//!
//! A reader of both topics (`observer`) stamps what it sees, and the worker's log says when it took an object and when
//! it was done. What the observer itself takes to see a record is in every stamp of its own, and cancels out between two
//! of them.

use std::collections::HashMap;

use orch_e2e::graphs::Graph;
use serde::Serialize;

use crate::numbers::Quantiles;

/// Microseconds since 1970.
pub(crate) type Micros = i64;

/// When what happened to each object.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    /// Its ready record was in the topic.
    pub(crate) ready: HashMap<String, Micros>,
    /// The worker took it.
    pub(crate) received: HashMap<String, Micros>,
    /// The worker was done, and handed the answer over.
    pub(crate) done: HashMap<String, Micros>,
    /// Its answer was in the topic.
    pub(crate) answered: HashMap<String, Micros>,
}

/// The parts of a step, in milliseconds.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Hops {
    /// From the ready record to the worker: below zero where the worker was quicker than the observer.
    pub(crate) ready_to_received: Option<Quantiles>,
    /// From the worker to the answer.
    pub(crate) received_to_answered: Option<Quantiles>,
    /// The part of it in the worker.
    pub(crate) in_worker: Option<Quantiles>,
    /// From the last answer that an object waited for to its ready record.
    pub(crate) answered_to_ready: Option<Quantiles>,
    /// All of it: from the ready record of that dependency to the object's own.
    pub(crate) step: Option<Quantiles>,
}

impl Hops {
    pub(crate) fn of(graph: &Graph, stamps: &Stamps) -> Self {
        let between = |from: &HashMap<String, Micros>, to: &HashMap<String, Micros>| {
            Quantiles::of(graph.iter().filter_map(|(id, _)| Some(ms(*from.get(id)?, *to.get(id)?))))
        };
        // Of each object that waited for another: the answer that came last.
        let last = |(id, of): &(String, Vec<String>)| {
            let parent = of.iter().max_by_key(|parent| stamps.answered.get(*parent))?;
            Some((*stamps.ready.get(parent)?, *stamps.answered.get(parent)?, *stamps.ready.get(id)?))
        };
        Self {
            ready_to_received: between(&stamps.ready, &stamps.received),
            received_to_answered: between(&stamps.received, &stamps.answered),
            in_worker: between(&stamps.received, &stamps.done),
            answered_to_ready: Quantiles::of(
                graph.iter().filter_map(last).map(|(_, answered, ready)| ms(answered, ready)),
            ),
            step: Quantiles::of(graph.iter().filter_map(last).map(|(before, _, ready)| ms(before, ready))),
        }
    }
}

fn ms(from: Micros, to: Micros) -> f64 {
    (to - from) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_split_at_the_answer_that_came_last() {
        let graph: Graph = [("a", vec![]), ("b", vec![]), ("c", vec!["a", "b"])]
            .map(|(id, of)| (id.to_owned(), of.into_iter().map(str::to_owned).collect()))
            .into();
        let stamps = |times: [Micros; 3]| {
            ["a", "b", "c"].iter().zip(times).map(|(id, at)| ((*id).to_owned(), at)).collect()
        };
        let hops = Hops::of(
            &graph,
            &Stamps {
                ready: stamps([0, 0, 5_000]),
                received: stamps([300, 300, 5_300]),
                done: stamps([320, 340, 5_360]),
                answered: stamps([1_000, 4_000, 6_000]),
            },
        );
        let both = |p50, p99| Some(Quantiles { p50, p99 });
        assert_eq!(hops.ready_to_received, both(0.3, 0.3));
        assert_eq!(hops.received_to_answered, both(0.7, 3.7));
        assert_eq!(hops.in_worker, both(0.04, 0.06));
        assert_eq!(hops.answered_to_ready, both(1.0, 1.0), "`c` waited for `b`");
        assert_eq!(hops.step, both(5.0, 5.0));
    }
}
