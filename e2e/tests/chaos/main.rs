//! Real operators, workers, a broker and an API server, and a seed that says what becomes of them while runs go on:
//! docs/chaos.md. `scripts/chaos.sh` starts the servers and sets the variables.
#![allow(clippy::unwrap_used, clippy::panic)]

mod answers;
mod judge;
mod links;
mod pace;
mod people;
mod plan;
mod processes;
mod records;
mod recovery;
mod scene;
mod storage;
mod table;

use std::time::{Duration, Instant};

use orch_e2e::chance::Chance;
use orch_e2e::variables;

use plan::Fault;
use scene::Scene;
use table::Row;

/// How much is done, and to whom.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    seed: u64,
    objects: usize,
    faults: usize,
    /// Only these kinds of faults, by their names; all when it is empty.
    kinds: Vec<String>,
    /// A fault is recovered within this.
    limit: Duration,
}

impl Settings {
    fn from_variables() -> Self {
        let number = |name: &str, or: u64| variables::number(name).unwrap_or(or);
        let kinds = std::env::var("KINDS").unwrap_or_default();
        Self {
            seed: Chance::seed("SEED"),
            objects: number("OBJECTS", 100_000) as usize,
            faults: number("FAULTS", 100) as usize,
            kinds: kinds.split_whitespace().map(str::to_owned).collect(),
            limit: Duration::from_secs(number("RECOVERED_WITHIN", 30)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_no_object_is_lost_and_none_counts_twice() {
    let settings = Settings::from_variables();
    let plan = plan::plan(&settings);
    println!(
        "seed {}: {} objects, {} faults: {}",
        settings.seed,
        settings.objects,
        plan.len(),
        plan::text(&plan)
    );
    let mut scene = Scene::new(&settings).await;
    let begun = Instant::now();
    let mut rows = Vec::new();
    for (number, fault) in plan.iter().enumerate() {
        scene.pace(plan.len() - number, begun.elapsed() / (number as u32).max(1));
        let Fault { kind, mut chance } = fault.clone();
        let struck = Instant::now();
        let mark = scene.strike(kind, &mut chance).await;
        let took = scene.recovered(&mark, (number + 1, kind)).await;
        println!(
            "{:6.1} s: {:3} {:18} {:5.1} s, recovered in {:4.1} s; {} ended",
            begun.elapsed().as_secs_f64(),
            number + 1,
            kind.name(),
            mark.lasted(struck).as_secs_f64(),
            took.as_secs_f64(),
            scene.ended(),
        );
        rows.push(Row { kind, took });
    }
    scene.at_full_speed();
    let judged = scene.judge().await;
    println!("{judged}{}", table::text(&rows));
    println!("seed {}: over after {:.0} s", settings.seed, begun.elapsed().as_secs_f64());
    assert!(judged.is_well(), "the history is wrong; seed {}", settings.seed);
    let late: Vec<_> =
        rows.iter().filter(|row| row.took > settings.limit).map(|row| row.kind.name()).collect();
    assert!(late.is_empty(), "recovered too late: {late:?}; seed {}", settings.seed);
}
