//! What `orch` says when something is missing, wrong or not allowed: the place, the remedy, and the exit status.

use std::time::Duration;

use kube::config::{AuthInfo, Kubeconfig};
use orch_e2e::command::{Said, command, run};
use orch_e2e::process::program;
use orch_e2e::setup::Setup;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::command::{file, kubeconfig, orch};

const SMALL: &str = "examples/objects/small.yaml";
/// One of each that asks the server for something.
const COMMANDS: [&[&str]; 5] = [
    &["submit", SMALL],
    &["status", "sales"],
    &["watch", "sales"],
    &["rerun", "sales"],
    &["cancel", "sales"],
];

/// `orch` with this kubeconfig.
async fn orch_with(kubeconfig: &str, arguments: &[&str]) -> Said {
    run(program("orch"), kubeconfig.as_ref(), arguments).await
}

/// The kubeconfig of the tests with a change, in a file.
fn changed(setup: &Setup, name: &str, change: impl FnOnce(&mut Kubeconfig)) -> String {
    let mut config = Kubeconfig::read_from(kubeconfig()).unwrap();
    change(&mut config);
    file(setup, name, &serde_yaml::to_string(&config).unwrap())
}

fn at(server: String) -> impl FnOnce(&mut Kubeconfig) {
    move |config| config.clusters[0].cluster.as_mut().unwrap().server = Some(server)
}

fn user(change: impl FnOnce(&mut AuthInfo)) -> impl FnOnce(&mut Kubeconfig) {
    move |config| change(config.auth_infos[0].auth_info.as_mut().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_kubeconfig_is_named_with_what_to_do() {
    let setup = Setup::new("kubeconfig").await;
    let remedy = "or name one of `kubectl config get-contexts` with --context";
    let missing = orch_with("/nowhere/config", &["status", "sales"]).await.ended_with(2);
    missing.complains(&["no cluster can be used", "/nowhere/config", remedy]);
    let junk = file(&setup, "junk", "clusters: 7\n");
    orch_with(&junk, &["submit", SMALL]).await.ended_with(2).complains(&[
        "no cluster can be used",
        &junk,
        remedy,
    ]);
    let context = orch_with(kubeconfig().to_str().unwrap(), &["watch", "sales", "--context", "mars"])
        .await
        .ended_with(2);
    context.complains(&["no cluster can be used", "mars", remedy]);
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_named_with_its_address() {
    let setup = Setup::new("noserver").await;
    let nobody = changed(&setup, "nobody", at("https://127.0.0.1:9".to_owned()));
    for arguments in COMMANDS {
        let said = orch_with(&nobody, arguments).await.ended_with(1);
        said.complains(&[
            "https://127.0.0.1:9",
            "onnection refused",
            "hint: is the cluster there? Its address is https://127.0.0.1:9;",
        ]);
    }
    let stranger = changed(&setup, "untrusted", |config| {
        let cluster = config.clusters[0].cluster.as_mut().unwrap();
        (cluster.certificate_authority_data, cluster.certificate_authority) = (None, None);
    });
    let said = orch_with(&stranger, &["status", "sales"]).await.ended_with(1);
    said.complains(&["certificate", "hint: "]);
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_rights_or_credentials_is_told_which_one() {
    let setup = Setup::new("norights").await;
    let nobody = changed(&setup, "nobody", user(|user| user.impersonate = Some("nobody".to_owned())));
    let arguments = [
        (&["submit", SMALL][..], r#"cannot create resource "pipelineruns""#),
        (&["status", "sales"], r#"cannot get resource "pipelineruns""#),
        (&["cancel", "sales"], r#"cannot get resource "pipelineruns""#),
        (&["rerun", "sales"], r#"cannot get resource "pipelineruns""#),
    ];
    for (arguments, words) in arguments {
        let said = orch_with(&nobody, arguments).await.ended_with(1);
        said.complains(&["cannot ", r#"User "nobody""#, words, "hint: ask for a Role with the verb"]);
    }
    let unknown = changed(
        &setup,
        "unknown",
        user(|user| *user = serde_json::from_str(r#"{"token": "wrong"}"#).unwrap()),
    );
    let said = orch_with(&unknown, &["status", "sales"]).await.ended_with(1);
    said.complains(&["Unauthorized", "hint: log in again"]);
    setup.kubelet.stop();
}

/// A server without the custom resources answers a path that it does not know, and so does this one below a path that
/// no server has: the other tests need the resources.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_the_custom_resources_is_told_how_to_get_them() {
    let setup = Setup::new("nocrds").await;
    let below =
        Kubeconfig::read_from(kubeconfig()).unwrap().clusters[0].cluster.as_ref().unwrap().server.clone();
    let bare = changed(&setup, "bare", at(format!("{}/none", below.unwrap())));
    for arguments in COMMANDS {
        let said = orch_with(&bare, arguments).await.ended_with(1);
        said.complains(&["hint: install the custom resources: helm install kafka-orchestrator-crds"]);
    }
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_or_not_there_is_said_and_nothing_is_left_behind() {
    let setup = Setup::new("names").await;
    let objects: Vec<_> =
        (0..6_000).map(|n| serde_json::json!({"id": n.to_string(), "stage": "work"})).collect();
    let large = file(&setup, "large.json", &serde_json::to_string(&objects).unwrap());
    orch(&setup, &["submit", SMALL, "--name", "taken"]).await.ended_with(0);
    let said = orch(&setup, &["submit", &large, "--name", "taken"]).await.ended_with(1);
    said.complains(&[
        "cannot create the PipelineRun `taken` in namespace `names`",
        "already exists",
        "hint: choose another name with --name",
    ]);
    let maps = run("kubectl", &kubeconfig(), &["get", "configmaps", "-n", "names", "-o", "name"])
        .await
        .ended_with(0);
    assert!(!maps.out.contains("taken"), "its ConfigMaps are taken back: {maps}");
    for command in ["status", "watch", "rerun", "cancel"] {
        let said = orch(&setup, &[command, "nothing"]).await.ended_with(1);
        said.complains(&[
            "cannot read the PipelineRun `nothing` of namespace `names`",
            r#""nothing" not found"#,
            "hint: `kubectl get pipelineruns -A` lists the runs of all namespaces",
        ]);
    }
    orch(&setup, &["rerun", "taken", "--name", "taken"])
        .await
        .ended_with(1)
        .complains(&["already exists", "hint: choose another name"]);
    orch(&setup, &["rerun", "taken", "--name", "Not_A_Name"]).await.ended_with(2).complains(&["Not_A_Name"]);
    orch(&setup, &["submit", SMALL, "--name", "Not_A_Name"]).await.ended_with(2).complains(&["Not_A_Name"]);
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_that_is_away_is_named_by_run_watch_and_status() {
    let setup = Setup::new("kafkaaway").await;
    let alone = orch_with("/nowhere", &["run", SMALL, "--kafka", "127.0.0.1:9"]).await.ended_with(1);
    alone.complains(&[
        "Kafka at 127.0.0.1:9 is not reachable",
        "onnection refused",
        "hint: check the address",
    ]);

    let _operator = setup.operator_with("operator", &[("ORCH_BOOTSTRAP_SERVERS", "127.0.0.1:9")]);
    orch(&setup, &["submit", SMALL, "--name", "away"]).await.ended_with(0);
    setup.until_reason("away", "TopicsReady", "KafkaUnreachable").await;
    let said = orch(&setup, &["status", "away"]).await.ended_with(0);
    assert!(
        said.out.contains("TopicsReady=False: KafkaUnreachable: Kafka at 127.0.0.1:9 is not reachable"),
        "{said}"
    );
    // It waits for as long as Kafka is away, and says so at once.
    let arguments = ["watch", "away", "--namespace", "kafkaaway"];
    let mut watch = command(program("orch"), &kubeconfig(), &arguments)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stderr.take().unwrap()).lines();
    let waits = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("TopicsReady: KafkaUnreachable: Kafka at 127.0.0.1:9") {
                return;
            }
        }
        panic!("it ended");
    };
    tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap();
    watch.kill().await.unwrap();
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_run_ends_its_watch() {
    let setup = Setup::new("gone").await;
    orch(&setup, &["submit", SMALL, "--name", "gone"]).await.ended_with(0);
    let arguments = ["watch", "gone", "--namespace", "gone", "-v"];
    let mut watch = command(program("orch"), &kubeconfig(), &arguments);
    let place = kubeconfig();
    let delete = run("kubectl", &place, &["delete", "pipelinerun", "gone", "-n", "gone"]);
    let (watch, _) = tokio::join!(watch.output(), delete);
    let watch = watch.unwrap();
    let said = String::from_utf8_lossy(&watch.stderr);
    // It may have been gone before the first look.
    assert!(said.contains("`gone` was deleted") || said.contains("not found"), "{said}");
    assert_eq!(watch.status.code(), Some(1));
    setup.kubelet.stop();
}
