//! The limits of a run: what has them is taken, what is beyond is refused, by the reader where one sees it and by the
//! plan in any case. `docs/limits.md` lists them.

use std::io::Write;
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use orch_core::catalogue::{self, Room, append_catalogue, append_objects};
use orch_core::finding::Finding;
use orch_core::limits;
use orch_core::plan::plan;
use orch_core::spec::{
    ObjectSpec, RetryPolicy, RunSpec, Source, SourceForm, StageSpec, Timeouts, UndefinedPolicy, WorkerPolicy,
};

/// A run of one stage with these objects.
fn run(objects: Vec<ObjectSpec>) -> RunSpec {
    let stage = StageSpec {
        name: "work".to_owned(),
        id_range: None,
        processor: r#"{"simulate":{}}"#.to_owned(),
        worker: WorkerPolicy::default(),
        partitions: 4,
        retry: RetryPolicy::default(),
        timeouts: Timeouts::default(),
    };
    let sources = vec![Source::new("spec.objects", SourceForm::Objects)];
    RunSpec { stages: vec![stage], objects, sources, ..RunSpec::default() }
}

fn object(position: u32, depends_on: Vec<String>) -> ObjectSpec {
    ObjectSpec { position, id: format!("o{position}"), depends_on, ..ObjectSpec::default() }
}

fn ids(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|n| format!("u{n}")).collect()
}

#[track_caller]
fn check<T>(result: Result<T, Vec<Finding>>, expected: &[&str]) {
    let findings = result.err().unwrap_or_default();
    let said: Vec<String> = findings.iter().map(|f| format!("{} {f}", f.kind.reason())).collect();
    assert_eq!(said, expected);
}

const TOO_MANY_OF_ONE: &str = "an object has at most 100,000 dependencies, this one has more; have it depend on objects that \
     depend on a part of them each";

#[test]
fn a_run_has_a_million_objects() {
    let spec = |count: usize| run(vec![object(7, Vec::new()); count]);
    check(
        plan(spec(limits::OBJECTS + 1)),
        &[
            "TooLarge spec.objects[7]: with this the run has more than 1,000,000 objects; split the run into several",
        ],
    );
    // Those of the same id are another matter, and were looked at.
    assert!(plan(spec(2)).unwrap_err()[0].to_string().contains("is defined again"));
    let list = |count: usize| format!("[{}{{}}]", "{},".repeat(count - 1));
    check(
        catalogue::read("f", list(limits::OBJECTS + 1).as_bytes()),
        &["TooLarge f: with this the run has more than 1,000,000 objects; split the run into several"],
    );
    let lines: Vec<String> = (0..=limits::OBJECTS).map(|n| n.to_string()).collect();
    check(
        catalogue::read("f", lines.join("\n").as_bytes()),
        &[
            "TooLarge f line 1000001: with this the run has more than 1,000,000 objects; split the run into several",
        ],
    );
}

#[test]
fn objects_that_nobody_defined_count_too() {
    let spec = |more: usize| {
        let tenth = limits::OBJECTS / 10;
        let of = |n: usize| object(n as u32, ids(n * tenth, if n == 9 { tenth - 10 + more } else { tenth }));
        let objects = (0..10).map(of).collect();
        RunSpec { undefined_dependencies: UndefinedPolicy::Run, ..run(objects) }
    };
    assert_eq!(plan(spec(0)).unwrap().objects.len(), limits::OBJECTS);
    check(
        plan(spec(3)),
        &[
            "TooLarge spec.objects[9].dependsOn[99990]: with this the run has more than 1,000,000 objects; split the run into \
           several",
        ],
    );
}

#[test]
fn a_run_has_ten_million_dependencies() {
    let expected = "with this the run has more than 10,000,000 dependencies; split the run into several";
    let edges = vec![(0, 1); limits::DEPENDENCIES];
    let objects = vec![object(0, Vec::new()), object(1, vec!["o0".to_owned()])];
    let refused = plan(RunSpec { edges, ..run(objects) });
    check(refused, &[&format!("TooLarge spec.objects[1].dependsOn: {expected}")]);
    let lines = "a\tb\n".repeat(limits::DEPENDENCIES + 1);
    check(catalogue::read("f", lines.as_bytes()), &[&format!("TooLarge f: {expected}")]);

    let of_one = "1,".repeat(limits::DEPENDENCIES_OF_ONE - 1);
    let entry = format!(r#"{{"id": 1, "dependsOn": [{of_one}1]}},"#);
    let list = format!("[{}{{\"id\": 2, \"dependsOn\": [1]}}, 3, 4]", entry.repeat(100));
    let mut room = Room::default();
    let refused = append_objects(&mut RunSpec::default(), &mut room, "f", list.as_bytes());
    // Nobody reads on.
    check(refused, &[&format!("TooLarge f[100].dependsOn: {expected}")]);
    assert!(room.is_spent());
}

#[test]
fn an_object_has_a_hundred_thousand_dependencies() {
    let wide = |count: usize| {
        let objects = vec![object(0, ids(0, count))];
        RunSpec { undefined_dependencies: UndefinedPolicy::AssumeLoaded, ..run(objects) }
    };
    assert_eq!(
        plan(wide(limits::DEPENDENCIES_OF_ONE)).unwrap().graph.edge_count(),
        limits::DEPENDENCIES_OF_ONE
    );
    let refused = plan(wide(limits::DEPENDENCIES_OF_ONE + 1));
    check(refused, &[&format!("TooLarge spec.objects[0].dependsOn: {TOO_MANY_OF_ONE}")]);

    let lines: Vec<String> = (0..=limits::DEPENDENCIES_OF_ONE).map(|n| format!("{n}\tjoin")).collect();
    let spec = catalogue::read("f", lines.join("\n").as_bytes()).unwrap().0;
    check(plan(spec), &[&format!("TooLarge f line 1: {TOO_MANY_OF_ONE}")]);

    let numbers = |count: usize| (1..=count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let (most, more) = (numbers(limits::DEPENDENCIES_OF_ONE), numbers(limits::DEPENDENCIES_OF_ONE + 1));
    for (field, of) in [
        ("dependsOn", [format!("[{most}]"), format!("[{more}]")]),
        ("IdObjet_Parent", [format!("[{most}]"), format!("[{more}]")]),
        ("IdObjet_Parent", [format!("\"{most}\""), format!("\"{more}\"")]),
    ] {
        let id = if field == "dependsOn" { "id" } else { "IdObjet" };
        let [most, more] = of.map(|ids| format!(r#"[{{"{id}": 3000, "{field}": {ids}}}, {{"{id}": 5}}]"#));
        assert_eq!(catalogue::read("f", most.as_bytes()).unwrap().0.objects.len(), 2);
        let refused = catalogue::read("f", more.as_bytes());
        check(refused, &[&format!("TooLarge f[0].{field}: {TOO_MANY_OF_ONE}")]);
    }
}

/// Without a `meta` of its own an object carries its entry, and the entry names all that it depends on.
#[test]
fn an_object_that_carries_too_many_ids_is_told_to_have_a_meta() {
    let ids: Vec<String> = (0..60_000).map(|n| format!("\"id-{n}\"")).collect();
    let list = |more: &str| format!(r#"[{{"id": "a", "dependsOn": [{}]{more}}}]"#, ids.join(","));
    let planned = |list: String| {
        let spec = catalogue::read("f", list.as_bytes()).unwrap().0;
        plan(RunSpec { undefined_dependencies: UndefinedPolicy::AssumeLoaded, ..spec })
    };
    check(
        planned(list("")),
        &[
            "TooLarge f[0]: `a` carries 648917 bytes of meta, params and processor, a record has room for 491520; give it a \
           `meta` of its own: without one its record carries the whole entry, with all that it depends on",
        ],
    );
    assert!(planned(list(r#", "meta": {}"#)).is_ok());
}

#[test]
fn an_entry_has_a_thousand_fields() {
    let entry = |count: usize| {
        let fields: Vec<String> = (1..count).map(|n| format!("\"f{n}\": {n}")).collect();
        format!(r#"[{{"IdObjet": 3000, {}}}]"#, fields.join(","))
    };
    assert!(catalogue::read("f", entry(limits::FIELDS).as_bytes()).is_ok());
    check(
        catalogue::read("f", entry(limits::FIELDS + 1).as_bytes()),
        &["Malformed f[0]: the entry has more than 1,024 fields"],
    );
}

#[test]
fn a_run_has_64_stages() {
    let spec = |count: usize| {
        let mut spec = run(vec![ObjectSpec { stage: Some("s0".to_owned()), ..object(0, Vec::new()) }]);
        let stage = spec.stages.remove(0);
        spec.stages = (0..count).map(|n| StageSpec { name: format!("s{n}"), ..stage.clone() }).collect();
        spec
    };
    assert!(plan(spec(limits::STAGES)).is_ok());
    check(
        plan(spec(limits::STAGES + 1)),
        &[
            "Malformed spec.stages: a run has 1 to 64 stages, this one has 65; let objects of one kind of work share a stage",
        ],
    );
}

/// A ConfigMap of a mebibyte can be a gigabyte. A thousand of them were unpacked one after the other, 128 MiB each.
#[test]
fn a_text_that_is_refused_takes_its_room_too() {
    let packed = |mib: usize| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let spaces = vec![b' '; 1 << 20];
        (0..mib).for_each(|_| encoder.write_all(&spaces).unwrap());
        encoder.finish().unwrap()
    };
    let bomb = packed(130);
    let mut cut_off = packed(127);
    cut_off.truncate(cut_off.len() - 9);
    let no_text = vec![0xff; 127 << 20];
    for (bytes, kind, tries) in [(bomb, "TooLarge", 2), (cut_off, "Malformed", 3), (no_text, "Malformed", 3)]
    {
        let mut room = Room::default();
        for nth in 1..=tries {
            let (spec, room) = (&mut RunSpec::default(), &mut room);
            assert!(!room.is_spent(), "{nth}");
            let refused = if nth % 2 == 0 {
                append_objects(spec, room, "f", &bytes).unwrap_err()
            } else {
                append_catalogue(spec, room, "f", &bytes).unwrap_err()
            };
            let expected = if nth == tries { "TooLarge" } else { kind };
            assert_eq!(refused[0].kind.reason(), expected, "{nth}: {refused:?}");
        }
        assert!(room.is_spent());
    }
}

/// Each repetition of a field was looked for among all fields before it.
#[test]
fn an_entry_of_a_million_fields_is_refused_in_no_time() {
    let list = format!(r#"[{{{}"id": 1}}]"#, "\"a\":1,".repeat(500_000) + &"\"id\":1,".repeat(500_000));
    let began = Instant::now();
    check(catalogue::read("f", list.as_bytes()), &["Malformed f[0]: the entry has more than 1,024 fields"]);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}
