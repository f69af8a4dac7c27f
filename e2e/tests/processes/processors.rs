//! What reaches a processor, and what of its answer reaches people.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams};
use orch_crds::status::{ObjectPhase, RunPhase};
use orch_e2e::setup::Setup;
use serde_json::{Value, json};

/// A service such as a team may have beside its workers: it counts rows, and knows nothing of `bad`.
struct Service {
    url: String,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/work", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Vec<Value>>>::default();
        let all = seen.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let seen = seen.clone();
                std::thread::spawn(move || answer(stream.unwrap(), &seen));
            }
        });
        Self { url, seen: all }
    }

    /// The record of an object.
    fn record(&self, id: &str) -> Value {
        let seen = self.seen.lock().unwrap();
        seen.iter().find(|record| record["id_objet"] == id).cloned().unwrap()
    }
}

fn answer(mut stream: TcpStream, seen: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        // A connection that is kept for the next request, and closed.
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some((_, value)) =
            line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let record: Value = serde_json::from_slice(&body).unwrap();
    let (status, text) = if record["id_objet"] == "bad" {
        ("422 Unprocessable Content", "column `price` is missing".to_owned())
    } else {
        ("200 OK", json!({"rows": 7}).to_string())
    };
    seen.lock().unwrap().push(record);
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    stream.write_all((head + &text).as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn http_gets_the_record_with_its_parents_outputs_and_its_refusal_is_a_failure() {
    let setup = Setup::new("http").await;
    let service = Service::start();
    let _operator = setup.operator("operator");
    setup
        .create(&format!(
            "{{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {{name: called}}, spec: {{stages: \
             [{{name: work, processor: {{http: {{url: '{}'}}}}}}], objects: [{{id: a, params: {{x: 1}}}}, {{id: b, dependsOn: [a]}}, \
             {{id: bad, dependsOn: [a]}}, {{id: after, dependsOn: [bad]}}]}}}}",
            service.url
        ))
        .await;
    let status = setup.end_of("called").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded, status.counts.blocked), (RunPhase::Failed, 2, 1));
    assert_eq!(service.record("a")["params"], json!({"x": 1}));
    assert_eq!(service.record("b")["inputs"], json!([{"id": "a", "outputs": {"rows": 7}}]));
    let failure = &status.failures[0];
    assert_eq!(
        (failure.id.as_str(), failure.attempts, failure.blocks),
        ("bad", 1, 1),
        "a 422 is not tried again"
    );
    assert!(failure.message.contains("column `price` is missing"), "{}", failure.message);
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_words_of_a_command_stand_in_the_status_and_its_secret_in_the_deployment_alone() {
    let setup = Setup::new("exec").await;
    let _operator = setup.operator("operator");
    setup
        .create(
            "
apiVersion: kafka-orchestrator.dev/v1alpha1
kind: PipelineRun
metadata: {name: told}
spec:
  stages:
  - name: work
    retry: {maxAttempts: 2, initialDelay: 10ms}
    worker: {env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: team, key: token}}}, {name: PLACE, value: here}]}
    processor: {exec: {command: [sh, -c, 'cat > /dev/null; echo from $PLACE; echo the disk is full >&2; exit 3']}}
  objects: [{id: a}, {id: b, dependsOn: [a]}]
",
        )
        .await;
    let status = setup.end_of("told").await.status.unwrap();
    let failure = &status.failures[0];
    assert_eq!((failure.id.as_str(), failure.attempts, failure.blocks), ("a", 2, 1));
    assert!(failure.message.contains("the disk is full"), "{}", failure.message);
    let tail = failure.log_tail.as_deref().unwrap();
    assert!(tail.contains("from here") && tail.contains("the disk is full"), "{tail}");
    assert!(failure.worker.as_deref().is_some_and(|worker| worker.starts_with("told-")), "{failure:?}");
    assert_eq!(status.objects[1].phase, ObjectPhase::Blocked);
    let api: Api<Deployment> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let deployment = api.list(&ListParams::default()).await.unwrap().items.remove(0);
    let container = &deployment.spec.template.spec.as_ref().unwrap().containers[0];
    let token = container.env.iter().flatten().find(|var| var.name == "TOKEN").unwrap();
    let reference = token.value_from.as_ref().unwrap().secret_key_ref.as_ref().unwrap();
    assert_eq!((reference.name.as_str(), reference.key.as_str(), &token.value), ("team", "token", &None));
    setup.kubelet.stop();
}
