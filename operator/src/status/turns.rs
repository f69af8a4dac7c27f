//! Turns to write: who asks waits here until the budget of the whole operator has one for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orch_core::id::Millis;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::budget::{Budget, Urgency, Waiter};
use crate::lock::lock;
use crate::telemetry::Metrics;

/// See the module.
pub(crate) struct Turns {
    state: Mutex<State>,
    /// Somebody asks, gives up, or gives back.
    changed: Notify,
    since: Instant,
    metrics: Arc<Metrics>,
}

struct State {
    budget: Budget,
    waiting: HashMap<Waiter, oneshot::Sender<Turn>>,
    next: Waiter,
}

impl Turns {
    /// So many bytes a second are given out.
    pub(crate) fn start(rate: u64, metrics: Arc<Metrics>) -> Arc<Self> {
        let state = State { budget: Budget::new(rate, 0), waiting: HashMap::new(), next: 0 };
        let (state, since) = (Mutex::new(state), Instant::now());
        let turns = Arc::new(Self { state, changed: Notify::new(), since, metrics });
        tokio::spawn(turns.clone().give_out());
        turns
    }

    /// Between two writes of a run whose resource has so many bytes.
    pub(super) fn interval(&self, bytes: usize) -> Duration {
        lock(&self.state).budget.interval(bytes as u64)
    }

    /// Takes a place for a write of about so many bytes.
    pub(crate) fn ask(self: &Arc<Self>, urgency: Urgency, bytes: usize) -> Place {
        let (sender, turn) = oneshot::channel();
        let mut state = lock(&self.state);
        let waiter = state.next;
        state.next += 1;
        state.waiting.insert(waiter, sender);
        state.budget.wish(waiter, urgency, bytes as u64);
        drop(state);
        self.changed.notify_one();
        Place { turns: self.clone(), waiter, urgency, bytes, since: Instant::now(), turn }
    }

    async fn give_out(self: Arc<Self>) {
        loop {
            let next = self.hand_out();
            let at = next.map(|at| self.since + Duration::from_millis(at as u64));
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep_until(at) => {}
            }
        }
    }

    /// Hands out what there is, and says when there is more.
    fn hand_out(self: &Arc<Self>) -> Option<Millis> {
        let mut unwanted = Vec::new();
        let mut state = lock(&self.state);
        while let Some((waiter, taken)) = state.budget.next(self.now()) {
            let turn = Turn { turns: self.clone(), taken, written: 0 };
            let refused = match state.waiting.remove(&waiter) {
                Some(sender) => sender.send(turn).err(),
                None => Some(turn),
            };
            unwanted.extend(refused);
        }
        let next = state.budget.next_at();
        // They go back, for which the lock is needed.
        drop(state);
        next
    }

    fn now(&self) -> Millis {
        self.since.elapsed().as_millis() as Millis
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A place among those who wait. Dropped, it is given up.
pub(crate) struct Place {
    turns: Arc<Turns>,
    waiter: Waiter,
    urgency: Urgency,
    bytes: usize,
    since: Instant,
    turn: oneshot::Receiver<Turn>,
}

impl Place {
    /// There is news by now.
    pub(super) fn hurry(&mut self, urgency: Urgency) {
        if urgency > self.urgency {
            self.urgency = urgency;
            let mut state = lock(&self.turns.state);
            // Whose turn has come already waits no more.
            if state.waiting.contains_key(&self.waiter) {
                state.budget.wish(self.waiter, urgency, self.bytes as u64);
            }
            drop(state);
            self.turns.changed.notify_one();
        }
    }

    /// Waits for the turn. It is lost on nobody who stops waiting in between.
    pub(crate) async fn turn(&mut self) -> Turn {
        match (&mut self.turn).await {
            Ok(turn) => {
                self.turns.metrics.status_waited(self.urgency, self.since.elapsed());
                turn
            }
            // Turns are handed out as long as the process lives.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = lock(&self.turns.state);
        if state.waiting.remove(&self.waiter).is_some() {
            state.budget.withdraw(self.waiter);
            drop(state);
            self.turns.changed.notify_one();
        }
    }
}

/// A turn. Dropped, what was not written goes back.
pub(crate) struct Turn {
    turns: Arc<Turns>,
    taken: u64,
    written: u64,
}

impl Turn {
    /// A resource of so many bytes was sent.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.turns.state).budget.settle(self.taken, self.written);
        self.turns.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns() -> Arc<Turns> {
        Turns::start(1_000, Arc::new(Metrics::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_nobody_takes_is_the_next_ones() {
        let turns = turns();
        let begin = Instant::now();
        let first = turns.ask(Urgency::Progress, 1_000);
        let mut second = turns.ask(Urgency::Progress, 1_000);
        // The first has its turn by then, and never looks.
        tokio::task::yield_now().await;
        drop(first);
        second.turn().await.wrote(1_000);
        assert_eq!(begin.elapsed(), Duration::ZERO);
        turns.ask(Urgency::Progress, 500).turn().await;
        assert_eq!(begin.elapsed(), Duration::from_millis(500));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_news_by_now_goes_before_who_came_first() {
        let turns = turns();
        turns.ask(Urgency::Progress, 1_000).turn().await.wrote(1_000);
        let (mut first, mut second) = (turns.ask(Urgency::Progress, 900), turns.ask(Urgency::Progress, 900));
        second.hurry(Urgency::News);
        tokio::select! {
            biased;
            _ = first.turn() => panic!("the first, out of turn"),
            _ = second.turn() => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_wrote_nothing_costs_nothing() {
        let turns = turns();
        let begin = Instant::now();
        for _ in 0..10 {
            turns.ask(Urgency::Progress, 1_000).turn().await;
        }
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}
