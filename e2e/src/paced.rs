//! The work of objects as a server that takes its time: each run has a pace of its own, which may change while it goes
//! on. Workers reach it with the processor `http`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// One in so many objects stumbles: its first attempt is answered with 503.
pub const STUMBLES: u64 = 50;
/// Of runs of this name one in so many objects fails for good.
pub const FAILS: (&str, u64) = ("failing", 200);

/// Serves until it is dropped.
pub struct Paced {
    state: Arc<Mutex<Served>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Served {
    lanes: HashMap<String, Lane>,
    /// How often each object of a run was answered with success.
    loaded: HashMap<(String, String), u32>,
}

/// The pace of a run.
struct Lane {
    every: Duration,
    next: Instant,
}

impl Paced {
    /// Listens at this address.
    pub async fn start(listen: &str) -> Self {
        let state = Arc::new(Mutex::new(Served::default()));
        let app = Router::new().fallback(serve).with_state(state.clone());
        let listener = TcpListener::bind(listen).await.unwrap_or_else(|error| panic!("{listen}: {error}"));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { state, task }
    }

    /// From now on an object of this run is done in each such time.
    pub fn pace(&self, run: &str, every: Duration) {
        let mut served = self.state.lock().unwrap();
        let lane = served.lanes.entry(run.to_owned()).or_insert(Lane { every, next: Instant::now() });
        lane.every = every;
    }

    /// Objects of a run that were done, each with how often.
    pub fn loaded(&self, run: &str) -> HashMap<String, u32> {
        let served = self.state.lock().unwrap();
        let own = served.loaded.iter().filter(|((of, _), _)| of == run);
        own.map(|((_, object), times)| (object.clone(), *times)).collect()
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The same for an object each time.
pub fn lot(object: &str) -> u64 {
    // FNV-1a.
    object
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

async fn serve(State(state): State<Arc<Mutex<Served>>>, body: Bytes) -> Response<Body> {
    let answer = |status, text: String| Response::builder().status(status).body(Body::from(text)).unwrap();
    let record: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (Some(run), Some(object)) = (record["run"].as_str(), record["id_objet"].as_str()) else {
        return answer(StatusCode::BAD_REQUEST, "no ready record".to_owned());
    };
    let name = run.rsplit('/').next().unwrap_or_default();
    let turn = state.lock().unwrap().turn(name, object);
    tokio::time::sleep_until(turn).await;
    let attempt = record["attempt"].as_u64().unwrap_or(0);
    let lot = lot(object);
    if lot.is_multiple_of(STUMBLES) && attempt == 1 {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "it stumbles".to_owned());
    }
    if name == FAILS.0 && lot % FAILS.1 == 1 {
        return answer(StatusCode::UNPROCESSABLE_ENTITY, "it fails".to_owned());
    }
    *state.lock().unwrap().loaded.entry((name.to_owned(), object.to_owned())).or_default() += 1;
    answer(StatusCode::OK, json!({"object": object, "attempt": attempt}).to_string())
}

impl Served {
    /// When it is the turn of the next object. One that was done before holds nobody up.
    fn turn(&mut self, run: &str, object: &str) -> Instant {
        let now = Instant::now();
        if self.loaded.contains_key(&(run.to_owned(), object.to_owned())) {
            return now;
        }
        let Some(lane) = self.lanes.get_mut(run) else { return now };
        let turn = lane.next.max(now);
        lane.next = turn + lane.every;
        turn
    }
}
