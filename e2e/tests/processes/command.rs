//! `orch` as people use it, on a real API server, operator and broker.

use std::fmt::Write as _;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::ListParams;
use orch_e2e::api::{condition, variable};
use orch_e2e::command::{Said, run};
use orch_e2e::history::topics;
use orch_e2e::process::program;
use orch_e2e::setup::Setup;
use serde_json::{Value, json};

/// As many objects as one run may have in a local run.
const MANY: usize = 200_000;

pub(crate) fn kubeconfig() -> PathBuf {
    variable("ORCH_TEST_KUBECONFIG", "run `make test`, which starts an API server").into()
}

/// `orch` in the namespace of the test.
pub(crate) async fn orch(setup: &Setup, arguments: &[&str]) -> Said {
    let all = [arguments, &["--namespace", &setup.namespace]].concat();
    run(program("orch"), &kubeconfig(), &all).await
}

/// `orch` without a cluster.
async fn orch_alone(arguments: &[&str]) -> Said {
    run(program("orch"), "/nowhere".as_ref(), arguments).await
}

async fn kubectl(setup: &Setup, arguments: &[&str]) -> Said {
    run("kubectl", &kubeconfig(), &[arguments, &["--namespace", &setup.namespace]].concat()).await
}

/// A file of the test's own.
pub(crate) fn file(setup: &Setup, name: &str, text: &str) -> String {
    let path = setup.folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_submitted_watched_asked_about_and_run_again() {
    let setup = Setup::new("command").await;
    let _operator = setup.operator("operator");
    let failing = "examples/objects/failing.yaml";
    let said = orch(&setup, &["submit", failing]).await.ended_with(0);
    assert_eq!(said.out, "pipelinerun.kafka-orchestrator.dev/objects-failing created\n");
    assert_eq!(said.err, "next: orch watch objects-failing -n command\n");
    let watched = orch(&setup, &["watch", "objects-failing"]).await.ended_with(1);
    for part in
        ["objects-failing: Failed in ", "2005 Projects_Std: SimulatedFailure: ", "by 2005: 3000, 3001, 3005"]
    {
        assert!(watched.out.contains(part), "{part}\n{watched}");
    }

    let why = orch(&setup, &["why", "objects-failing", "3005"]).await.ended_with(0);
    assert!(why.out.contains("It needs `2005`, which failed: SimulatedFailure"), "{why}");
    let graph = orch(&setup, &["graph", "objects-failing"]).await.ended_with(0);
    assert!(graph.out.contains("  Blocked    3005 GroupReport        application  <- 3000\n"), "{graph}");
    let status = orch(&setup, &["status", "objects-failing"]).await.ended_with(0);
    for part in ["objects-failing: Failed in ", "slowest objects", "critical path"] {
        assert!(status.out.contains(part), "{part}\n{status}");
    }
    let wide = orch(&setup, &["status", "objects-failing", "-o", "wide"]).await.ended_with(0);
    assert!(wide.out.contains("  3004  SupplierScorecard  application  Loaded         1 "), "{wide}");

    let print = async |format| {
        let arguments = ["objects-failing", "-o", format];
        let ours = orch(&setup, &[&["status"], &arguments[..]].concat()).await.ended_with(0).out;
        let theirs =
            kubectl(&setup, &[&["get", "pipelinerun"], &arguments[..]].concat()).await.ended_with(0).out;
        (ours, theirs)
    };
    let (ours, theirs) = print("json").await;
    assert_eq!(ours, theirs, "to the byte");
    let (ours, theirs) = print("yaml").await;
    let read = |text: &str| serde_yaml::from_str::<Value>(text).unwrap();
    assert_eq!(read(&ours), read(&theirs), "but for the quotes");
    // What kubectl prints is a file that every question is answered from.
    let resource =
        kubectl(&setup, &["get", "pipelinerun", "objects-failing", "-o", "yaml"]).await.ended_with(0);
    let resource = file(&setup, "resource.yaml", &resource.out);
    assert_eq!(orch_alone(&["why", &resource, "3005"]).await.ended_with(0).out, why.out);
    assert_eq!(orch_alone(&["graph", &resource]).await.ended_with(0).out, graph.out);
    assert_eq!(orch_alone(&["status", &resource]).await.ended_with(0).out, status.out);

    let again = orch(&setup, &["rerun", "objects-failing", "--wait"]).await.ended_with(1);
    assert!(again.out.starts_with("objects-failing-2: Failed in "), "{again}");
    again.complains(&["pipelinerun.kafka-orchestrator.dev/objects-failing-2 created"]);
    orch(&setup, &["submit", "examples/objects/small.yaml", "--name", "good", "--wait"]).await.ended_with(0);
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_runs_over_a_broker_without_a_cluster() {
    let bootstrap = variable("ORCH_TEST_KAFKA", "run `make test`, which starts a broker");
    let file = "examples/objects/failing.yaml";
    let run = |more: &'static [&'static str], kafka: Option<String>| async move {
        let kafka = kafka.as_ref().map(|address| ["--kafka", address.as_str()]);
        let kafka = kafka.as_ref().map_or(&[][..], |pair| &pair[..]);
        let arguments = [&["run", file, "--speed", "20"], more, kafka].concat();
        let said = orch_alone(&arguments).await.ended_with(1);
        let run: Value = serde_json::from_str(&said.out).unwrap();
        run
    };
    let json = &["-o", "json"][..];
    let (memory, kafka) = tokio::join!(run(json, None), run(json, Some(bootstrap.clone())));
    let outcome = |run: &Value| {
        let objects = run["status"]["objects"].as_array().unwrap().iter();
        let parts = ["id", "attempt", "phase", "rootCause"];
        objects.map(|object| parts.map(|part| object[part].clone())).collect::<Vec<_>>()
    };
    assert_eq!(outcome(&memory), outcome(&kafka));
    assert_eq!(memory["status"]["counts"], kafka["status"]["counts"]);
    let mine: String = kafka["status"]["stages"][0]["topic"].as_str().unwrap().into();
    assert_eq!(topics(&bootstrap, &mine), Vec::<String>::new(), "a local run leaves no topic");
}

/// Lines of `parent<TAB>child`: `MANY` objects.
fn many() -> String {
    (0..MANY / 2).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "a{n}\tb{n}");
        text
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_thousand_objects_are_validated_and_submitted_in_chunks() {
    let setup = Setup::new("many").await;
    let big = file(&setup, "big.tsv", &many());
    let valid = orch_alone(&["validate", &big]).await.ended_with(0);
    assert!(valid.out.contains("200000 objects, 100000 dependencies, depth 2, width 100000"), "{valid}");
    orch(&setup, &["submit", &big]).await.ended_with(0);

    let maps: Api<ConfigMap> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let maps = maps.list(&ListParams::default()).await.unwrap().items;
    let chunks: Vec<_> = maps.iter().filter(|map| map.binary_data.is_some()).collect();
    assert!(!chunks.is_empty());
    for map in &chunks {
        assert_eq!(map.immutable, Some(true));
        let owners = map.metadata.owner_references.as_ref().unwrap();
        assert_eq!((owners[0].kind.as_str(), owners[0].name.as_str()), ("PipelineRun", "big"));
    }
    // No operator: the graph is answered from the resources alone, and the status says who is missing.
    let graph = orch(&setup, &["graph", "big", "-o", "json"]).await.ended_with(0);
    let graph: Value = serde_json::from_str(&graph.out).unwrap();
    assert_eq!(graph["nodes"].as_array().unwrap().len(), MANY);
    orch(&setup, &["status", "big"])
        .await
        .ended_with(1)
        .complains(&["`big` has no status yet: the operator has not looked at it", "hint: is it there?"]);
    // The chunks belong to both runs then: the second does not lose them with the first.
    orch(&setup, &["rerun", "big"]).await.ended_with(0);
    let maps: Api<ConfigMap> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let owners =
        maps.get(chunks[0].metadata.name.as_ref().unwrap()).await.unwrap().metadata.owner_references.unwrap();
    let owners: Vec<_> = owners.iter().map(|owner| owner.name.as_str()).collect();
    assert_eq!(owners, ["big", "big-2"]);
    setup.kubelet.stop();
}

/// Full catalogue records as a manifest that has them all inline.
fn inline(name: &str, records: usize) -> String {
    let catalogue: Vec<Value> = serde_json::from_str(include_str!("../../../Objets.json")).unwrap();
    let object = |n: usize| {
        let needs: &[&str] = if n == 0 { &[] } else { &["1000"] };
        let record = &catalogue[n % catalogue.len()];
        json!({"id": (1000 + n).to_string(), "name": record["NomObjet"], "dependsOn": needs, "meta": record})
    };
    json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name},
        "spec": {
            "stages": [{"name": "ingest", "idRange": {"from": 1000, "to": 9999}, "processor": {"simulate": {"duration": "0s"}}, "worker": {"concurrency": 64}}],
            "objects": (0..records).map(object).collect::<Vec<_>>(),
        },
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_full_records_inline_are_refused_by_kubectl_and_submitted_by_orch() {
    let setup = Setup::new("inline").await;
    let _operator = setup.operator("operator");
    let manifest = file(&setup, "records.json", &inline("records", 300));
    let readme = include_str!("../../../README.md");
    let explained = |said: &Said, words: &str| {
        said.complains(&[words]);
        assert!(readme.contains(words), "README.md does not explain `{words}`");
    };
    let applied = kubectl(&setup, &["apply", "-f", &manifest]).await.ended_with(1);
    explained(&applied, "metadata.annotations: Too long: may not be more than 262144 bytes");
    for (records, words) in [
        (3_000, "trying to send message larger than max"),
        (4_500, "Request entity too large: limit is 3145728"),
    ] {
        let huge = file(&setup, "huge.json", &inline("huge", records));
        explained(&kubectl(&setup, &["create", "-f", &huge]).await.ended_with(1), words);
    }

    // Without the annotation the server takes it, and the operator says what to do.
    kubectl(&setup, &["create", "-f", &manifest]).await.ended_with(0);
    let status = setup.end_of("records").await.status.unwrap();
    let (_, reason, message) = condition(&status, "GraphValid").unwrap();
    assert!(reason == "TooLarge" && message.contains("orch submit"), "{reason}: {message}");
    let said = orch(&setup, &["submit", &manifest, "--name", "chunked", "--wait"]).await.ended_with(0);
    assert!(said.out.contains("ingest    300     300"), "{said}");
    let warned = orch_alone(&["validate", &manifest]).await.ended_with(0);
    warned.complains(&["in a cluster this is refused"]);
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_says_so_to_whoever_watches() {
    let setup = Setup::new("commandcancel").await;
    let _operator = setup.operator("operator");
    let long = file(
        &setup,
        "long.json",
        r#"[{"id": "a", "processor": {"simulate": {"duration": "5s"}}}, {"id": "b", "dependsOn": ["a"]}]"#,
    );
    orch(&setup, &["submit", &long]).await.ended_with(0);
    let running = |status: &orch_crds::status::PipelineRunStatus| status.counts.running == 1;
    setup.until("long", "running", running).await;
    let (watched, cancelled) =
        tokio::join!(orch(&setup, &["watch", "long"]), orch(&setup, &["cancel", "long"]));
    assert_eq!(cancelled.ended_with(0).out, "pipelinerun.kafka-orchestrator.dev/long cancelled\n");
    let watched = watched.ended_with(1);
    assert!(watched.out.starts_with("long: Cancelled in "), "{watched}");
    orch(&setup, &["cancel", "long"]).await.ended_with(0).complains(&["`long` has ended already: Cancelled"]);
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_scripts_are_read_by_their_shell() {
    let script = orch_alone(&["completion", "bash"]).await.ended_with(0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orch.bash");
    std::fs::write(&path, script.out).unwrap();
    let line = format!(
        "set -e; source {}; COMP_WORDS=(orch su); COMP_CWORD=1; _orch orch su orch; echo ${{COMPREPLY[*]}}",
        path.display()
    );
    let said = run("bash", "/nowhere".as_ref(), &["-c", &line]).await.ended_with(0);
    assert_eq!(said.out, "submit\n");
}
