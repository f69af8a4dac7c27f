//! The processor `http` with a real server on this machine.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use orch_workers::{Http, Outputs, Processor, Progress, WorkFailure};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Running, Stage, soon, text, work};

type Seen = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A server that answers as its path says, and notes what it gets.
async fn server() -> (String, Seen) {
    let seen = Seen::default();
    let app = Router::new()
        .route("/ok", post(ok))
        .route("/text", post(async || "loaded 3 rows"))
        .route("/large", post(async || format!("{{\"text\":\"{}\"}}", "x".repeat(5_000))))
        .route("/huge-text", post(async || "x".repeat(100_000)))
        .route("/silent", post(async || std::future::pending::<()>().await))
        .route("/status/{status}", post(status))
        .with_state(seen.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (format!("http://{address}"), seen)
}

async fn ok(State(seen): State<Seen>, headers: HeaderMap, body: Bytes) -> (StatusCode, &'static str) {
    seen.lock().unwrap().push((headers, body));
    (StatusCode::CREATED, r#"{"rows": 3}"#)
}

async fn status(Path(status): Path<u16>) -> Response {
    let mut response = format!("  went wrong\n{}", "é".repeat(5_000)).into_response();
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    match status {
        302 => drop(response.headers_mut().insert("location", HeaderValue::from_static("/ok"))),
        429 => drop(response.headers_mut().insert("retry-after", HeaderValue::from_static("7"))),
        _ => {}
    }
    response
}

fn http(url: String) -> Http {
    Http { url, headers: [("X-Team".to_owned(), "sales".to_owned())].into(), timeout: None }
}

async fn send(http: Http) -> Result<Outputs, WorkFailure> {
    let work = work("été", &json!({"params": {"year": 2026}}));
    soon("the answer", http.checked().unwrap().process(&work, &Progress::default())).await
}

#[tokio::test]
async fn the_record_is_posted_and_a_json_object_is_the_outputs() {
    let (url, seen) = server().await;
    assert_eq!(send(http(format!("{url}/ok"))).await.unwrap().json(), Some(r#"{"rows": 3}"#));
    let (headers, body) = seen.lock().unwrap().pop().unwrap();
    let record: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&record["event_type"], &record["params"]["year"]), (&json!("ObjectReady"), &json!(2026)));
    for (name, expected) in [
        ("content-type", "application/json"),
        ("ce-type", "dev.kafka-orchestrator.ObjectReady"),
        ("ce-specversion", "1.0"),
        ("x-team", "sales"),
    ] {
        assert_eq!(headers[name], expected, "{name}");
    }
    assert_eq!(headers["ce-subject"].as_bytes(), "été".as_bytes());
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_no_outputs() {
    let (url, _) = server().await;
    for path in ["text", "huge-text", "status/204"] {
        assert_eq!(send(http(format!("{url}/{path}"))).await, Ok(Outputs::none()), "{path}");
    }
    let failed = send(http(format!("{url}/large"))).await.unwrap_err();
    assert_eq!((failed.reason.as_ref(), failed.retryable), ("OutputsTooLarge", false));
}

#[tokio::test]
async fn a_refused_record_is_a_failure_with_status_and_body() {
    let (url, seen) = server().await;
    for (code, retryable) in
        [(302, false), (400, false), (404, false), (408, true), (429, true), (500, true), (503, true)]
    {
        let failed = send(http(format!("{url}/status/{code}?token=secret"))).await.unwrap_err();
        assert_eq!((failed.reason.as_ref(), failed.retryable), ("HttpStatus", retryable), "{code}");
        assert!(failed.error.contains(&format!("/status/{code} gave status {code}")), "{}", failed.error);
        assert!(failed.error.contains("went wrong") && !failed.error.contains("secret"), "{}", failed.error);
        assert!(failed.error.len() < 1_300, "{} bytes", failed.error.len());
        assert_eq!(failed.retry_after, (code == 429).then_some(Duration::from_secs(7)));
    }
    assert!(seen.lock().unwrap().is_empty(), "a redirect is not followed");
}

#[tokio::test]
async fn a_server_that_is_not_there_may_come_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failed = send(http(format!("http://user:password@{address}/load"))).await.unwrap_err();
    assert_eq!((failed.reason.as_ref(), failed.retryable), ("HttpError", true));
    assert!(
        failed.error.starts_with(&format!("POST http://{address}/load: cannot connect")),
        "{}",
        failed.error
    );
    assert!(!failed.error.contains("password"));
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection);
        }
    });
    let failed = send(http(format!("http://{address}/"))).await.unwrap_err();
    assert_eq!((failed.reason.as_ref(), failed.retryable), ("HttpError", true));
}

#[tokio::test]
async fn a_timeout_of_its_own_ends_the_wait() {
    let (url, _) = server().await;
    let patient = Http { timeout: Some("50ms".to_owned()), ..http(format!("{url}/silent")) };
    let failed = send(patient).await.unwrap_err();
    assert_eq!((failed.reason.as_ref(), failed.retryable), ("HttpTimeout", true));
}

#[tokio::test]
async fn what_the_server_says_reaches_the_answer() {
    let (url, _) = server().await;
    let mut stage = Stage::new().await;
    stage.open();
    let to = |path: &str| json!({"processor": {"http": {"url": format!("{url}/{path}")}}});
    stage.ready_with("1", 1, &to("ok"));
    stage.ready_with("2", 1, &to("status/429"));
    let worker = Running::builtin(&stage, r#"{"simulate":{}}"#);
    let mut events = Vec::new();
    while events.len() < 2 {
        // A busy machine takes so long that the start is told.
        let event = stage.event().await;
        events.extend((text(&event, "event_type") != "ObjectStarted").then_some(event));
    }
    events.sort_by_key(|event| event["id_objet"].as_u64());
    assert_eq!(events[0]["outputs"], json!({"rows": 3}));
    assert_eq!((text(&events[1], "reason"), text(&events[1], "retry_after")), ("HttpStatus", "7000ms"));
    worker.stop().await;
}
