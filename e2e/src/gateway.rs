//! Stands between an operator and its API server, and gives answers of its own: plain HTTP on the one side, what the
//! kubeconfig says on the other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode, header};
use futures::{StreamExt, stream};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What is wrong with the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Every change meets a newer version of the resource: 409.
    Conflict,
    /// Watches are told that their version is gone: 410, in the middle and at the beginning.
    Gone,
    /// 429 with `Retry-After: 1`.
    TooMany,
    /// 503.
    Unavailable,
    /// What was asked is done, and the answer breaks off.
    AnswersLost,
    /// Watches tell everything later by this.
    LateWatches(Duration),
}

/// Serves until it is dropped.
pub struct Gateway {
    kubeconfig: PathBuf,
    trouble: watch::Sender<Trouble>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Behind {
    client: Client,
    trouble: watch::Receiver<Trouble>,
}

impl Gateway {
    /// Listens at this address, before the API server of a kubeconfig; writes the one for its own clients into `folder`.
    pub async fn start(listen: &str, api: &Path, folder: &Path) -> Self {
        let kubeconfig = Kubeconfig::read_from(api).unwrap();
        let mut config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        // Answers are handed on as they are.
        config.default_retry = false;
        let client = Client::try_from(config).unwrap();
        let (trouble, troubles) = watch::channel(Trouble::None);
        let app = Router::new().fallback(pass).with_state(Behind { client, trouble: troubles });
        let listener = TcpListener::bind(listen).await.unwrap_or_else(|error| panic!("{listen}: {error}"));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let own = folder.join(format!("gateway-{}.kubeconfig", listen.replace(':', "-")));
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "gateway",
            "clusters": [{"name": "gateway", "cluster": {"server": format!("http://{listen}")}}],
            "users": [{"name": "gateway", "user": {}}],
            "contexts": [{"name": "gateway", "context": {"cluster": "gateway", "user": "gateway"}}],
        });
        std::fs::write(&own, text.to_string()).unwrap();
        Self { kubeconfig: own, trouble, task }
    }

    /// For whoever is to go through it.
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig.display().to_string()
    }

    /// From now on.
    pub fn set(&self, trouble: Trouble) {
        self.trouble.send_replace(trouble);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(behind): State<Behind>, request: Request) -> Response<Body> {
    let trouble = *behind.trouble.borrow();
    let is_change = matches!(*request.method(), Method::PATCH | Method::PUT);
    let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    match trouble {
        Trouble::Conflict if is_change => return refusal(StatusCode::CONFLICT, "Conflict"),
        Trouble::Gone if is_watch => return refusal(StatusCode::GONE, "Expired"),
        Trouble::TooMany => return refusal(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
        Trouble::Unavailable => return refusal(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        _ => {}
    }
    let Some(answer) = ask(&behind.client, request).await else {
        return refusal(StatusCode::BAD_GATEWAY, "InternalError");
    };
    let (parts, body) = answer.into_parts();
    let body = match trouble {
        Trouble::AnswersLost => broken_off(),
        _ if is_watch => watched(body, behind.trouble),
        _ => body,
    };
    Response::from_parts(parts, body)
}

async fn ask(client: &Client, request: Request) -> Option<Response<Body>> {
    let (mut parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.ok()?;
    parts.headers.remove(header::HOST);
    let request = axum::http::Request::from_parts(parts, kube::client::Body::from(body));
    Some(client.send(request).await.ok()?.map(Body::new))
}

/// An answer as the API server's own.
fn refusal(status: StatusCode, reason: &str) -> Response<Body> {
    let answer = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    let answer =
        if status == StatusCode::TOO_MANY_REQUESTS { answer.header("retry-after", "1") } else { answer };
    answer.body(Body::from(failure(status, reason))).unwrap()
}

fn failure(status: StatusCode, reason: &str) -> String {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status.as_u16(),
        "reason": reason, "message": format!("the gateway of the test says {reason}"),
    })
    .to_string()
}

fn broken_off() -> Body {
    Body::from_stream(stream::iter([Err::<Bytes, _>(std::io::Error::from(
        std::io::ErrorKind::ConnectionReset,
    ))]))
}

/// A watch that is late, or told that its version is gone, as soon as that is the trouble.
fn watched(body: Body, trouble: watch::Receiver<Trouble>) -> Body {
    let (late, mut gone, last) = (trouble.clone(), trouble.clone(), trouble);
    let until_gone = async move {
        // The gateway is gone with its sender: the watch ends as well.
        let _ = gone.wait_for(|trouble| *trouble == Trouble::Gone).await;
    };
    let told = body.into_data_stream().then(move |chunk| {
        let trouble = *late.borrow();
        async move {
            if let Trouble::LateWatches(delay) = trouble {
                tokio::time::sleep(delay).await;
            }
            chunk
        }
    });
    let end = stream::once(async move {
        let failure = failure(StatusCode::GONE, "Expired");
        let line = format!("{{\"type\":\"ERROR\",\"object\":{failure}}}\n");
        (*last.borrow() == Trouble::Gone).then(|| Ok(Bytes::from(line)))
    });
    Body::from_stream(told.take_until(until_gone).chain(end.filter_map(|line| async { line })))
}
