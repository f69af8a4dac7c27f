//! The broker of a local run goes for good.

use std::time::{Duration, Instant};

use orch_e2e::broker::Broker;
use orch_e2e::local::{LocalRun, until_gone};

/// Supervisors wait so long before they kill; ten seconds are for a broker that comes back.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_local_run_whose_broker_is_gone_for_good_ends_when_it_is_told_to() {
    let broker = Broker::spare("gone");
    let run = LocalRun::start("gone", &broker.bootstrap(), 2);
    let program = run.at_work().await;
    broker.kill();
    run.signal("TERM");
    let told = Instant::now();
    let said = run.ended().await.ended_with(1);
    assert!(told.elapsed() < PATIENCE, "{:?}: {said}", told.elapsed());
    said.complains(&[
        "interrupted; the run could not be cancelled: ",
        "the topics orchestrator.local.gone-",
        "are left behind: ",
        "delete them with Kafka's own tool",
    ]);
    until_gone(program).await;
}
