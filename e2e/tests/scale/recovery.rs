//! An operator that is killed in the middle of a large run, and the next one.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use orch_e2e::api::until;
use orch_e2e::setup::Setup;
use serde_json::json;

use crate::ledger::Ledger;
use crate::sizes::Sizes;
use crate::tape::Tape;
use crate::{graph, listed, operator, operator_called, peak_mib, pipeline, run_of, store};

/// An object takes so long, and so many parts of the run are under way at a time: however large it is, it takes seconds,
/// and there is work left when its operator dies.
const OBJECT_TAKES: Duration = Duration::from_millis(20);
const PARTS: usize = 200;
/// Of the new Lease.
const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn the_next_operator_goes_on_soon_after_it_has_the_lease() {
    let sizes = Sizes::read();
    let setup = Setup::new("scale-recovery").await;
    let mut killed = operator(&setup, &sizes);
    pipeline(&setup, OBJECT_TAKES).await;
    let sources = store(&setup, "large", &graph(sizes.recovery_objects)).await;
    let mut ledger = Ledger::open(&setup).await;
    let most = (sizes.recovery_objects / PARTS).max(1);
    setup.create(&run_of("large", &json!({"objectsFrom": sources, "maxInFlight": most})).to_string()).await;
    let half = sizes.recovery_objects as u32 / 2;
    let before = setup.until("large", "half of it is loaded", |status| status.counts.loaded >= half).await;
    killed.kill();
    let died = Instant::now();
    let tape = Tape::begin_at_the_end(&setup, &format!("{0}.{0}.shared.work", setup.namespace)).await;
    let next = operator_called("next", &setup, &sizes);
    let leads_since = leads_since(&setup, "next").await;
    let ended = ledger.until_over(1, sizes.limit).await;
    let first = tape.end();
    let recovered = first["large"] - leads_since;
    println!(
        "{} objects, {} of them loaded when the operator was killed: {}",
        sizes.recovery_objects,
        before.counts.loaded,
        listed(&[
            ("from the Lease to the first ready record in ms", recovered as f64),
            ("from the kill to the end in s", died.elapsed().as_secs_f64()),
            ("operator MiB", peak_mib(next.id())),
        ])
    );
    assert_eq!(ended["large"].counts.loaded as usize, sizes.recovery_objects);
    assert!(recovered <= sizes.recovered.as_millis() as i64, "it took {recovered} ms");
}

/// Since when this operator has the Lease, in milliseconds since 1970.
async fn leads_since(setup: &Setup, identity: &str) -> i64 {
    let leases: Api<Lease> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let held = async || {
        let lease = leases.get("kafka-orchestrator").await.map_err(|error| error.to_string())?;
        let spec = lease.spec.filter(|spec| spec.holder_identity.as_deref() == Some(identity));
        let since = spec.as_ref().and_then(|spec| Some(spec.acquire_time.as_ref()?.0.as_millisecond()));
        since.ok_or_else(|| format!("{spec:?}"))
    };
    until("the next operator has the Lease", LIMIT, held).await
}
