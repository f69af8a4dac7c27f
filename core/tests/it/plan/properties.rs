use std::collections::BTreeSet;

use orch_core::finding::FindingKind;
use orch_core::plan::plan;
use orch_core::spec::{Targets, UndefinedPolicy};
use proptest::prelude::*;
use serde_json::Value;

use super::spec;

/// A value with numbers on both sides of 2^53.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(|off| Value::from(9_007_199_254_740_991 + off)),
        (-3_i64..3).prop_map(|off| Value::from(-9_007_199_254_740_991 + off)),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[\"\\\\0-9a:{}\\[\\],é ]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[\"\\\\0-9a:é]{0,8}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn unsafe_integers(value: &Value) -> usize {
    match value {
        Value::Number(number) => {
            let beyond = |n: u64| n > 9_007_199_254_740_991;
            usize::from(
                number.as_u64().is_some_and(beyond)
                    || number.as_i64().is_some_and(|n| beyond(n.unsigned_abs())),
            )
        }
        Value::Array(items) => items.iter().map(unsafe_integers).sum(),
        Value::Object(fields) => fields.values().map(unsafe_integers).sum(),
        _ => 0,
    }
}

/// Objects and dependencies by number; a number beyond the objects is an id that nobody defines.
fn objects() -> impl Strategy<Value = Vec<Vec<u8>>> {
    (1_u8..10).prop_flat_map(|len| {
        proptest::collection::vec(proptest::collection::vec(0..len + 2, 0..4), len as usize)
    })
}

fn text(objects: &[Vec<u8>]) -> String {
    let entry = |(i, parents): (usize, &Vec<u8>)| {
        let parents: Vec<String> = parents.iter().map(|parent| format!("n{parent}")).collect();
        format!("n{i}: {}", parents.join(" "))
    };
    objects.iter().enumerate().map(entry).collect::<Vec<_>>().join("; ")
}

/// The objects that can be put in a row with their dependencies before them: again and again, what has none left.
fn orderable(objects: &[Vec<u8>]) -> usize {
    let mut done: BTreeSet<u8> = (objects.len() as u8..objects.len() as u8 + 2).collect();
    let unknown = done.len();
    loop {
        let next: Vec<u8> = (0..objects.len() as u8)
            .filter(|i| !done.contains(i) && objects[*i as usize].iter().all(|parent| done.contains(parent)))
            .collect();
        if next.is_empty() {
            return done.len() - unknown;
        }
        done.extend(next);
    }
}

proptest! {
    #[test]
    fn unsafe_integers_are_found_as_a_tree_would_find_them(value in json(), pretty in any::<bool>()) {
        let mut spec = spec("a");
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        spec.objects[0].params = Some(text);
        let found = plan(spec).err().map_or(0, |findings| findings.len());
        prop_assert_eq!(found, unsafe_integers(&value));
    }

    #[test]
    fn a_graph_is_refused_exactly_for_cycles_and_unknown_ids(objects in objects()) {
        let unknown: BTreeSet<&u8> = objects.iter().flatten().filter(|id| **id as usize >= objects.len()).collect();
        let has_cycle = orderable(&objects) < objects.len();
        let findings = plan(spec(&text(&objects))).err().unwrap_or_default();
        let count = |kind| findings.iter().filter(|finding| finding.kind == kind).count();
        prop_assert_eq!(count(FindingKind::UnknownDependency), unknown.len());
        prop_assert_eq!(count(FindingKind::Cycle) > 0, has_cycle);
        prop_assert_eq!(findings.len(), count(FindingKind::UnknownDependency) + count(FindingKind::Cycle));
    }

    #[test]
    fn o3_o10_targets_need_their_ancestors_and_undefined_ones_count_once(objects in objects(), target in any::<prop::sample::Index>()) {
        prop_assume!(orderable(&objects) == objects.len());
        let target = target.index(objects.len());
        let mut spec = spec(&text(&objects));
        spec.undefined_dependencies = UndefinedPolicy::AssumeLoaded;
        spec.targets = Targets::Ids(vec![format!("n{target}")]);
        let plan = plan(spec).unwrap();
        // The ids that a walk from the target meets.
        let mut expected = BTreeSet::new();
        let mut walk = vec![target as u8];
        while let Some(id) = walk.pop() {
            expected.insert(format!("n{id}"));
            walk.extend(objects.get(id as usize).into_iter().flatten());
        }
        let needed: BTreeSet<String> =
            plan.indices().filter(|ix| plan.is_needed(*ix)).map(|ix| plan.object(ix).id.to_string()).collect();
        prop_assert_eq!(plan.needed_count(), expected.len());
        prop_assert_eq!(needed, expected);
        let unknown: BTreeSet<&u8> = objects.iter().flatten().filter(|id| **id as usize >= objects.len()).collect();
        prop_assert_eq!(plan.objects.len(), objects.len() + unknown.len());
    }

    #[test]
    fn the_digest_depends_on_nothing_but_the_spec(objects in objects()) {
        prop_assume!(orderable(&objects) == objects.len());
        let digest = || {
            let mut spec = spec(&text(&objects));
            spec.undefined_dependencies = UndefinedPolicy::Run;
            plan(spec).unwrap().digest
        };
        prop_assert_eq!(digest(), digest());
    }
}
