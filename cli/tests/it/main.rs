//! The real program: arguments in, exit status, standard output and standard error out. A module a subject:
//! `run` ends of local runs, `bad_input` what is refused and how it is said, `convert` resources, `graph` drawings,
//! `ask` status and why, `elsewhere` words and status of somebody else, `page` whether docs/cli.md says all. Texts are snapshots beside the test; volatile parts are
//! filtered by `program`.

// A failed expectation ends the test.
#![allow(clippy::unwrap_used, clippy::panic)]

mod ask;
mod bad_input;
mod convert;
mod elsewhere;
mod graph;
mod page;
mod program;
mod run;
