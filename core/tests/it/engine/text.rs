//! Graphs and scripts as texts.

use orch_core::duration;
use orch_core::engine::{Event, Failure, OperatorReason, RunEnd};
use orch_core::id::{Attempt, Epoch, Millis, ObjectIx};
use orch_core::spec::{
    ObjectSpec, RetryPolicy, RunSpec, Source, SourceForm, StageSpec, Timeouts, WorkerPolicy,
};

use super::play::Play;

/// `a -> b -> c, x`: chains and single objects. `?u`: nobody defines it. `a:s2`: its stage is `s2`, otherwise `work`.
/// Objects are in the order of their first mention. Retries wait 1 s, then 2 s, without jitter.
pub fn spec(graph: &str) -> RunSpec {
    let mut spec = RunSpec {
        stages: vec![stage("work")],
        sources: vec![Source::new("graph", SourceForm::Objects)],
        ..RunSpec::default()
    };
    for chain in graph.split(',') {
        let mut parent: Option<&str> = None;
        for word in chain.split("->").map(str::trim) {
            let (id, stage_name) = word.split_once(':').unwrap_or((word, "work"));
            if spec.stages.iter().all(|stage| stage.name != stage_name) {
                spec.stages.push(stage(stage_name));
            }
            if !id.starts_with('?') && spec.objects.iter().all(|object| object.id != id) {
                spec.objects.push(object(id, stage_name, spec.objects.len()));
            }
            if let (Some(parent), Some(own)) =
                (parent, spec.objects.iter_mut().find(|object| object.id == id))
            {
                own.depends_on.push(parent.into());
            }
            parent = Some(id);
        }
    }
    spec
}

pub fn stage(name: &str) -> StageSpec {
    StageSpec {
        name: name.to_owned(),
        id_range: None,
        processor: r#"{"simulate":{}}"#.to_owned(),
        worker: WorkerPolicy::default(),
        partitions: 2,
        retry: RetryPolicy { jitter: 0.0, ..RetryPolicy::default() },
        timeouts: Timeouts::default(),
    }
}

fn object(id: &str, stage: &str, position: usize) -> ObjectSpec {
    ObjectSpec {
        position: position as u32,
        id: id.to_owned(),
        stage: Some(stage.to_owned()),
        entry: format!(r#"{{"id":"{id}"}}"#),
        ..ObjectSpec::default()
    }
}

/// One statement of a script. After the object: `#2` (attempt), `by w2`, `after 5s`, `epoch 1`.
struct Statement<'a> {
    words: Vec<&'a str>,
}

impl<'a> Statement<'a> {
    fn after(&self, word: &str) -> Option<&'a str> {
        let at = self.words.iter().position(|w| *w == word)?;
        Some(self.words[at + 1])
    }

    fn number(&self, word: &str) -> Option<u64> {
        self.after(word).map(|number| number.parse().unwrap())
    }

    fn duration(&self, word: &str) -> Option<Millis> {
        self.after(word).map(|text| duration::parse(text).unwrap())
    }
}

/// Plays a script: statements between commas, in the order of the topic.
///
/// - answers: `load a`, `fail a` (for good), `error a` (another attempt may help), `drain a` (the worker had to stop),
///   `start a`, `beat a`; without `#n` of the current attempt; by worker `w1`; `load a worked 2s` says how long it took
/// - the operator's records: `expire a QueueTimeout`, `started`, `started other`, `leader 2`, `cancelled`, `deadline`;
///   their epoch is the leader's
/// - its world: `wait 5s`, `cancel`, `timeout 1m`, `max 2`, `hold` (what it appends stays on its way) and `deliver`,
///   `takeover` (another operator), `unpublish a`, `lose a` (its ready record is gone)
pub fn run(play: &mut Play, script: &str) {
    for text in script.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let statement = Statement { words: text.split_whitespace().collect() };
        let (verb, rest) = statement.words.split_first().unwrap();
        if world(play, verb, &statement) {
            play.settle();
            continue;
        }
        let object = rest.first().and_then(|id| play.plan.find(id));
        let attempt = rest.iter().find_map(|word| word.strip_prefix('#')).map_or_else(
            || object.map_or(0, |ix| play.leader.state.cell(ix).attempt.max(1)),
            |n| n.parse().unwrap(),
        );
        let epoch = statement.number("epoch").unwrap_or(play.leader.epoch);
        let event = match object {
            Some(object) => answer(verb, &statement, object, attempt, epoch),
            None => run_record(play, verb, &statement, epoch),
        };
        play.append(event);
        play.settle();
    }
}

fn world(play: &mut Play, verb: &str, statement: &Statement<'_>) -> bool {
    let object = || play.plan.find(statement.words[1]).unwrap();
    match verb {
        "wait" => play.now += statement.duration("wait").unwrap(),
        "cancel" => play.leader.orders.cancel = true,
        "timeout" => play.leader.orders.timeout_ms = statement.duration("timeout"),
        "max" => play.leader.orders.max_in_flight = statement.number("max").unwrap() as u32,
        "hold" => play.held = Some(Vec::new()),
        "deliver" => {
            let held = play.held.take().unwrap();
            // The append time is the broker's.
            for event in held {
                play.topics.append(play.now, event);
            }
        }
        "takeover" => play.take_over(),
        "unpublish" => play.unpublish(object()),
        "lose" => {
            let lost = object();
            play.topics.ready.retain(|ready| ready.object != lost);
        }
        _ => return false,
    }
    true
}

fn answer(verb: &str, statement: &Statement<'_>, object: ObjectIx, attempt: Attempt, epoch: Epoch) -> Event {
    let worker: std::sync::Arc<str> = statement.after("by").unwrap_or("w1").into();
    let failed = |reason: &str, retryable: bool| Event::Failed {
        object,
        attempt,
        worker: statement.after("by").unwrap_or("w1").into(),
        elapsed: statement.duration("worked"),
        failure: Box::new(Failure {
            reason: reason.into(),
            error: "it did not work".into(),
            retryable,
            retry_after_ms: statement.duration("after"),
            log_tail: None,
        }),
    };
    match verb {
        "start" => Event::Started { object, attempt, worker },
        "beat" => Event::Progress { object, attempt, worker },
        "load" => Event::Loaded {
            object,
            attempt,
            worker,
            elapsed: statement.duration("worked"),
            outputs: Some(r#"{"rows":1}"#.into()),
        },
        "fail" => failed("WorkerError", false),
        "error" => failed("WorkerError", true),
        "drain" => failed(Failure::DRAINED, true),
        "expire" => Event::Expired {
            object,
            attempt,
            reason: OperatorReason::parse(statement.words[2]).unwrap(),
            epoch,
        },
        other => panic!("`{other}` is no answer"),
    }
}

fn run_record(play: &Play, verb: &str, statement: &Statement<'_>, epoch: Epoch) -> Event {
    match verb {
        "started" if statement.words.contains(&"other") => {
            Event::RunStarted { digest: "other".to_owned(), epoch }
        }
        "started" => Event::RunStarted { digest: play.plan.digest.clone(), epoch },
        "leader" => Event::LeaderStarted { epoch: statement.number("leader").unwrap() },
        "cancelled" => Event::RunCancelled { reason: RunEnd::Cancelled, epoch },
        "deadline" => Event::RunCancelled { reason: RunEnd::DeadlineExceeded, epoch },
        other => panic!("`{other}` is no statement, or names no object"),
    }
}
