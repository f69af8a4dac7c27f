//! Properties on random graphs, answers and orders. What holds after every step is asserted in `play`: the invariants,
//! no child before its dependencies, nothing published twice by one leader, refused records change nothing.

use std::collections::HashSet;
use std::sync::Arc;

use orch_core::engine::{Changes, Record};
use orch_core::engine::{Event, ObjectPhase, OperatorReason, Phase, Refused, RunEnd, RunPhase, RunState};
use orch_core::id::{Epoch, MAX_EPOCH, ObjectIx, RunUid};
use proptest::prelude::*;

use super::model::{Fate, Outcome};
use super::random::{Case, World, cases, ending, folded, object_number};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, ..ProptestConfig::default() }
}

/// A record that must change nothing after everything that is on the topic now.
fn noise(world: &mut World) -> Option<Event> {
    let kind = world.choose(7);
    let len = world.topics.events.len();
    let pick = world.choose(len.max(1));
    let state = &world.leaders[world.leaders.len() - 1].state;
    let object = ObjectIx((pick % state.plan().objects.len()) as u32);
    let cell = state.cell(object);
    let outcome = if pick.is_multiple_of(2) { Outcome::Loads } else { Outcome::Fails };
    match kind {
        0 if world.noise.contains(&pick) => None,
        0 => match world.topics.events.get(pick).map(|record| record.event.clone()) {
            // A second start of the current attempt is a heartbeat.
            None | Some(Event::Started { .. } | Event::Progress { .. }) => None,
            duplicate => duplicate,
        },
        1 if cell.attempt > 1 => Some(ending(object, cell.attempt - 1, outcome)),
        2 => Some(ending(object, cell.attempt + 1 + u32::from(cell.phase == Phase::Pending), outcome)),
        3 => Some(Event::Expired {
            object,
            attempt: cell.attempt,
            reason: OperatorReason::RunTimeout,
            epoch: 0,
        }),
        4 => Some(Event::RunCancelled { reason: RunEnd::Cancelled, epoch: 0 }),
        5 => Some(Event::RunStarted { digest: "other".to_owned(), epoch: 0 }),
        6 => Some(Event::LeaderStarted { epoch: [MAX_EPOCH, Epoch::MAX, 1 << 40][pick % 3] }),
        _ => None,
    }
}

/// Reads everything, so that the newest leader knows what would be noise, and adds some.
fn inject(world: &mut World) {
    world.read_all();
    // Before the start anything but `RunStarted` is foreign, and a first leader's epoch is not known.
    if world.leader().state.started_at().is_none() {
        return;
    }
    if let Some(event) = noise(world) {
        world.noise.insert(world.topics.events.len());
        world.append(event);
    }
}

fn published(world: &World) -> Vec<(ObjectIx, u32)> {
    world.topics.ready.iter().map(|ready| (ready.object, ready.publication.attempt)).collect()
}

fn without_noise(world: &World) -> Vec<Record> {
    let events = world.topics.events.iter().enumerate();
    events.filter(|(at, _)| !world.noise.contains(at)).map(|(_, record)| record.clone()).collect()
}

proptest! {
    #![proptest_config(config(1024))]

    #[test]
    fn o5_every_run_ends_as_the_naive_model_says(case in cases(12)) {
        let mut world = World::new(&case);
        world.run_to_the_end();
        world.assert_ends_as_the_model_says();

        let view = world.leader().view();
        let fates = case.graph.fates();
        let succeeds = fates.iter().all(|fate| matches!(fate, Fate::Loaded | Fate::Pruned));
        prop_assert_eq!(view.phase, if succeeds { RunPhase::Succeeded } else { RunPhase::Failed });
        for phase in ObjectPhase::ALL {
            let seen = view.letters.iter().filter_map(|letter| ObjectPhase::from_letter(*letter));
            prop_assert_eq!(view.counts.of(phase) as usize, seen.filter(|seen| *seen == phase).count());
        }
        let records = published(&world);
        prop_assert_eq!(records.iter().collect::<HashSet<_>>().len(), records.len());
    }

    #[test]
    fn o14_a_take_over_at_any_record_ends_the_same(case in cases(10), at in any::<prop::sample::Index>()) {
        let mut world = World::new(&case);
        world.run_to_the_end();
        world.read_all();
        let len = at.index(world.topics.events.len() + 1);
        let mut restarted = world.restarted_at(len);
        let found: HashSet<_> = published(&restarted).into_iter().collect();
        let kept = restarted.topics.ready.len();
        restarted.run_to_the_end();
        restarted.assert_ends_as_the_model_says();
        for record in &published(&restarted)[kept..] {
            prop_assert!(!found.contains(record), "{:?} is in the ready topic already", record);
        }
    }

    #[test]
    fn a_prefix_folds_to_the_state_that_the_leader_had(case in cases(10)) {
        let mut world = World::new(&case);
        while !world.is_over() {
            world.step();
            let leader = world.leader();
            let plan = leader.state.plan();
            let again = folded(plan, &world.topics.events[..leader.read]);
            prop_assert_eq!(&again, &leader.state);
        }
    }

    #[test]
    fn folding_from_a_snapshot_is_folding_from_the_start(
        case in cases(12),
        (fail_fast, cancel_at) in (any::<bool>(), 0_usize..160),
        at in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new(&Case { fail_fast, ..case });
        let mut steps = 0;
        while !world.is_over() {
            world.leaders[0].orders.cancel |= steps == cancel_at;
            world.step();
            steps += 1;
        }
        world.read_all();
        let plan = world.leader().state.plan();
        let (before, after) = world.topics.events.split_at(at.index(world.topics.events.len() + 1));
        let state = folded(plan, before);
        if let Some(text) = state.to_snapshot() {
            let mut restored =
                RunState::of_snapshot(Arc::clone(plan), RunUid::new("uid"), text.as_bytes()).unwrap();
            prop_assert_eq!(&restored, &state);
            for record in after {
                let _ = restored.fold(record, &mut Changes::default());
            }
            prop_assert_eq!(&restored, &folded(plan, &world.topics.events));
            prop_assert_eq!(restored.to_snapshot(), folded(plan, &world.topics.events).to_snapshot());
        } else {
            prop_assert_eq!(state.started_at(), None);
        }
    }

    #[test]
    fn noise_anywhere_changes_nothing(case in cases(10)) {
        let mut world = World::new(&case);
        while !world.is_over() {
            if world.choose(3) == 0 {
                inject(&mut world);
            }
            world.step();
        }
        world.assert_ends_as_the_model_says();
        let state = folded(world.leader().state.plan(), &without_noise(&world));
        prop_assert_eq!(&state, &world.leader().state);
    }

    #[test]
    fn two_leaders_do_no_harm_beyond_executing_twice(case in cases(8), rude in any::<bool>(), cancels in any::<bool>()) {
        let mut world = World::new(&case);
        let (mut steps, at) = (0, world.choose(60));
        while !world.is_over() {
            if steps == at || steps == at + 20 {
                world.take_over();
                let former = world.leaders.len() - 2;
                world.leaders[former].orders.cancel = cancels;
                // A polite one reads nothing any more and goes on with what it knows; a rude one reads, and goes on.
                if !rude {
                    world.frozen_at.get_or_insert(world.topics.events.len() - 1);
                }
            }
            steps += 1;
            world.step();
        }
        world.assert_ends_as_the_model_says();
        assert_former_leaders_are_void(world.leader().state.plan(), &world.topics.events);
    }

    #[test]
    fn fail_fast_ends_every_object_and_publishes_nothing_after_the_failure(case in cases(12)) {
        let mut world = World::new(&Case { fail_fast: true, ..case.clone() });
        let mut stopped_at = None;
        while !world.is_over() {
            world.step();
            let leader = world.leader();
            if leader.state.is_stopping() {
                prop_assert_eq!(*stopped_at.get_or_insert(world.topics.ready.len()), world.topics.ready.len());
            }
        }
        assert_all_ended_and_no_wonder(&case, &world);
        let fates = case.graph.fates();
        prop_assert_eq!(world.leader().state.is_stopping(), fates.contains(&Fate::Failed));
    }

    #[test]
    fn cancel_at_any_time_ends_every_object(case in cases(12), at in 0_usize..80) {
        let mut world = World::new(&case);
        let mut steps = 0;
        while !world.is_over() {
            if steps == at {
                world.leaders[0].orders.cancel = true;
            }
            let (before, cancelled) = (world.topics.ready.len(), world.leader().orders.cancel);
            world.step();
            prop_assert!(!cancelled || world.topics.ready.len() == before, "published after the cancel");
            steps += 1;
        }
        assert_all_ended_and_no_wonder(&case, &world);
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn larger_runs_end_as_the_naive_model_says(case in cases(120)) {
        let mut world = World::new(&case);
        world.run_to_the_end();
        world.assert_ends_as_the_model_says();
    }
}

/// Every record of an operator below the highest `LeaderStarted` before it is refused as such.
fn assert_former_leaders_are_void(plan: &Arc<orch_core::plan::RunPlan>, events: &[Record]) {
    let mut state = RunState::new(Arc::clone(plan), RunUid::new("uid"));
    let mut highest = 0;
    for record in events {
        let result = state.fold(record, &mut Changes::default());
        let epoch = match &record.event {
            Event::LeaderStarted { epoch } => {
                highest = highest.max(*epoch);
                continue;
            }
            Event::RunStarted { epoch, .. }
            | Event::Expired { epoch, .. }
            | Event::RunCancelled { epoch, .. } => *epoch,
            Event::Started { .. } | Event::Progress { .. } | Event::Loaded { .. } | Event::Failed { .. } => {
                continue;
            }
        };
        if epoch < highest {
            assert_eq!(result, Err(Refused::Fenced), "{record:?}");
        }
    }
}

/// Every object has ended, and none better or worse than its outcomes allow.
fn assert_all_ended_and_no_wonder(case: &Case, world: &World) {
    let leader = world.leader();
    let view = leader.view();
    for (ix, fate) in leader.state.plan().indices().zip(case.graph.fates()) {
        let n = object_number(ix);
        match ObjectPhase::from_letter(view.letters[n]).unwrap() {
            ObjectPhase::Cancelled => assert_ne!(fate, Fate::Pruned, "o{n}"),
            ObjectPhase::Pruned => assert_eq!(fate, Fate::Pruned, "o{n}"),
            ObjectPhase::Loaded => assert_eq!(fate, Fate::Loaded, "o{n}"),
            ObjectPhase::Failed => assert_eq!(fate, Fate::Failed, "o{n}"),
            ObjectPhase::Blocked => assert!(matches!(fate, Fate::Blocked(_)), "o{n}"),
            phase @ (ObjectPhase::Pending
            | ObjectPhase::Ready
            | ObjectPhase::Queued
            | ObjectPhase::Running
            | ObjectPhase::Retrying) => panic!("o{n} is still {phase:?}"),
        }
    }
}
