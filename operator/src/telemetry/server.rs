//! /healthz, /readyz and /metrics.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// Serves until `stop`.
pub(crate) async fn serve(context: Arc<Context>, listener: TcpListener, stop: CancellationToken) {
    let app = Router::new()
        // The process alone: no dependency decides whether it is to be killed.
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(context);
    let server = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = server.await {
        tracing::error!(%error, "the health server ended");
    }
}

/// Ready means that Kafka answers; a replica that stands by is ready too. The text names what is missing.
async fn ready(State(context): State<Arc<Context>>) -> Response {
    match context.connections.own_trouble().await {
        None => (StatusCode::OK, "ready\n".to_owned()).into_response(),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("kafka: {trouble}\n")).into_response(),
    }
}

async fn metrics(State(context): State<Arc<Context>>) -> Response {
    let sets = context.registry.all();
    let runs = sets.iter().map(|set| set.count_runs()).sum();
    let text = context.metrics.render(sets.len(), runs);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
        .into_response()
}
