//! Topics that go while a run is at work, and another operator that takes them: the run says so, and takes it back.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use orch_crds::PipelineRun;
use orch_crds::status::{PipelineRunStatus, RunPhase};
use orch_e2e::api::condition;
use orch_e2e::history::{topics, write};
use orch_e2e::process::Process;
use orch_e2e::setup::{LIMIT, Setup};
use orch_e2e::topics::{create_ready, delete};

/// Two objects: the second finds out what has become of the topics. Its stage is nobody's but the test's.
const MANIFEST: &str = "
apiVersion: kafka-orchestrator.dev/v1alpha1
kind: PipelineRun
metadata: {name: long}
spec:
  stages:
  - {name: first, processor: {simulate: {duration: 5s}}}
  - {name: second, partitions: 1, processor: {external: {}}}
  objects: [{id: a, stage: first}, {id: b, stage: second, dependsOn: [a]}]
";

fn is(status: &PipelineRunStatus, type_: &str, value: &str, reason: &str) -> bool {
    condition(status, type_).is_some_and(|(is, why, _)| (is, why) == (value, reason))
}

/// When each of the two conditions changed last.
fn since(status: &PipelineRunStatus) -> Vec<String> {
    let told = status.conditions.iter().filter(|c| ["TopicsReady", "Stalled"].contains(&c.type_.as_str()));
    told.map(|condition| format!("{} {:?}", condition.type_, condition.last_transition_time)).collect()
}

/// Waits until the operator has looked at the run so many times more, and the topics were not ready.
async fn looks(operator: &Process, count: usize) {
    let seen = || operator.log().matches("the topics are not ready").count();
    let before = seen();
    let again = async || match seen() {
        now if now >= before + count => Ok(()),
        now => Err(format!("{} looks", now - before)),
    };
    orch_e2e::api::until("the operator looks again", LIMIT, again).await;
}

fn topic(setup: &Setup, end: &str) -> String {
    let all = topics(&setup.bootstrap, &format!("{0}.{0}.long-", setup.namespace));
    all.into_iter().find(|name| name.ends_with(end)).unwrap()
}

/// Does the work of the second stage, and waits for the end.
async fn answer(setup: &Setup, run: &PipelineRun) {
    setup.until("long", "published", |status| status.counts.queued == 1).await;
    let loaded = serde_json::json!({
        "event_type": "ObjectLoaded", "id_objet": "b", "run_uid": run.metadata.uid, "attempt": 1, "meta": {"worker": "test"},
    });
    write(&setup.bootstrap, &topic(setup, ".events"), loaded.to_string().as_bytes());
    assert_eq!(setup.end_of("long").await.status.unwrap().phase, RunPhase::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_goes_is_said_once_and_taken_back_when_it_is_there_again() {
    let setup = Setup::new("lost").await;
    let operator = setup.operator_with("operator", &[("ORCH_LOG", "info,orch_operator=debug")]);
    let run = setup.create(MANIFEST).await;
    setup.until("long", "at work", |status| status.counts.running == 1).await;
    let ready = topic(&setup, ".second");
    delete(&setup.bootstrap, &ready).await;
    let gone = |status: &PipelineRunStatus| {
        is(status, "TopicsReady", "False", "TopicNotFound") && is(status, "Stalled", "True", "TopicsNotReady")
    };
    let first = setup.until("long", "without its topic", gone).await;
    assert!(condition(&first, "TopicsReady").unwrap().2.contains(&ready), "{:?}", first.conditions);
    looks(&operator, 3).await;
    let later = setup.until("long", "without its topic", gone).await;
    assert_eq!(since(&first), since(&later), "nothing has changed meanwhile");
    create_ready(&setup.bootstrap, &ready, 1).await;
    let well = |status: &PipelineRunStatus| {
        is(status, "TopicsReady", "True", "TopicsReady")
            && is(status, "Stalled", "False", "Moving")
            && status.counts.queued == 1
    };
    setup.until("long", "well again", well).await;
    answer(&setup, &run).await;
    setup.kubelet.stop();
}

/// Has the other operator scale the workers, and gives the time at which that is changed.
fn scaled_by_the_other(setup: &Setup) -> tokio::task::JoinHandle<std::time::Instant> {
    let api: Api<Deployment> = Api::namespaced(setup.client.clone(), &setup.namespace);
    tokio::spawn(async move {
        let name = api.list(&ListParams::default()).await.unwrap().items[0].name_any();
        let three = Patch::Merge(serde_json::json!({"spec": {"replicas": 3}}));
        api.patch(&name, &PatchParams::default(), &three).await.unwrap();
        let has_other = |found: Option<&Deployment>| found.is_some_and(|it| it.spec.replicas != Some(3));
        kube::runtime::wait::await_condition(api, &name, has_other).await.unwrap();
        std::time::Instant::now()
    })
}

/// The operator that had lost scaled the workers down as fast as the other scaled them up.
#[tokio::test(flavor = "multi_thread")]
async fn a_higher_term_of_another_operator_is_said_and_the_topics_are_left_to_it_for_a_while() {
    let setup = Setup::new("another").await;
    let operator = setup.operator("operator");
    let run = setup.create(MANIFEST).await;
    setup.until("long", "at work", |status| status.counts.running == 1).await;
    let events = topic(&setup, ".events");
    let other = "{\"event_type\": \"LeaderStarted\", \"id_objet\": null, \"meta\": null, \"epoch\": 40, \
                 \"event_datetime\": \"2026-11-21T08:00:00.123Z\", \"leader\": \"somebody else\"}";
    let begin = std::time::Instant::now();
    write(&setup.bootstrap, &events, other.as_bytes());
    let taken = |status: &PipelineRunStatus| is(status, "Stalled", "True", "AnotherOperator");
    let status = setup.until("long", "another's", taken).await;
    assert!(condition(&status, "Stalled").unwrap().2.contains("40"), "{:?}", status.conditions);
    let changed = scaled_by_the_other(&setup);
    setup.until("long", "nobody else's", |status| is(status, "Stalled", "False", "Moving")).await;
    let first_change = changed.await.unwrap() - begin;
    assert!(first_change >= Duration::from_secs(30), "it was scaled by us after {first_change:?}");
    assert!(begin.elapsed() >= Duration::from_secs(30), "{:?}\n{}", begin.elapsed(), operator.log());
    answer(&setup, &run).await;
    assert_eq!(setup.end_of("long").await.status.unwrap().epoch, Some(41));
    setup.kubelet.stop();
}
