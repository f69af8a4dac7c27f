//! `text` reads graphs and scripts, `play` is a leader with its topics and a clock, `model` the naive fixpoint.
//! Tables: `rules` (life cycle), `time` (clocks and limits), `endings` (cancel, deadline, `FailFast`), `recovery`,
//! `views` (projection), `snapshot` (a state as text), `regression` (bugs that were). Properties: `properties` on the random runs of `random`.

mod endings;
mod exhaustive;
mod model;
mod play;
mod properties;
mod random;
mod recovery;
mod regression;
mod rules;
mod snapshot;
pub mod text;
mod time;
mod views;
