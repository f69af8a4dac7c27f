//! The `Objets.json` form.

use orch_core::catalogue::{Room, append_catalogue};
use orch_core::id::ObjectIx;
use orch_core::plan::plan;
use orch_core::spec::{RunSpec, Targets};
use serde_json::Value;

use super::{check, read};

/// A record with all 37 fields; `changes` replaces values or adds fields, given as JSON.
pub fn record(id: u64, parents: &str, changes: &[(&str, &str)]) -> String {
    let stage = ["1-Raw", "2-Standardized", "3-Application"][(id / 1_000).clamp(1, 3) as usize - 1];
    let (id, zone) = (id.to_string(), format!("\"{stage}\""));
    let mut fields = vec![
        ("IdObjet", id.as_str()),
        ("IdObjet_Parent", parents),
        ("NomObjet", "\"Relevés\""),
        ("NomFichier", "\"releves\""),
        ("Description_Objet", "\"Relevés du compteur, à l'heure\""),
        ("Patern", "\"na\""),
        ("TypeAuthentification", "null"),
        ("Scope", "null"),
        ("URI", "\"https:\\/\\/depot.example\\/releves\""),
        ("URL", "null"),
        ("parametres", "\"na\""),
        ("Criticité", "\"low\""),
        ("Fréquence", "\"30 2 * * *\""),
        ("NomSource0LookupId", "\"7\""),
        ("NomEntrepriseLookupId", "\"3\""),
        ("CodeDataset0LookupId", "\"021\""),
        ("EtatObjet", "\"actif\""),
        ("IdEntreprise", "3"),
        ("NomEntreprise", "\"odélis\""),
        ("CodeEntreprise", "\"ODL\""),
        ("DataLakeName", "\"Lac\""),
        ("DataLakeRootFolder", "\"ODL\""),
        ("IdSource", "7"),
        ("NomSource", "\"Depot\""),
        ("IdDataset", "21"),
        ("id", "\"21\""),
        ("Format", "\"parquet\""),
        ("Encoding", "\"utf-8\""),
        ("NiveauHierarchique", "\"object\""),
        ("FileLimit", "500.0"),
        ("FilePrefix", "null"),
        ("AppendMode", "\"full\""),
        ("Seperator", "\"na\""),
        ("Header", "\"na\""),
        ("Zone", zone.as_str()),
        ("Lastrun", "null"),
        ("Cryptedfile", "null"),
    ];
    assert_eq!(fields.len(), 37);
    for (field, value) in changes {
        match fields.iter_mut().find(|(name, _)| name == field) {
            Some(known) => known.1 = value,
            None => fields.push((field, value)),
        }
    }
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    format!("{{{}}}", fields.join(",\n  "))
}

fn catalogue(records: &[String]) -> String {
    format!("[\n{}\n]", records.join(",\n"))
}

/// One record with these parents.
#[track_caller]
fn check_parents(parents: &str, expected: &str) {
    check(catalogue(&[record(3000, parents, &[])]), expected);
}

#[test]
fn o1_meta_is_the_record_byte_for_byte_in_files_of_any_size() {
    for count in [1, 3, 400] {
        let extra = [("Clé inconnue", r#"{"é": [1, 2.50, null, "na"]}"#)];
        let records: Vec<String> = (0..count).map(|i| record(3_000 + i, "null", &extra)).collect();
        let plan = plan(read(&catalogue(&records))).unwrap();
        assert_eq!(plan.objects.len(), records.len());
        for (object, record) in plan.objects.iter().zip(&records) {
            assert_eq!(&*object.meta, record);
            let fields: serde_json::Map<String, Value> = serde_json::from_str(&object.meta).unwrap();
            assert_eq!(fields.len(), 38);
            assert_eq!(
                (&fields["TypeAuthentification"], &fields["parametres"]),
                (&Value::Null, &"na".into())
            );
            assert_eq!((&fields["id"], &fields["CodeDataset0LookupId"]), (&"21".into(), &"021".into()));
        }
    }
}

#[test]
fn the_catalogue_of_this_project_is_read_and_planned() {
    let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../Objets.json"));
    let (spec, warnings) = orch_core::catalogue::read("Objets.json", bytes).unwrap();
    assert_eq!(warnings, []);
    let plan = plan(spec).unwrap();
    assert!(plan.objects.len() >= 30);
    let of_2005 = orch_core::graph::descendants(&plan.graph, plan.find("2005").unwrap());
    assert!(of_2005.len() >= 2);
    for (object, record) in plan.objects.iter().zip(serde_json::from_slice::<Vec<Value>>(bytes).unwrap()) {
        assert_eq!(serde_json::from_str::<Value>(&object.meta).unwrap(), record);
        assert_eq!(record.as_object().unwrap().len(), 37);
    }
}

#[test]
fn o2_no_parents() {
    check_parents("null", "3000");
    check_parents("\"\"", "3000");
    check_parents("\" , ;,\"", "3000");
    check_parents("[]", "3000");
    check(r#"[{"IdObjet": 3000}]"#, "3000");
}

#[test]
fn o2_parents_as_text_number_or_list_are_a_set() {
    check_parents(r#""1005""#, "3000(1005)");
    check_parents("1005", "3000(1005)");
    check_parents("1005.0", "3000(1005)");
    check_parents(r#""2001, 2040""#, "3000(2001 2040)");
    check_parents(r#""1010, 1020,1010,1099""#, "3000(1010 1020 1099)");
    check_parents(r#"",1010,, 1020 ;1010;""#, "3000(1010 1020)");
    check_parents("\"1010,\\t1020\\n\"", "3000(1010 1020)");
    check_parents(r#""01010,1010""#, "3000(1010)");
    check_parents(r#"[1010, "1020", null, "1010,1030", 1010]"#, "3000(1010 1020 1030)");
}

#[test]
fn o2_a_junk_token_names_object_and_token() {
    let junk = |token: &str| {
        format!(
            "Malformed f[0].IdObjet_Parent: `3000` has `{token}` among its parents, which is no id; write ids as whole \
             numbers, separated by commas"
        )
    };
    check_parents(r#""1005, abc""#, &junk("abc"));
    check_parents(r#""na""#, &junk("na"));
    check_parents(r#""1005 1006""#, &junk("1005 1006"));
    check_parents(r#""-5""#, &junk("-5"));
    check_parents(r#""1005.0""#, &junk("1005.0"));
    check_parents("-5", &junk("-5"));
    check_parents("1005.5", &junk("1005.5"));
    check_parents("true", &junk("true"));
    check_parents(r#"{"id": 1}"#, &junk(r#"{"id": 1}"#));
    check_parents("[[1005]]", &junk("[1005]"));
    check_parents(r#""1005, x, y""#, &[junk("x"), junk("y")].join("\n"));
    check_parents(
        r#""9007199254740992""#,
        "UnsafeNumber f[0].IdObjet_Parent: `9007199254740992` is beyond 9007199254740991, which not every reader of JSON \
         keeps",
    );
}

#[test]
fn a_long_junk_token_is_cut() {
    let findings = orch_core::catalogue::read(
        "f",
        catalogue(&[record(3000, &format!("\"{}\"", "x".repeat(5_000)), &[])]).as_bytes(),
    );
    assert!(findings.unwrap_err()[0].to_string().len() < 300);
}

#[test]
fn every_broken_record_is_reported_at_once_with_its_position() {
    let records = [
        record(3000, "null", &[]),
        record(3001, "\"x\"", &[("NomObjet", "5")]),
        "17".to_owned(),
        record(3003, "null", &[("IdObjet", "\"abc\"")]),
        record(3004, "null", &[("IdObjet", "null")]),
        record(3005, "null", &[("IdObjet", "-1")]),
        record(3006, "null", &[("EtatObjet", "true"), ("Zone", "[]")]),
        r#"{"IdObjet": 3007, "IdObjet": 3008}"#.to_owned(),
    ];
    check(
        catalogue(&records),
        "Malformed f[1].IdObjet_Parent: `3001` has `x` among its parents, which is no id; write ids as whole numbers, \
         separated by commas\n\
         Malformed f[1].NomObjet: `NomObjet` of `3001` is 5, a text or null is expected\n\
         Malformed f[2]: an object is expected, this is a number\n\
         Malformed f[3].IdObjet: `IdObjet` is \"abc\", a whole number is expected\n\
         Malformed f[4].IdObjet: the record has no `IdObjet`\n\
         Malformed f[5].IdObjet: `IdObjet` is -1, a whole number is expected\n\
         Malformed f[6].EtatObjet: `EtatObjet` of `3006` is true, a text or null is expected\n\
         Malformed f[6].Zone: `Zone` of `3006` is [], a text or null is expected\n\
         Malformed f[7].IdObjet: `3007` has the field `IdObjet` more than once",
    );
}

#[test]
fn a_record_that_is_not_active_is_left_out_with_a_warning() {
    let records = [
        record(1000, "null", &[("EtatObjet", "\"inactif\"")]),
        record(3000, "null", &[("EtatObjet", "\" Actif \"")]),
        record(3001, "null", &[("EtatObjet", "null")]),
    ];
    check(
        catalogue(&records),
        "3000 3001\n\
         warning: Inactive f[0].EtatObjet: `1000` is `inactif`, not `actif`: it is left out, as if nobody defined it",
    );
}

#[test]
fn the_id_decides_when_the_zone_says_otherwise() {
    let records = [
        record(1000, "null", &[("Zone", "\"3-Application\"")]),
        record(3000, "\"1000\"", &[("Zone", "\"zone of its own\"")]),
        record(3001, "null", &[("Zone", "null")]),
    ];
    check(
        catalogue(&records),
        "1000 3000(1000) 3001\n\
         warning: ZoneConflict f[0].Zone: `1000` is in `ingest` by its id and in `application` by its zone \
         `3-Application`; the id decides",
    );
    let plan = plan(read(&catalogue(&records))).unwrap();
    assert_eq!(plan.stage_of(ObjectIx(0)).name.as_str(), "ingest");
}

#[test]
fn stages_targets_and_labels_are_those_of_the_original() {
    let spec =
        read(&catalogue(&[record(1000, "null", &[]), record(3000, "\"1000\"", &[("NomObjet", "null")])]));
    assert_eq!(spec.targets, Targets::Stage("application".into()));
    let stages: Vec<_> =
        spec.stages.iter().map(|stage| (&*stage.name, stage.id_range.unwrap(), &*stage.processor)).collect();
    assert_eq!(
        stages,
        [
            ("ingest", (1000, 1999), r#"{"simulate":{"duration":"500ms"}}"#),
            ("standardize", (2000, 2999), r#"{"simulate":{"duration":"600ms"}}"#),
            ("application", (3000, 9_007_199_254_740_991), r#"{"simulate":{"duration":"800ms"}}"#),
        ]
    );
    let plan = plan(spec).unwrap();
    assert_eq!((plan.label(ObjectIx(0)), plan.label(ObjectIx(1))), ("Relevés".into(), "Obj3000".into()));
}

#[test]
fn chunks_of_a_catalogue_are_appended_under_their_own_source() {
    let mut spec = RunSpec::default();
    let warnings = append_catalogue(
        &mut spec,
        &mut Room::default(),
        "a",
        catalogue(&[record(3000, "null", &[])]).as_bytes(),
    )
    .unwrap();
    assert_eq!(warnings, []);
    let broken = append_catalogue(&mut spec, &mut Room::default(), "b", b"[{}]").unwrap_err();
    assert_eq!(broken[0].to_string(), "b[0].IdObjet: the record has no `IdObjet`");
    append_catalogue(
        &mut spec,
        &mut Room::default(),
        "c",
        catalogue(&[record(3001, "3000", &[])]).as_bytes(),
    )
    .unwrap();
    let objects: Vec<_> =
        spec.objects.iter().map(|object| (object.source, object.position, &*object.id)).collect();
    assert_eq!(objects, [(0, 0, "3000"), (1, 0, "3001")]);
    let sources: Vec<_> = spec.sources.iter().map(|source| &*source.name).collect();
    assert_eq!(sources, ["a", "c"]);
}
