//! Tests against a real API server, whose kubeconfig is in `ORCH_TEST_KUBECONFIG`: `make it` starts one and runs them.
//! `create`: what can be created. `limits`: how much of it. `update`: what can be changed. `show`: what kubectl and the status writer see.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)]

#[path = "../cases/mod.rs"]
mod cases;
mod create;
mod limits;
mod server;
mod show;
mod update;
