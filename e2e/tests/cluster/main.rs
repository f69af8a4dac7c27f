//! The whole in a cluster: the operator installed by its chart, workers in pods, Kafka as pods reach it.
//!
//! `audit.rs` comes last: it judges what the operator asked of the API server during all the others.
#![allow(clippy::unwrap_used, clippy::panic)]

mod audit;
mod catalogue;
mod command;
mod secured;
mod shared;

/// One test, so that the order is ours: the audit of the whole stands at its end.
#[tokio::test(flavor = "multi_thread")]
async fn the_system_in_a_cluster() {
    let client = orch_e2e::api::client("KUBECONFIG").await;
    catalogue::objets_json_ends_succeeded_and_deletion_leaves_nothing(&client).await;
    catalogue::one_manifest_ends_the_same_three_ways(&client).await;
    secured::a_restricted_namespace_admits_every_pod(&client).await;
    secured::kafka_with_tls_and_scram_works_for_operator_and_workers(&client).await;
    shared::a_pipeline_serves_runs_from_config_maps_and_bad_records_stop_nothing(&client).await;
    audit::rbac_is_what_the_operator_uses();
}
