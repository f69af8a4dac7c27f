//! The whole in a cluster: the operator installed by its chart, workers in pods, Kafka as pods reach it.
//!
//! `audit.rs` comes last: it judges what the operator asked of the API server during all the others.
#![allow(clippy::unwrap_used, clippy::panic)]

mod audit;
mod catalogue;
mod command;
mod large;
mod release;
mod scale;
mod secured;
mod shared;

use std::time::Instant;

use kube::Client;
use tokio::runtime::Handle;

/// One test, so that the order is ours: what measures is alone, what changes the release comes after the others.
#[tokio::test(flavor = "multi_thread")]
async fn the_system_in_a_cluster() {
    let client = orch_e2e::api::client("KUBECONFIG").await;
    catalogue::objets_json_ends_succeeded_and_deletion_leaves_nothing(&client).await;
    side_by_side(&client).await;
    command::until_gone(&["catalogue", "threeways", "large", "scale", "restricted", "secured", "shared"]);
    release::an_upgrade_in_mid_run_replaces_no_worker(&client).await;
    let granted = audit::Granted::read();
    release::an_uninstall_strands_nothing_and_the_next_operator_goes_on(&client).await;
    granted.is_what_was_used();
}

/// What is in nobody's way.
async fn side_by_side(client: &Client) {
    let start = Instant::now();
    macro_rules! begin {
        ($($test:path),*) => {[$({
            let (client, runtime) = (client.clone(), Handle::current());
            // A thread each: commands block theirs.
            tokio::task::spawn_blocking(move || runtime.block_on($test(&client)))
        }),*]};
    }
    let tests = begin![
        catalogue::one_manifest_ends_the_same_three_ways,
        large::a_hundred_thousand_objects_are_complete_in_a_small_status,
        scale::the_pod_that_works_stays_when_a_stage_scales_down,
        secured::a_restricted_namespace_admits_every_pod,
        secured::kafka_with_tls_and_scram_works_for_operator_and_workers,
        shared::a_pipeline_serves_runs_from_config_maps_and_bad_records_stop_nothing
    ];
    for test in tests {
        test.await.unwrap();
    }
    println!("side by side: {:.1?}", start.elapsed());
}
