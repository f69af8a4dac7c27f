//! What is refused, and how it is said.

use std::fmt::Write as _;
use std::time::Instant;

use crate::program::{assert_said, orch_in, orch_on};

#[test]
fn broken_json_names_line_and_column() {
    let said = orch_on("run", "broken.json", "[{\"IdObjet\": 1001,\n  \"IdObjet_Parent\": }]", &[]);
    assert_said!(said, @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: broken.json line 2 column 21: the JSON is broken here: expected value
    "#);
}

#[test]
fn o2_a_junk_parent_names_object_and_token() {
    let text = r#"[{"IdObjet":1000},{"IdObjet":3000,"IdObjet_Parent":"1000, x12"},{"IdObjet":3001,"IdObjet_Parent":"10.5"}]"#;
    assert_said!(orch_on("run", "junk.json", text, &[]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: `junk.json` is refused: 2 findings

      junk.json[1].IdObjet_Parent: `3000` has `x12` among its parents, which is no id
        hint: write ids as whole numbers, separated by commas
      junk.json[2].IdObjet_Parent: `3001` has `10.5` among its parents, which is no id
        hint: write ids as whole numbers, separated by commas
    "#);
}

#[test]
fn o9_a_cycle_is_named_with_its_path() {
    let text = r#"[{"IdObjet":1000},{"IdObjet":2000,"IdObjet_Parent":"1000,3000"},{"IdObjet":3000,"IdObjet_Parent":"2000"}]"#;
    assert_said!(orch_on("run", "cycle.json", text, &[]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: cycle.json[1].IdObjet_Parent: cycle: `2000 -> 3000 -> 2000`

    hint: remove `3000` from `IdObjet_Parent` of `2000`
    "#);
    assert_said!(orch_on("validate", "cycle.tsv", "a\tb\nb\tc\nc\ta\n", &[]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: cycle.tsv line 1: cycle: `a -> b -> c -> a`

    hint: remove the line `c<TAB>a`
    "#);
}

#[test]
fn o10_an_unknown_parent_is_refused_by_default() {
    assert_said!(orch_on("validate", "unknown.json", r#"[{"id":"a","dependsOn":["b"]}]"#, &[]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: unknown.json[0].dependsOn[0]: `a` depends on `b`, which is defined nowhere

    hint: define it, correct the id, or set `undefinedDependencies` to AssumeLoaded or Run

    hint: `--undefined assume-loaded` or `--undefined run` sets the policy for this command
    "#);
}

#[test]
fn o7_an_id_without_a_stage_is_refused() {
    assert_said!(orch_on("run", "low.json", r#"[{"IdObjet":999},{"IdObjet":3000,"IdObjet_Parent":"999"}]"#, &[]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: low.json[0].IdObjet: no stage takes `999`

    hint: give it a `stage` or an id in a range: `ingest` takes 1000 to 1999, `standardize` takes 2000 to 2999, `application` takes 3000 to 9007199254740991
    "#);
}

#[test]
fn every_fault_is_reported_at_once() {
    let text =
        r#"[{"IdObjet":"x"},{"NomObjet":"no id"},{"IdObjet":3000,"IdObjet_Parent":"a,b"},{"IdObjet":3000}]"#;
    assert_said!(orch_on("validate", "many.json", text, &[]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: `many.json` is refused: 4 findings

      many.json[0].IdObjet: `IdObjet` is "x", a whole number is expected
      many.json[1].IdObjet: the record has no `IdObjet`
      many.json[2].IdObjet_Parent: `3000` has `a` among its parents, which is no id
        hint: write ids as whole numbers, separated by commas
      many.json[2].IdObjet_Parent: `3000` has `b` among its parents, which is no id
        hint: write ids as whole numbers, separated by commas
    "#);
}

#[test]
fn resources_are_read_strictly() {
    let text = "apiVersion: kafka-orchestrator.dev/v1alpha1\nkind: PipelineRun\nmetadata: {name: slip}\nspec:\n  \
        stages: [{name: a, processor: {simulate: {}}}]\n  objects:\n  - {id: 7, dependson: []}\n";
    assert_said!(orch_on("validate", "slip.yaml", text, &[]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: `slip.yaml` is refused: 2 findings

      line 7, column 10: spec.objects[0].id: invalid type: integer `7`, expected a string
        hint: put it into quotes
      line 7, column 24: spec.objects[0].dependson: nobody knows this field
    "#);
}

#[test]
fn a_text_or_a_number_is_neither_an_edge_list_nor_a_resource() {
    for text in ["\"abc\"", "42", "true", "null", "abc\n"] {
        for name in ["scalar.json", "scalar.txt", "scalar"] {
            let said = orch_on("run", name, text, &[]);
            assert_eq!((said.status, said.out.as_str()), (2, ""), "{name}: {text}");
            assert!(said.err.contains("there is no line `parent<TAB>child` in it"), "{}", said.err);
        }
    }
    for (text, line) in [("\"abc\"\n", 1), ("# nothing\n42\n", 2), ("- a\n- b\n", 1)] {
        let said = orch_on("run", "scalar.yaml", text, &[]);
        let place = format!("error: scalar.yaml: line {line}, column 1: this is no resource: ");
        assert!(said.status == 2 && said.err.starts_with(&place), "{}", said.all());
    }
}

#[test]
fn files_that_are_not_there_or_hold_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_said!(orch_in(folder.path(), &["validate", "nothing.json"]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: cannot read `nothing.json`
      because: No such file or directory (os error 2)
    "#);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    assert_said!(orch_in(folder.path(), &["run", "empty/"]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: the folder `empty/` has no file that ends in .yaml, .yml or .json

    hint: name a file, or a folder that `orch convert -o` wrote
    "#);
    assert_said!(orch_on("validate", "empty.json", "[]", &[]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: empty.json: there is no object to run
    "#);
}

/// YAML of so many megabytes took gigabytes of memory.
#[test]
fn a_file_of_resources_has_at_most_64_mib() {
    let large = "apiVersion: kafka-orchestrator.dev/v1alpha1\n".to_owned() + &"#\n".repeat(33 << 20);
    for name in ["large.yaml", "large.txt"] {
        let said = orch_on("validate", name, &large, &[]);
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{}", said.err);
        let expected = format!(
            "error: {name}: line 1: 66 MiB of resources, at most 64 MiB are read\n\nhint: write the objects"
        );
        assert!(said.err.starts_with(&expected), "{}", said.err);
    }
}

/// What is no file of a graph may have any length.
#[test]
fn a_file_of_more_than_a_gibibyte_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("disk.img")).unwrap();
    file.set_len((1 << 30) + 1).unwrap();
    assert_said!(orch_in(folder.path(), &["validate", "disk.img"]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: `disk.img` is larger than 1 GiB

    hint: split it, or leave out what is no graph
    "#);
}

#[test]
fn two_hundred_thousand_objects_are_checked_within_seconds() {
    let mut text = String::from("[");
    for n in 0..200_000_u32 {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(text, r#"{comma}{{"id":"{n}","dependsOn":["{}","{}"]}}"#, n / 2, n / 3);
    }
    text.push(']');
    let text = text.replace(r#""dependsOn":["0","0"]"#, r#""dependsOn":[]"#);
    let begun = Instant::now();
    let said = orch_on("validate", "large.json", &text, &[]);
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(said.out.contains("200000 objects, "), "{}", said.out);
    assert!(took < 10.0, "{took}");
}

#[test]
fn a_processor_of_a_list_was_dropped_without_a_word() {
    let text = r#"[{"id":"a","processor":{"spark":{}}},{"id":"b","processor":{"simulate":{"duraton":"1s"}}},
        {"id":"c","processor":{"simulate":{"duration":"soon"}}}]"#;
    assert_said!(orch_on("convert", "list.json", text, &[]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: `list.json` is refused: 3 findings

      list.json[0].processor.spark: nobody knows this field
      list.json[1].processor.simulate.duraton: nobody knows this field
      list.json[2].processor.simulate.duration: `soon` is no duration: write numbers with ms, s, m or h, such as 500ms, 1.5s or 2h30m
    "#);
}

#[test]
fn one_of_everything_is_counted_as_one() {
    let graph = orch_on("graph", "one.json", r#"[{"id":"a"},{"id":"b","dependsOn":["a"]}]"#, &[]);
    assert_said!(graph, @r#"
    exit status 0
    ---- stdout
    one: 2 objects, 1 dependency, 2 levels

    level 1
      a  work

    level 2
      b  work  <- a
    ---- stderr
    "#);
    let valid = orch_on("validate", "one.json", r#"[{"id":"a"}]"#, &[]);
    assert!(valid.out.contains("run one: 1 object, 0 dependencies, depth 1, width 1"), "{}", valid.out);
}

const HEAD: &str = "apiVersion: kafka-orchestrator.dev/v1alpha1\nkind: PipelineRun\n";
const STAGES: &str = "stages: [{name: a, processor: {simulate: {}}}]";

fn run(name: &str, objects: &str) -> String {
    format!("{HEAD}metadata: {{name: {name}}}\nspec:\n  {STAGES}\n  objects: {objects}\n")
}

fn config_map(name: &str, objects: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\nimmutable: true\ndata: {{o.json: '{objects}'}}\n"
    )
}

#[test]
fn two_of_a_name_are_refused_and_the_same_twice_is_one() {
    let (one, other) = (run("x", "[{id: a, stage: a}]"), run("x", "[{id: b, stage: a}]"));
    for choice in [&[][..], &["--run", "x"]] {
        let said = orch_on("validate", "two.yaml", &format!("{one}---\n{other}"), choice);
        assert!(
            said.status == 2 && said.err.contains("`two.yaml` holds two PipelineRuns `x` that differ"),
            "{}",
            said.all()
        );
        let said = orch_on("validate", "same.yaml", &format!("{one}---\n{one}"), choice);
        assert_eq!(said.status, 0, "{}", said.all());
    }
    let of_maps = |first: &str, second: &str| {
        let from = "objectsFrom: [{configMap: {name: m, key: o.json, format: Objects}}]";
        let run = format!("{HEAD}metadata: {{name: x}}\nspec:\n  {STAGES}\n  {from}\n");
        let text = format!("{}---\n{}---\n{run}", config_map("m", first), config_map("m", second));
        orch_on("validate", "maps.yaml", &text, &[])
    };
    let (a, b) = (r#"[{"id":"a","stage":"a"}]"#, r#"[{"id":"b","stage":"a"}]"#);
    assert_eq!(of_maps(a, a).status, 0);
    let said = of_maps(a, b);
    assert!(
        said.status == 2 && said.err.contains("`maps.yaml` holds two ConfigMaps `m` that differ"),
        "{}",
        said.all()
    );
}

#[test]
fn a_status_in_a_file_that_is_run_is_ignored() {
    let text = format!("{}status: {{phase: Molten, weather: fine}}\n", run("x", "[{id: a, stage: a}]"));
    for command in ["run", "validate", "convert"] {
        let said = orch_on(command, "x.yaml", &text, &[]);
        assert_eq!(said.status, 0, "{}", said.all());
        assert!(!said.out.contains("Molten"), "{}", said.out);
    }
    let said = orch_on("status", "x.yaml", &text, &[]);
    assert!(
        said.status == 2 && said.err.contains("status.phase: unknown variant `Molten`"),
        "{}",
        said.all()
    );
}

#[test]
fn a_header_that_is_not_allowed_is_found_before_the_run() {
    let objects = r#"[{"id":"a","processor":{"http":{"url":"http://127.0.0.1:9","headers":{"x y":"1"}}}}]"#;
    assert_said!(orch_on("run", "header.json", objects, &[]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: header.json[0].processor.http.headers: `x y` is no name of a header

    hint: a name has letters, digits and dashes, and no spaces or colons
    "#);
}

#[cfg(feature = "cluster")]
#[test]
fn a_file_that_is_not_there_is_no_question_for_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    for (name, problem) in [
        ("run.yaml", "there is no file `run.yaml`"),
        ("out/run", "there is no file `out/run`"),
        ("run.json.gz", "there is no file `run.json.gz`"),
        ("Objets", "there is no file `Objets`, and no run can have this name"),
        ("objets", "there is no file `objets` either"),
    ] {
        for arguments in [&["status", name][..], &["why", name, "1"], &["graph", name]] {
            let said = orch_in(folder.path(), arguments);
            assert!(said.status == 2 && said.err.contains(problem), "{}", said.all());
        }
    }
    for command in ["watch", "cancel", "rerun"] {
        let said = orch_in(folder.path(), &[command, "run.yaml"]);
        let problem = "error: `run.yaml` is no name of a run in a cluster";
        assert!(said.status == 2 && said.err.starts_with(problem), "{}", said.all());
    }
}

#[test]
fn a_resource_that_is_not_utf8_names_the_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("latin.yaml"), b"apiVersion: v1\nkind: \xe9\n").unwrap();
    let said = orch_in(folder.path(), &["validate", "latin.yaml"]);
    assert!(
        said.status == 2 && said.err.starts_with("error: latin.yaml: line 2: a byte is not UTF-8"),
        "{}",
        said.all()
    );
}

#[test]
fn common_slips_have_a_remedy() {
    let stages = "stages: [{name: a, processor: {simulate: {}}}]";
    for (spec, problem, remedy) in [
        (format!("\n\t{stages}"), "line 5, column 1: ", "hint: YAML is indented by spaces, not by tabs"),
        (format!(" {{{stages}, objects: [], timeout: 1.5}}"), "spec.timeout: ", "hint: put it into quotes"),
        (format!(" {{{stages}, objects: [], pipelineRef: {{name: p}}}}"), "either stages or pipelineRef", ""),
    ] {
        let said =
            orch_on("validate", "slip.yaml", &format!("{HEAD}metadata: {{name: x}}\nspec:{spec}\n"), &[]);
        assert!(
            said.status == 2 && said.err.contains(problem) && said.err.contains(remedy),
            "{}",
            said.all()
        );
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cut.json.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
    let said = orch_in(folder.path(), &["validate", "cut.json.gz"]);
    let remedy = "hint: the file may be cut off: write it again";
    assert!(said.status == 2 && said.err.contains(remedy), "{}", said.all());
}
