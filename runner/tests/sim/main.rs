//! The simulator: the real actor with a simulated broker, API server, workers and clock. A seed says what the runs are
//! and what breaks: crashes, two leaders, lost leases, clocks that jump, records that are delayed, given up or written
//! twice, stale reads, conflicts, workers that die, fall silent or lie. After each record `laws` looks whether anything
//! happened that must not, and `ledger` says what the log means, without a line of the engine.
//!
//! A seed that fails is played again with `make simulate SEED=n`, and does exactly the same.

// Nothing outside sees what is public here.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::similar_names)]

mod api;
mod bus;
mod dice;
mod faults;
mod laws;
mod ledger;
mod operators;
mod scenario;
mod workers;
mod world;

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use scenario::Scenario;
use tokio::runtime::Builder;
use world::{Shared, World, lock};

/// Seeds that `cargo test` plays; `SEEDS` says another number.
const SEEDS: u64 = 1_000;
/// So many lines of what was written last are shown of a seed that fails; `LINES` says another number.
const SHOWN: u64 = 40;

/// What came of a seed.
struct Played {
    violation: Option<String>,
    history: Vec<String>,
    trace: Vec<String>,
}

/// Plays a seed from its begin to its end.
fn play(seed: u64) -> Played {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new(Arc::new(Scenario::new(seed)));
        drive(&world).await
    })
}

/// Lets happen what is on the agenda; whatever follows from it has happened when the next thing is due, because the clock
/// stands still until nobody has anything left to do.
async fn drive(world: &Shared) -> Played {
    let wake = lock(world).wake.clone();
    loop {
        let next = {
            let mut world = lock(world);
            if world.violation.is_some() || world.is_finished {
                let (violation, history) = (world.violation.take(), std::mem::take(&mut world.history));
                return Played { violation, history, trace: std::mem::take(&mut world.trace) };
            }
            world.gives_up();
            world.next_at()
        };
        tokio::select! {
            biased;
            () = wake.notified() => {}
            () = tokio::time::sleep_until(next) => {}
        }
        lock(world).happen();
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} should be a number: {text}")))
}

/// Everything that a person needs to see why a seed fails.
fn report(seed: u64, played: &Played) -> String {
    let shown = number("LINES").unwrap_or(SHOWN) as usize;
    let last = &played.trace[played.trace.len().saturating_sub(shown)..];
    format!(
        "seed {seed}: {}\n\nwhat was done to it:\n{}\n\nwhat happened last:\n{}\n\nplay it again: make simulate SEED={seed}",
        played.violation.as_deref().unwrap_or_default(),
        played.history.join("\n"),
        last.join("\n")
    )
}

/// Plays seeds on all cores until one fails. The answer is the lowest that did.
fn first_failure(seeds: std::ops::Range<u64>) -> Option<u64> {
    let next = AtomicU64::new(seeds.start);
    let failed = AtomicU64::new(u64::MAX);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end.min(failed.load(Ordering::Relaxed)) {
                return;
            }
            let played = catch_unwind(|| play(seed));
            if played.is_err() || played.is_ok_and(|played| played.violation.is_some()) {
                failed.fetch_min(seed, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    Some(failed.load(Ordering::Relaxed)).filter(|seed| *seed < u64::MAX)
}

#[test]
fn whatever_breaks_every_run_ends_as_its_log_says() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    if let Some(seed) = first_failure(seeds) {
        let played = catch_unwind(|| play(seed));
        panic!("{}", played.map_or_else(|_| format!("seed {seed}: a panic"), |played| report(seed, &played)));
    }
}

#[test]
fn a_seed_always_does_the_same() {
    for seed in [1, 7, 23] {
        let [first, second] = [play(seed), play(seed)];
        for (n, (one, other)) in first.trace.iter().zip(&second.trace).enumerate() {
            assert_eq!(one, other, "seed {seed}, line {n}");
        }
        assert_eq!(first.trace.len(), second.trace.len());
    }
}
