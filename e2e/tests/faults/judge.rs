//! Who may have executed an attempt twice: only one whose earlier execution was in flight when its worker died.

use std::collections::HashMap;

use orch_e2e::executions::Execution;

/// After its answer stands in the topic an execution is committed within this, on a machine that is busy.
const COMMIT_MS: i64 = 2_000;

/// A worker was killed: this life of it ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Death {
    pub(crate) worker: u32,
    /// Just before the kill.
    pub(crate) at_ms: i64,
}

/// The broker was away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outage {
    pub(crate) from_ms: i64,
    pub(crate) until_ms: i64,
}

/// What is known of a run when it is over.
pub(crate) struct Evidence<'a> {
    pub(crate) executions: &'a [Execution],
    /// The answers of each attempt, with their append times.
    pub(crate) answers: &'a HashMap<(String, u64), Vec<(String, i64)>>,
    pub(crate) deaths: &'a [Death],
    pub(crate) outages: &'a [Outage],
}

impl Evidence<'_> {
    /// Executions that were followed by another one of the same attempt without an excuse.
    pub(crate) fn repeated_without_excuse(&self) -> Vec<&Execution> {
        let mut of_attempt: HashMap<(&str, u64), Vec<&Execution>> = HashMap::new();
        for execution in self.executions {
            of_attempt.entry((&execution.object, execution.attempt)).or_default().push(execution);
        }
        let earlier = of_attempt.values().flat_map(|executions| &executions[..executions.len() - 1]);
        earlier.filter(|execution| !self.was_in_flight(execution)).copied().collect()
    }

    /// Whether the execution, its answer or its commit was under way when its worker died.
    fn was_in_flight(&self, execution: &Execution) -> bool {
        let Some(death) = self.deaths.iter().find(|death| death.worker == execution.worker) else {
            return false;
        };
        let key = (execution.object.clone(), execution.attempt);
        let answers = self.answers.get(&key).into_iter().flatten();
        let own = answers.map(|(_, at)| *at).find(|at| (execution.begin_ms..=death.at_ms).contains(at));
        own.is_none_or(|answered| death.at_ms < self.committed_by(answered))
    }

    /// Until when the commit of what was answered then may take: each outage that begins before puts it off.
    fn committed_by(&self, answered: i64) -> i64 {
        let later = self.outages.iter().filter(|outage| answered <= outage.until_ms);
        later.fold(answered + COMMIT_MS, |by, outage| {
            if outage.from_ms <= by { by.max(outage.until_ms + COMMIT_MS) } else { by }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execution(worker: u32, begin_ms: i64) -> Execution {
        Execution { object: "a".to_owned(), attempt: 1, worker, begin_ms, end_ms: Some(begin_ms + 20) }
    }

    /// Two executions, by worker 7 at 1,000 and by worker 8 at 20,000; how many of them lack an excuse.
    fn lacking(answers: &[i64], deaths: &[Death], outages: &[Outage]) -> usize {
        let answers = answers.iter().map(|at| ("ObjectLoaded".to_owned(), *at)).collect();
        let answers = HashMap::from([(("a".to_owned(), 1), answers)]);
        let executions = [execution(7, 1_000), execution(8, 20_000)];
        let evidence = Evidence { executions: &executions, answers: &answers, deaths, outages };
        evidence.repeated_without_excuse().len()
    }

    fn death(at_ms: i64) -> Death {
        Death { worker: 7, at_ms }
    }

    #[test]
    fn one_whose_worker_lives_has_no_excuse() {
        assert_eq!(lacking(&[20_020], &[Death { worker: 9, at_ms: 1_010 }], &[]), 1);
    }

    #[test]
    fn one_that_was_not_answered_when_its_worker_died_is_excused() {
        assert_eq!(lacking(&[20_020], &[death(1_010)], &[]), 0);
        assert_eq!(lacking(&[1_021, 20_020], &[death(1_022)], &[]), 0, "nor is one that was not committed");
    }

    #[test]
    fn one_that_was_answered_long_before_its_worker_died_has_no_excuse() {
        assert_eq!(lacking(&[1_021, 20_020], &[death(9_000)], &[]), 1);
    }

    #[test]
    fn nobody_commits_to_a_broker_that_is_away() {
        let outage = |from_ms, until_ms| [Outage { from_ms, until_ms }];
        assert_eq!(lacking(&[1_021, 20_020], &[death(9_000)], &outage(1_022, 8_000)), 0);
        assert_eq!(lacking(&[1_021, 20_020], &[death(19_000)], &outage(1_022, 8_000)), 1, "it was back");
    }

    /// The broker was killed again as soon as it was back: what could not be committed counted as done twice.
    #[test]
    fn nobody_commits_between_two_outages_that_follow_each_other() {
        let outage = |from_ms, until_ms| Outage { from_ms, until_ms };
        let (first, second) = (outage(1_022, 6_000), outage(6_002, 11_000));
        assert_eq!(lacking(&[1_021, 20_020], &[death(11_002)], &[first, second]), 0);
        assert_eq!(lacking(&[1_021, 20_020], &[death(13_001)], &[first, second]), 1, "it was back");
        let late = outage(9_000, 11_000);
        assert_eq!(lacking(&[1_021, 20_020], &[death(11_002)], &[first, late]), 1, "it was back before");
    }
}
