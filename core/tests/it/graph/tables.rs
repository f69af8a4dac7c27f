use orch_core::graph::{Order, ancestors, critical_path, cycles, descendants, path_text};
use orch_core::id::{Millis, ObjectIx};

use super::{graph, numbers};

#[track_caller]
fn check_levels(text: &str, expected: &str) {
    let graph = graph(text);
    let order = Order::of(&graph);
    let levels: Vec<String> = order.levels().map(numbers).collect();
    assert_eq!(levels.join(" | "), expected);
    assert_eq!(order.depth(), levels.len());
}

#[test]
fn an_object_is_one_level_below_its_lowest_dependency() {
    check_levels("", "");
    check_levels("2", "0 1 2");
    check_levels("0>1 1>2 0>2", "0 | 1 | 2");
    check_levels("0>1 1>2 3>2 3>4", "0 3 | 1 4 | 2");
    // What is on a cycle, or behind one, has no level.
    check_levels("0>1 1>2 2>1 2>3 4", "0 4");
}

#[track_caller]
fn check_cycles(text: &str, expected: &str) {
    let names: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let (found, more) = cycles(&graph(text), 20);
    let texts: Vec<String> = found.iter().map(|path| path_text(path, |ix| &names[ix.usize()])).collect();
    assert_eq!((texts.join(", "), more), (expected.to_owned(), 0));
}

#[test]
fn o9_each_cycle_is_a_path_that_returns() {
    check_cycles("0>1 1>2", "");
    check_cycles("0>1 1>0", "0 -> 1 -> 0");
    check_cycles("3>2 2>1 1>3 0>1 3>4", "1 -> 3 -> 2 -> 1");
    check_cycles("5>6 6>5 1>2 2>3 3>1 3>5", "1 -> 2 -> 3 -> 1, 5 -> 6 -> 5");
}

#[test]
fn o9_the_shortest_cycle_of_a_knot_is_reported() {
    check_cycles("0>1 1>2 2>3 3>4 4>0 3>2", "2 -> 3 -> 2");
    check_cycles("0>1 1>2 2>3 3>4 4>0 4>2", "2 -> 3 -> 4 -> 2");
}

#[test]
fn o9_long_paths_are_shortened_in_the_text() {
    let text = |len: usize| {
        let names: Vec<String> = (0..len).map(|n| format!("n{n}")).collect();
        let path: Vec<ObjectIx> = (0..len as u32).map(ObjectIx).collect();
        path_text(&path, |ix| &names[ix.usize()])
    };
    assert_eq!(text(2), "n0 -> n1 -> n0");
    assert_eq!(text(10), "n0 -> n1 -> n2 -> n3 -> n4 -> n5 -> n6 -> n7 -> n8 -> n9 -> n0");
    assert_eq!(text(23), "n0 -> n1 -> n2 -> n3 -> n4 -> n5 -> ... 14 more ... -> n20 -> n21 -> n22 -> n0");
    assert_eq!(path_text(&[], |_| ""), "");
}

#[test]
fn o9_of_many_cycles_some_are_listed_and_the_rest_counted() {
    let pairs: Vec<String> =
        (0..50).map(|n| format!("{}>{} {}>{}", 2 * n, 2 * n + 1, 2 * n + 1, 2 * n)).collect();
    let (found, more) = cycles(&graph(&pairs.join(" ")), 20);
    assert_eq!((found.len(), more), (20, 30));
    assert_eq!(numbers(&found[19]), "38 39");
}

#[test]
fn o9_a_cycle_of_half_a_million_objects_costs_no_stack() {
    let len = 500_000_u32;
    let edges: Vec<(u32, u32)> = (0..len).map(|n| (n, (n + 1) % len)).collect();
    let (found, more) = cycles(&orch_core::graph::Graph::from_edges(len as usize, &edges), 20);
    assert_eq!((found.len(), found[0].len(), more), (1, len as usize, 0));
}

#[test]
fn o3_targets_need_their_ancestors_and_nothing_else() {
    // 1010 -> 2040 -> {3030, 3040}; 1020 -> 2005; 3050 needs 2005 and 2040; 1900 has no child.
    let graph = graph("0>1 1>2 1>3 4>5 5>6 1>6 7");
    let marked = |targets: &[u32]| {
        let marks = ancestors(&graph, targets.iter().map(|n| ObjectIx(*n)));
        marks.iter().map(|needed| if *needed { 'x' } else { '-' }).collect::<String>()
    };
    assert_eq!(marked(&[2, 3, 6]), "xxxxxxx-");
    assert_eq!(marked(&[5]), "----xx--");
    assert_eq!(marked(&[]), "--------");
    assert_eq!(numbers(&descendants(&graph, ObjectIx(0))), "1 2 3 6");
    assert_eq!(numbers(&descendants(&graph, ObjectIx(6))), "");
}

#[track_caller]
fn check_critical(text: &str, durations: &[Millis], path: &str, total_ms: Millis) {
    let found = critical_path(&graph(text), |ix| durations[ix.usize()]);
    assert_eq!((numbers(&found.objects), found.total_ms), (path.to_owned(), total_ms));
}

#[test]
fn the_critical_path_has_the_largest_sum() {
    check_critical("", &[], "", 0);
    check_critical("0", &[7], "0", 7);
    check_critical("0>1 1>2 0>3", &[1, 1, 1, 9], "0 3", 10);
    check_critical("0>2 1>2 2>3", &[5, 6, 1, 1], "1 2 3", 8);
    check_critical("0 1 2", &[3, 5, 5], "1", 5);
    // What comes after the last object that took time did not matter; a clock that went backwards does not either.
    check_critical("0>1 1>2", &[4, 0, -9], "0", 4);
}
