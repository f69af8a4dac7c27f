//! The processor `exec` with real processes.

use std::path::Path;
use std::time::{Duration, Instant};

use orch_workers::{Exec, Outputs, Processor, Progress, WorkFailure};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::support::{Running, Stage, soon, text, work};

fn shell(script: &str) -> Exec {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    Exec { command, env: [("GREETING".to_owned(), "hello".to_owned())].into(), cwd: None }
}

async fn run(exec: Exec) -> Result<Outputs, WorkFailure> {
    let (work, progress) = (work("2005", &json!({"params": {"year": 2026}})), Progress::default());
    soon("the command", exec.checked().unwrap().process(&work, &progress)).await
}

async fn failure(script: &str) -> WorkFailure {
    run(shell(script)).await.unwrap_err()
}

#[tokio::test]
async fn the_command_gets_the_record_and_its_last_line_is_the_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"cat > record.json; echo loading; echo "{\"rows\": 3, \"said\": \"$GREETING\"}"; echo"#;
    let exec = Exec { cwd: Some(folder.path().to_str().unwrap().to_owned()), ..shell(script) };
    assert_eq!(run(exec).await.unwrap().json(), Some(r#"{"rows": 3, "said": "hello"}"#));
    let record: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("record.json")).unwrap()).unwrap();
    assert_eq!((&record["id_objet"], &record["params"]["year"]), (&json!("2005"), &json!(2026)));
    assert_eq!(record["meta"]["Criticité"], "low");
}

#[tokio::test]
async fn a_last_line_that_is_no_json_object_is_no_outputs() {
    for script in ["true", "echo loaded 3 rows", "echo '[1]'", "echo '{\"rows\":3}'; echo done"] {
        assert_eq!(run(shell(script)).await, Ok(Outputs::none()), "{script}");
    }
}

/// Its dependants got nothing, and nobody was told.
#[tokio::test]
async fn a_last_line_that_is_almost_a_json_object_fails_the_object() {
    for line in ["{broken", "{'rows': 3}", "{\"rows\": NaN}", "{\"rows\": 3}}"] {
        let failed = failure(&format!("printf '%s\\n' \"{}\"", line.replace('"', "\\\""))).await;
        assert_eq!((failed.reason.as_ref(), failed.retryable), ("InvalidOutputs", false), "{line}");
        assert!(failed.error.contains("no JSON object: "), "{}", failed.error);
    }
}

#[tokio::test]
async fn a_failed_command_says_why_and_leaves_its_log() {
    let failed = failure("echo reading; echo 'no such table' >&2; echo >&2; exit 3").await;
    assert_eq!((failed.reason.as_ref(), failed.error.as_str()), ("ExitStatus", "no such table"));
    assert!(failed.retryable);
    let log = failed.log_tail.unwrap();
    assert!(log.contains("reading") && log.contains("no such table"), "{log}");
    assert_eq!(failure("exit 3").await.error, "exit status 3");
    assert_eq!(failure("kill -9 $$").await.error, "signal 9 (SIGKILL)");
}

#[tokio::test]
async fn wrong_usage_and_wrong_data_are_not_tried_again() {
    for (status, retryable) in
        [(1, true), (63, true), (64, false), (65, false), (66, true), (78, true), (127, true)]
    {
        assert_eq!(failure(&format!("exit {status}")).await.retryable, retryable, "{status}");
    }
}

#[tokio::test]
async fn a_command_that_cannot_be_started_is_a_clear_failure() {
    let exec = |program: &str| Exec { command: vec![program.to_owned()], env: [].into(), cwd: None };
    let failed = run(exec("no-such-program")).await.unwrap_err();
    assert_eq!((failed.reason.as_ref(), failed.retryable), ("CommandNotStarted", false));
    assert!(failed.error.starts_with("cannot start `no-such-program`: No such file"), "{}", failed.error);
    let failed = run(Exec { cwd: Some("/no/such/folder".to_owned()), ..exec("true") }).await.unwrap_err();
    assert!(failed.error.contains("in folder `/no/such/folder`"), "{}", failed.error);
}

#[tokio::test]
async fn neither_a_large_record_nor_a_flood_of_output_gets_stuck() {
    let large = work("1", &json!({"params": {"text": "x".repeat(400_000)}}));
    let ignores_stdin = shell("head -c 5000000 /dev/zero | tr '\\0' 'x'; echo; echo '{\"rows\":1}'");
    let outputs = soon("the command", ignores_stdin.process(&large, &Progress::default())).await.unwrap();
    assert_eq!(outputs.json(), Some(r#"{"rows":1}"#));
    let echoes = shell("cat; echo; wc -c < /dev/null >/dev/null; exit 1");
    let failed = soon("the command", echoes.process(&large, &Progress::default())).await.unwrap_err();
    assert!(failed.log_tail.unwrap().len() <= 4096);
}

#[tokio::test]
async fn outputs_beyond_4_kib_are_a_failure_that_says_so() {
    let failed = failure("printf '{\"text\":\"'; head -c 5000 /dev/zero | tr '\\0' 'x'; echo '\"}'").await;
    assert_eq!((failed.reason.as_ref(), failed.retryable), ("OutputsTooLarge", false));
    assert!(failed.error.contains("4096"), "{}", failed.error);
}

#[tokio::test]
async fn what_the_command_leaves_in_the_background_does_not_hold_the_object() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = fifo(folder.path()).await;
    let begin = Instant::now();
    // The background process holds standard output and error until something is written into the pipe.
    let script = format!("cat {fifo} & echo '{{\"rows\":1}}'");
    assert_eq!(run(shell(&script)).await.unwrap().json(), Some(r#"{"rows":1}"#));
    assert!(begin.elapsed() < Duration::from_secs(30));
    tokio::fs::write(&fifo, "end").await.unwrap();
}

#[tokio::test]
async fn at_the_run_timeout_the_command_and_its_children_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = fifo(folder.path()).await;
    // Both the shell and its child keep the pipe open for writing as long as they live.
    let script = format!("exec 3> {fifo}; echo alive >&3; sleep 1000 & wait");
    let mut stage = Stage::new().await;
    stage.open();
    stage.ready_with("1", 1, &json!({"run_timeout_ms": 300}));
    let worker = Running::builtin(&stage, &json!({"exec": {"command": ["sh", "-c", script]}}).to_string());
    let mut pipe = tokio::fs::File::open(&fifo).await.unwrap();
    let mut said = String::new();
    // The end of the pipe comes when the last writer is dead.
    soon("the end of all processes", pipe.read_to_string(&mut said)).await.unwrap();
    assert_eq!(said, "alive\n");
    let mut event = stage.event().await;
    while event["event_type"] == "ObjectStarted" {
        event = stage.event().await;
    }
    assert_eq!(text(&event, "reason"), "RunTimeout");
    worker.stop().await;
}

async fn fifo(folder: &Path) -> String {
    let path = folder.join("pipe").to_str().unwrap().to_owned();
    let made = tokio::process::Command::new("mkfifo").arg(&path).status().await.unwrap();
    assert!(made.success());
    path
}
