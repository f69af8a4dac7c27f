//! `orch run --kafka` that is told to stop: what it made on the broker and the programs that it started go with it.

use orch_e2e::api::{until, variable};
use orch_e2e::history::topics;
use orch_e2e::local::{LocalRun, until_gone};
use orch_e2e::setup::LIMIT;

/// What a terminal that is closed, a supervisor and Ctrl-C send.
const SIGNALS: [&str; 3] = ["HUP", "TERM", "INT"];

fn bootstrap() -> String {
    variable("ORCH_TEST_KAFKA", "run `make test`, which starts a broker")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_at_work_takes_topics_and_started_programs_away() {
    for signal in SIGNALS {
        let name = format!("stopped-{}", signal.to_lowercase());
        let run = LocalRun::start(&name, &bootstrap(), 1);
        let program = run.at_work().await;
        run.signal(signal);
        let said = run.ended().await.ended_with(1);
        assert!(said.out.starts_with(&format!("{name}: Cancelled in ")), "{said}");
        until_gone(program).await;
        assert_eq!(topics(&bootstrap(), &format!("orchestrator.local.{name}-")), [""; 0], "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_topics_are_made_leaves_none_behind() {
    for signal in SIGNALS {
        let name = format!("early-{}", signal.to_lowercase());
        let mine = || topics(&bootstrap(), &format!("orchestrator.local.{name}-"));
        let run = LocalRun::start(&name, &bootstrap(), 40);
        let begun = async || if mine().is_empty() { Err("there is no topic".to_owned()) } else { Ok(()) };
        until("the first topic is there", LIMIT, begun).await;
        run.signal(signal);
        let said = run.ended().await.ended_with(1);
        assert_eq!(mine(), [""; 0], "{said}");
    }
}
