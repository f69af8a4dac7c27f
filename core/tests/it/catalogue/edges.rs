//! Edge lists.

use orch_core::graph::Order;
use orch_core::id::ObjectIx;
use orch_core::plan::plan;

use super::{check, read};

#[test]
fn lines_are_edges_isolated_objects_or_comments() {
    check("# a comment\na\tb\n\nc\nb\td\na\td\n", "a b(a) c d(b a)");
    check("a\tb", "a b(a)");
    check("a\tb\r\nc\r\n", "a b(a) c");
}

#[test]
fn a_text_without_an_edge_is_no_edge_list() {
    for text in ["\"abc\"", "42", "true", "null", "-1.5e3\n", "lonely", "# a comment\nsome\nwords\n"] {
        check(
            text,
            "Malformed f: it is no edge list: there is no line `parent<TAB>child` in it; \
             write objects without dependencies as a JSON list: `[{\"id\": \"a\"}, {\"id\": \"b\"}]`",
        );
    }
}

#[test]
fn repeated_edges_count_once() {
    let plan = plan(read("a\tb\na\tb\nb\na\n")).unwrap();
    assert_eq!((plan.objects.len(), plan.graph.edge_count()), (2, 1));
}

#[test]
fn objects_run_on_one_stage_with_an_entry_of_their_own() {
    let spec = read("a\tq\"\\uo\n");
    assert_eq!(spec.stages[0].worker.concurrency, 64);
    let plan = plan(spec).unwrap();
    assert_eq!(plan.stages[0].name.as_str(), "work");
    assert_eq!(plan.stages[0].processor, r#"{"simulate":{"duration":"0s"}}"#);
    assert_eq!(&*plan.object(ObjectIx(0)).meta, r#"{"id":"a"}"#);
    let entry: serde_json::Value = serde_json::from_str(&plan.object(ObjectIx(1)).meta).unwrap();
    assert_eq!(entry, serde_json::json!({"id": "q\"\\uo"}));
}

#[test]
fn every_broken_line_is_reported_at_once_with_its_number() {
    check(
        "# numbers count comments\na\tb\tc\nd\t\n\te\nx\tx\na b\nf\tg\n",
        "Malformed f line 2: there are more than two fields\n\
         Malformed f line 3: an id is missing beside the tab\n\
         Malformed f line 4: an id is missing beside the tab\n\
         Cycle f line 5: `x` depends on itself; remove the line\n\
         Malformed f line 6: there is a space and no tab; write `parent<TAB>child`; an id holds no spaces",
    );
}

#[test]
fn faults_between_objects_name_the_line_of_the_first_mention() {
    let text =
        |input: &str| plan(read(input)).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        text("x\ty\na\tb\nb\tc\nc\ta\n"),
        ["f line 2: cycle: `a -> b -> c -> a`; remove the line `c<TAB>a`"]
    );
    assert_eq!(
        text("a\tb,c\n"),
        ["f line 1: `b,c` is no object id: 1 to 253 printable characters without spaces or commas"]
    );
}

/// Real graphs, which the project does not contain: run with `GRAPHS=DIR` where they are.
#[test]
fn real_graphs_have_the_shape_that_their_readme_says() {
    let Some(folder) = std::env::var_os("GRAPHS").map(std::path::PathBuf::from) else {
        eprintln!("skipped: GRAPHS names no folder with graphs");
        return;
    };
    let known = [
        ("epfl-router", (344, 514, 55, 87)),
        ("wf-montage-chameleon-dss-15d-001", (2_122, 6_114, 8, 1_890)),
        ("epfl-voter", (14_759, 27_516, 71, 1_001)),
        ("epfl-mem_ctrl", (48_314, 93_945, 115, 2_009)),
    ];
    for (name, shape) in known {
        let bytes = std::fs::read(folder.join(format!("{name}.tsv.gz"))).unwrap();
        let plan = plan(orch_core::catalogue::read(name, &bytes).unwrap().0).unwrap();
        let order = Order::of(&plan.graph);
        let widest = order.levels().map(<[_]>::len).max().unwrap();
        assert_eq!((plan.objects.len(), plan.graph.edge_count(), order.depth(), widest), shape, "{name}");
    }
}
