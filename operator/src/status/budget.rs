//! Whose turn it is to write a status. What the operator writes for all of its runs together is paid from one bucket,
//! which fills at a constant rate, by the size of the whole resource: that is what the API server stores with each write,
//! however little has changed. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use orch_core::id::Millis;

/// How much of the rate one run alone may take: its interval grows with its size beyond this.
const PART_OF_A_RUN: u64 = 4;
/// Between two writes of one run, however small it is.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// While somebody else waits, no more than so many urgent turns come one after the other.
const URGENT_IN_A_ROW: u32 = 3;

/// What a write is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Urgency {
    /// Counts and phases of objects that have moved on.
    Progress,
    /// What people wait for: an end, a condition.
    News,
}

/// Who waits for a turn.
pub(super) type Waiter = u64;

#[derive(Debug)]
struct Wish {
    waiter: Waiter,
    bytes: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes a second; the bucket holds as many.
    rate: u64,
    /// What is in the bucket, in thousandths of a byte; below zero where more was spent than there was.
    level: i64,
    at: Millis,
    news: VecDeque<Wish>,
    progress: VecDeque<Wish>,
    /// Turns of news in a row while progress was waiting.
    in_a_row: u32,
}

impl Budget {
    /// A full bucket.
    pub(super) fn new(rate: u64, now: Millis) -> Self {
        let rate = rate.max(1);
        Self {
            rate,
            level: thousandths(rate),
            at: now,
            news: VecDeque::new(),
            progress: VecDeque::new(),
            in_a_row: 0,
        }
    }

    /// Between two writes of a run whose resource has so many bytes.
    pub(super) fn interval(&self, bytes: u64) -> Duration {
        INTERVAL.max(Duration::from_millis(bytes.saturating_mul(PART_OF_A_RUN * 1_000) / self.rate))
    }

    /// Takes a place behind all others of this urgency, for a write of so many bytes. Who waits already and has news
    /// now gets a new place among those.
    pub(super) fn wish(&mut self, waiter: Waiter, urgency: Urgency, bytes: u64) {
        self.withdraw(waiter);
        let queue = match urgency {
            Urgency::News => &mut self.news,
            Urgency::Progress => &mut self.progress,
        };
        queue.push_back(Wish { waiter, bytes });
    }

    /// Gives a place up.
    pub(super) fn withdraw(&mut self, waiter: Waiter) {
        self.news.retain(|wish| wish.waiter != waiter);
        self.progress.retain(|wish| wish.waiter != waiter);
    }

    /// Whose turn it is now, and what was taken out of the bucket for it: [`Budget::settle`] says what it came to.
    pub(super) fn next(&mut self, now: Millis) -> Option<(Waiter, u64)> {
        self.fill(now);
        let (urgency, needed) = self.head()?;
        if self.level < needed {
            return None;
        }
        let wish = match urgency {
            Urgency::News => {
                self.in_a_row = if self.progress.is_empty() { 0 } else { self.in_a_row + 1 };
                self.news.pop_front()?
            }
            Urgency::Progress => {
                self.in_a_row = 0;
                self.progress.pop_front()?
            }
        };
        self.level -= thousandths(wish.bytes);
        Some((wish.waiter, wish.bytes))
    }

    /// When the next turn comes, if nothing changes before; `None` when nobody waits.
    pub(super) fn next_at(&self) -> Option<Millis> {
        let (_, needed) = self.head()?;
        let missing = (needed - self.level).max(0);
        Some(self.at + (missing as u64).div_ceil(self.rate) as Millis)
    }

    /// A turn for which `taken` bytes were taken has written so many.
    pub(super) fn settle(&mut self, taken: u64, written: u64) {
        let full = thousandths(self.rate);
        self.level = (self.level + thousandths(taken) - thousandths(written)).min(full);
    }

    /// The first of those who wait, and how full the bucket has to be for it. Progress waits until there is what it
    /// takes, or a full bucket. News borrow from the second to come, so that no large write before them makes them late.
    fn head(&self) -> Option<(Urgency, i64)> {
        let full = thousandths(self.rate);
        let borrowed = 1 - full;
        match (self.news.front(), self.progress.front()) {
            (None, None) => None,
            (Some(_), Some(_)) if self.in_a_row >= URGENT_IN_A_ROW => Some((Urgency::Progress, borrowed)),
            (Some(_), _) => Some((Urgency::News, borrowed)),
            (None, Some(wish)) => Some((Urgency::Progress, thousandths(wish.bytes).min(full))),
        }
    }

    fn fill(&mut self, now: Millis) {
        let passed = (now - self.at).max(0);
        self.at += passed;
        // Bytes a second are thousandths of a byte a millisecond.
        let more = (self.rate as i64).saturating_mul(passed);
        self.level = self.level.saturating_add(more).min(thousandths(self.rate));
    }
}

fn thousandths(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: u64 = 1_000;

    /// Plays a script, `AT WORD WAITER BYTES` each: `p` wishes for progress, `n` for news, `-` gives up. What comes out
    /// is who had a turn, and when.
    fn turns(script: &str) -> String {
        let mut budget = Budget::new(RATE, 0);
        let mut found = Vec::new();
        let mut go_on = |budget: &mut Budget, until: Option<Millis>| {
            while let Some(at) = budget.next_at().filter(|at| until.is_none_or(|until| *at < until)) {
                let (waiter, _) = budget.next(at).expect("somebody's turn");
                found.push(format!("{waiter}@{at}"));
            }
        };
        for line in script.split(',') {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |n: usize| words[n].parse::<u64>().unwrap();
            let at = number(0) as Millis;
            go_on(&mut budget, Some(at));
            budget.fill(at);
            match words[1] {
                "p" => budget.wish(number(2), Urgency::Progress, number(3)),
                "n" => budget.wish(number(2), Urgency::News, number(3)),
                _ => budget.withdraw(number(2)),
            }
        }
        go_on(&mut budget, None);
        found.join(" ")
    }

    #[test]
    fn turns_come_in_order_of_arrival_as_the_bucket_fills() {
        for (script, expected, why) in [
            ("0 p 1 400, 0 p 2 600, 0 p 3 500", "1@0 2@0 3@500", "what is there, then what comes"),
            ("0 p 1 2500, 0 p 2 100", "1@0 2@1600", "more than the bucket holds waits for a full one"),
            ("0 p 1 1000, 0 p 2 300, 10 n 3 300", "1@0 3@10 2@600", "news come first, and borrow"),
            ("0 p 1 3000, 10 n 2 300", "1@0 2@1001", "no second beyond that second"),
            ("0 p 1 1000, 0 p 2 900, 0 p 3 1, 5 - 2 0", "1@0 3@5", "who gives up makes room"),
            ("0 p 1 1000, 1 p 2 9, 2 p 3 9, 3 n 3 9", "1@0 3@3 2@18", "progress that has become news"),
            ("0 p 1 1000, 1 p 2 9, 2 p 3 9, 3 p 2 9", "1@0 3@9 2@18", "who asks again stands behind"),
            (
                "0 n 1 1500, 0 p 9 100, 0 n 2 600, 0 n 3 100, 0 n 4 100, 0 p 8 500, 0 n 5 100",
                "1@0 2@0 3@101 9@201 4@301 5@401 8@2000",
                "after three news somebody else",
            ),
        ] {
            assert_eq!(turns(script), expected, "{why}: {script}");
        }
    }

    #[test]
    fn a_large_run_writes_less_often() {
        let budget = Budget::new(500 << 10, 0);
        for (bytes, ms) in
            [(0, 1_000), (1_000, 1_000), (125 << 10, 1_000), (250 << 10, 2_000), (1_200 << 10, 9_600)]
        {
            assert_eq!(budget.interval(bytes).as_millis(), ms, "{bytes}");
        }
    }

    #[test]
    fn what_was_not_written_is_there_for_the_next() {
        let mut budget = Budget::new(RATE, 0);
        budget.wish(1, Urgency::Progress, 1_000);
        budget.wish(2, Urgency::Progress, 1_000);
        assert_eq!(budget.next(0), Some((1, 1_000)));
        budget.settle(1_000, 0);
        assert_eq!(budget.next(0), Some((2, 1_000)));
        budget.settle(1_000, 1_400);
        budget.wish(3, Urgency::Progress, 100);
        assert_eq!(budget.next_at(), Some(500));
    }

    /// 200 runs whose statuses have 30 KB and never rest, at the default rate.
    #[test]
    fn everybody_has_a_turn_and_an_end_is_not_late() {
        let (runs, bytes) = (200, 30_000);
        let mut budget = Budget::new(500 << 10, 0);
        let mut had = vec![0; runs as usize];
        (0..runs).for_each(|run| budget.wish(run, Urgency::Progress, bytes));
        for now in 0..60_000 {
            let ends = now % 1_000 == 500;
            if ends {
                budget.wish(runs, Urgency::News, bytes);
            }
            while let Some((waiter, _)) = budget.next(now) {
                if waiter < runs {
                    had[waiter as usize] += 1;
                    budget.wish(waiter, Urgency::Progress, bytes);
                }
            }
            assert!(budget.news.is_empty(), "an end waits at {now}");
        }
        let (least, most) = (had.iter().min().unwrap(), had.iter().max().unwrap());
        assert!(*least >= 4 && most - least <= 1, "{least} to {most} turns");
    }

    #[derive(Debug, Clone)]
    enum Act {
        Wish(Waiter, Urgency, u64),
        Withdraw(Waiter),
        Pass(Millis),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let urgency = prop_oneof![3 => Just(Urgency::Progress), 2 => Just(Urgency::News)];
        let act = prop_oneof![
            6 => (0..12_u64, urgency, 0..2_500_u64).prop_map(|(waiter, urgency, bytes)| Act::Wish(waiter, urgency, bytes)),
            1 => (0..12_u64).prop_map(Act::Withdraw),
            4 => (1..900_i64).prop_map(Act::Pass),
        ];
        proptest::collection::vec(act, 0..60)
    }

    /// The same by the letter: a list that is searched, and a bucket that is filled every millisecond.
    struct Naive {
        level: i64,
        waiting: Vec<(Waiter, Urgency, u64)>,
        in_a_row: u32,
    }

    impl Naive {
        fn next(&mut self) -> Option<(Waiter, u64)> {
            let first = |urgency| self.waiting.iter().position(|wish| wish.1 == urgency);
            let (news, progress) = (first(Urgency::News), first(Urgency::Progress));
            let turn = if self.in_a_row == 3 { progress.or(news) } else { news.or(progress) }?;
            let bytes = self.waiting[turn].2;
            let may = if news.is_some() {
                self.level > -1_000_000
            } else {
                self.level >= 1_000_000.min(bytes as i64 * 1_000)
            };
            if !may {
                return None;
            }
            let (waiter, urgency, bytes) = self.waiting.remove(turn);
            self.in_a_row =
                if urgency == Urgency::News && progress.is_some() { self.in_a_row + 1 } else { 0 };
            self.level -= bytes as i64 * 1_000;
            Some((waiter, bytes))
        }
    }

    proptest! {
        #[test]
        fn turns_are_those_of_the_naive_model(acts in acts()) {
            let mut budget = Budget::new(RATE, 0);
            let mut naive = Naive { level: 1_000_000, waiting: Vec::new(), in_a_row: 0 };
            let mut now = 0;
            for act in acts.into_iter().chain([Act::Pass(100_000)]) {
                match act {
                    Act::Wish(waiter, urgency, bytes) => {
                        budget.wish(waiter, urgency, bytes);
                        naive.waiting.retain(|wish| wish.0 != waiter);
                        naive.waiting.push((waiter, urgency, bytes));
                    }
                    Act::Withdraw(waiter) => {
                        budget.withdraw(waiter);
                        naive.waiting.retain(|wish| wish.0 != waiter);
                    }
                    Act::Pass(ms) => for _ in 0..ms {
                        while let Some(turn) = naive.next() {
                            prop_assert!(budget.next_at().is_some_and(|at| at <= now), "at {}", now);
                            prop_assert_eq!(budget.next(now), Some(turn), "at {}", now);
                        }
                        prop_assert!(budget.next_at().is_none_or(|at| at > now), "at {}", now);
                        now += 1;
                        naive.level = (naive.level + RATE as i64).min(1_000_000);
                    },
                }
            }
            prop_assert!(naive.waiting.is_empty(), "somebody starves");
        }

        #[test]
        fn no_stretch_of_time_costs_more_than_the_rate_and_two_buckets(acts in acts()) {
            let mut budget = Budget::new(RATE, 0);
            let mut now = 0;
            let mut spent: Vec<(Millis, u64)> = Vec::new();
            for act in acts.into_iter().chain([Act::Pass(100_000)]) {
                match act {
                    Act::Wish(waiter, urgency, bytes) => budget.wish(waiter, urgency, bytes),
                    Act::Withdraw(waiter) => budget.withdraw(waiter),
                    Act::Pass(ms) => {
                        while let Some(at) = budget.next_at().filter(|at| (*at).max(now) < now + ms) {
                            let (_, bytes) = budget.next(at.max(now)).expect("a turn");
                            spent.push((at.max(now), bytes));
                        }
                        now += ms;
                    }
                }
            }
            for (n, (from, _)) in spent.iter().enumerate() {
                let mut bytes = 0;
                for (at, more) in &spent[n..] {
                    bytes += more;
                    let allowed = RATE * (at - from) as u64 / 1_000 + 2 * RATE + more;
                    prop_assert!(bytes <= allowed, "{} of {} between {} and {}", bytes, allowed, from, at);
                }
            }
        }
    }
}
