//! One run whose objects no resource could hold.

use std::time::{Duration, Instant};

use orch_e2e::setup::Setup;
use serde_json::json;

use crate::ledger::Ledger;
use crate::sizes::Sizes;
use crate::{graph, listed, operator, peak_mib, pipeline, run_of, store};

/// Resident memory of the operator at 100,000 objects, in mebibytes: all of it.
const MAX_OPERATOR: f64 = 150.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_from_config_maps_is_complete_in_its_status_and_small_in_memory() {
    let sizes = Sizes::read();
    let setup = Setup::new("scale-one").await;
    let operator = operator(&setup, &sizes);
    pipeline(&setup, Duration::ZERO).await;
    let sources = store(&setup, "large", &graph(sizes.objects)).await;
    let mut ledger = Ledger::open(&setup).await;
    let began = Instant::now();
    setup.create(&run_of("large", &json!({"objectsFrom": sources})).to_string()).await;
    let ended = ledger.until_over(1, sizes.limit).await;
    let seconds = began.elapsed().as_secs_f64();
    let status = &ended["large"];
    assert_eq!(status.counts.loaded as usize, sizes.objects);
    assert!(status.objects.is_empty(), "none of them needs a person");
    assert_eq!(status.phase_map.as_ref().unwrap().decode().unwrap(), "L".repeat(sizes.objects));
    let sum = ledger.audit(sizes.bytes_per_second);
    let peak = peak_mib(operator.id());
    println!(
        "{} objects: {}",
        sizes.objects,
        listed(&[
            ("seconds", seconds),
            ("operator MiB", peak),
            ("writes", sum.writes as f64),
            ("KiB/s", sum.bytes as f64 / 1024.0 / sum.seconds),
            ("largest KiB", sum.largest as f64 / 1024.0),
        ])
    );
    assert!(peak <= MAX_OPERATOR, "the operator had {peak:.0} MiB");
}
