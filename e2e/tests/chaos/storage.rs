//! Topics that somebody deletes, and an etcd that is full.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use orch_e2e::api::until;
use orch_e2e::chance::Chance;
use orch_e2e::history::topics;
use orch_e2e::setup::LIMIT;
use orch_e2e::topics::{create_ready, delete};
use serde_json::json;

use crate::recovery::{Mark, between, lasts};
use crate::scene::{NAMESPACE, Scene};

/// Of one ConfigMap; the API server takes a megabyte.
const JUNK_BYTES: usize = 900_000;
const JUNK: &str = "example.org/junk=yes";

impl Scene {
    /// A ready topic: of the Pipeline, whose operator makes it anew, or of the run with topics of its own, for which
    /// people have to.
    pub(crate) async fn topic_deleted(&mut self, chance: &mut Chance) -> Mark {
        let (run, stage) = (*chance.one_of(&["own", "sharing"]), *chance.one_of(&["work", "quick"]));
        let topic = self.topic(run, stage).unwrap();
        let bootstrap = self.broker.bootstrap();
        self.deleted.push(topic.clone());
        delete(&bootstrap, &topic).await;
        let is_there = || topics(&bootstrap, &topic).contains(&topic);
        until("the topic is gone", LIMIT, async || if is_there() { Err(topic.clone()) } else { Ok(()) })
            .await;
        self.recorder.forget(&topic);
        if run == "own" {
            lasts(between(chance, 500, 4_000)).await;
            create_ready(&bootstrap, &topic, 4).await;
        } else {
            until(
                "the topic is there again",
                LIMIT,
                async || if is_there() { Ok(()) } else { Err(topic.clone()) },
            )
            .await;
        }
        self.mark()
    }

    pub(crate) async fn etcd_full(&mut self, chance: &mut Chance) -> Mark {
        let maps: Api<ConfigMap> = Api::namespaced(self.setup.client.clone(), NAMESPACE);
        let junk = "x".repeat(JUNK_BYTES);
        let full = async || {
            let name = format!("junk-{}", chance.number());
            let map = json!({"metadata": {"name": name, "labels": {"example.org/junk": "yes"}}, "data": {"junk": junk}});
            match maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await {
                Err(error) if error.to_string().contains("database space exceeded") => Ok(()),
                other => Err(format!("{:?}", other.map(|_| name))),
            }
        };
        fill(full).await;
        lasts(between(chance, 3_000, 8_000)).await;
        let all = ListParams::default().labels(JUNK);
        let emptied = async || {
            maps.delete_collection(&DeleteParams::background(), &all)
                .await
                .map_err(|error| error.to_string())?;
            match maps.list_metadata(&all).await {
                Ok(left) if left.items.is_empty() => Ok(()),
                other => Err(format!("{:?}", other.map(|left| left.items.len()))),
            }
        };
        until("the junk is deleted", LIMIT, emptied).await;
        tokio::task::block_in_place(|| self.control_plane.make_room());
        self.mark()
    }
}

/// Tries without a pause until it is done.
async fn fill(mut attempt: impl AsyncFnMut() -> Result<(), String>) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while let Err(seen) = attempt().await {
        assert!(tokio::time::Instant::now() < deadline, "etcd is not full after {LIMIT:?}: {seen}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
