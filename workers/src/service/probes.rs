//! `/healthz` and `/readyz`.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tracing::error;

use crate::Health;

/// Serves until the process ends.
pub(super) async fn serve(listener: TcpListener, health: Health) {
    if let Err(error) = axum::serve(listener, router(health)).await {
        error!(%error, "the probes are not served any more");
    }
}

fn router(health: Health) -> Router {
    // The process alone: no dependency decides whether it is to be killed.
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state(health)
}

/// 503 names what is missing.
async fn ready(State(health): State<Health>) -> (StatusCode, String) {
    let missing = health.missing();
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n")
    }
}
