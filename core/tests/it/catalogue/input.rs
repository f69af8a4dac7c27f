//! What all readers share: compression, encodings, broken JSON.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use orch_core::catalogue::{Room, append_catalogue, append_objects};
use orch_core::spec::RunSpec;

use super::check;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_is_known_by_its_first_bytes() {
    check(gzip("a\tb\n"), "a b(a)");
    check(gzip(r#"[{"id": 1}]"#), "1");
    check(gzip(r#"[{"IdObjet": 3000, "IdObjet_Parent": 1}]"#), "3000(1)");
    // Several members, as `cat a.gz b.gz` makes them.
    check([gzip("a\tb\n"), gzip("b\tc\n")].concat(), "a b(a) c(b)");
}

#[test]
fn a_file_that_is_cut_off_is_a_finding() {
    let whole = gzip(&"a\tb\n".repeat(1_000));
    let cut = &whole[..whole.len() - 9];
    let findings = orch_core::catalogue::read("f", cut).unwrap_err();
    assert!(
        findings[0].to_string().starts_with("f: it begins like gzip and cannot be decompressed"),
        "{findings:?}"
    );
}

#[test]
fn a_few_bytes_that_become_gigabytes_are_refused() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..129 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let mut spec = orch_core::spec::RunSpec::default();
    let findings = append_objects(&mut spec, &mut Room::default(), "f", &bomb).unwrap_err();
    assert_eq!(findings[0].to_string(), "f: it holds more than 128 MiB of text; split it into several runs");
}

/// A thousand ConfigMaps of a mebibyte each unpacked to what no machine has.
#[test]
fn texts_that_are_too_large_in_sum_are_refused() {
    let (mut spec, mut room) = (RunSpec::default(), Room::default());
    let text = gzip(&format!("[{}]", " ".repeat((90 << 20) - 2)));
    let mut add = |source: &str| append_objects(&mut spec, &mut room, source, &text);
    assert_eq!((add("one"), add("two")), (Ok(()), Ok(())));
    let findings = add("three").unwrap_err();
    let expected =
        "three: it and the sources before it hold more than 256 MiB of text; split the run into several";
    assert_eq!(findings[0].to_string(), expected);
    assert!(room.is_spent() && spec.sources.len() == 2);
}

#[test]
fn objects_that_are_too_many_in_sum_are_refused() {
    let (mut spec, mut room) = (RunSpec::default(), Room::default());
    let objects = |count: usize| format!("[{}{{\"id\":1}}]", "{\"id\":1},".repeat(count - 1)).into_bytes();
    append_objects(&mut spec, &mut room, "one", &objects(999_999)).unwrap();
    let before = (spec.objects.len(), spec.sources.len());
    let mut last = room;
    append_objects(&mut RunSpec::default(), &mut last, "last", &objects(1)).unwrap();
    assert!(!last.is_spent());
    append_objects(&mut RunSpec::default(), &mut last, "more", &objects(1)).unwrap_err();
    assert!(last.is_spent());
    for add in [false, true] {
        let (mut room, text) = (room, objects(2));
        let findings = if add {
            append_objects(&mut spec, &mut room, "two", &text).unwrap_err()
        } else {
            append_catalogue(&mut spec, &mut room, "two", &text).unwrap_err()
        };
        let expected = "two: with this the run has more than 1,000,000 objects; split the run into several";
        assert_eq!(findings[0].to_string(), expected);
        assert_eq!((spec.objects.len(), spec.sources.len()), before);
    }
}

#[test]
fn broken_json_gives_line_and_column() {
    check(
        "[\n  {\"id\": 1},\n  {\"id\": 2,}\n]",
        "Malformed f line 3 column 12: the JSON is broken here: key must be a string",
    );
    check("[{\"id\": 1}", "Malformed f line 1 column 10: the JSON is broken here: EOF while parsing a list");
    check("[{\"id\": 1}] x", "Malformed f line 1 column 13: the JSON is broken here: trailing characters");
    check("[{\"id\": 01}]", "Malformed f line 1 column 10: the JSON is broken here: invalid number");
    check("[{\"id\": 'x'}]", "Malformed f line 1 column 9: the JSON is broken here: expected value");
    check("[{\"id\" 1}]", "Malformed f line 1 column 8: the JSON is broken here: expected `:`");
}

#[test]
fn json_that_is_no_array_is_a_finding() {
    check(
        r#"{"id": 1}"#,
        "Malformed f: a JSON array of objects is expected, this is something else; put the objects between [ and ]",
    );
}

#[test]
fn encodings_other_than_utf8_are_findings() {
    check("\u{feff}[{\"id\": 1}]", "1");
    check([0xff, 0xfe, b'[', 0, b']', 0], "Malformed f: it is written in UTF-16; save it as UTF-8");
    check(b"a\tb\nc\td\xe9\n", "Malformed f line 2 column 4: the byte 0xe9 is not UTF-8; save it as UTF-8");
}

#[test]
fn json_nested_a_hundred_thousand_deep_costs_no_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let spec = super::read(&format!(r#"[{{"id": 1, "meta": {{"a": {deep}}}}}]"#));
    let findings = orch_core::plan::plan(spec).unwrap_err();
    assert_eq!(findings[0].to_string(), "f[0]: `meta` is nested deeper than 100 levels");
    // The array of arrays itself is no list of objects.
    check(&deep, "Malformed f[0]: an object is expected, this is a list");
}
