use orch_core::plan::plan;
use orch_crds::StatusField;

use super::*;
use crate::args::ChoiceArgs;
use crate::input::parse;

const CATALOGUE: &str = include_str!("../../../Objets.json");

fn spec(file: &str, text: &str) -> RunSpec {
    parse(file, text.as_bytes(), &ChoiceArgs::default(), StatusField::Ignored).unwrap().graph.unwrap().spec
}

/// (id, stage, name, dependencies, meta)
type Meaning = (String, String, Option<String>, Vec<String>, serde_json::Value);

/// What every object of a run means, whatever it was read from.
fn meaning(spec: RunSpec) -> Vec<Meaning> {
    let plan = plan(spec).unwrap();
    let id = |ix| plan.object(ix).id.as_str().to_owned();
    plan.indices()
        .map(|ix| {
            let object = plan.object(ix);
            let meta = serde_json::from_str(&object.meta).unwrap();
            let dependencies = plan.graph.dependencies(ix).iter().map(|ix| id(*ix)).collect();
            let stage = plan.stage_of(ix).name.as_str().to_owned();
            (id(ix), stage, object.name.as_deref().map(str::to_owned), dependencies, meta)
        })
        .collect()
}

/// The resources as a file that somebody applies.
fn yaml(manifest: &Manifest) -> String {
    let maps = manifest.config_maps.iter().map(|map| serde_yaml::to_string(map).unwrap());
    let documents: Vec<String> = maps.chain([serde_yaml::to_string(&manifest.run).unwrap()]).collect();
    documents.join("---\n")
}

#[test]
fn o1_a_converted_catalogue_means_the_same() {
    let before = spec("Objets.json", CATALOGUE);
    let manifest = manifest("objets", &before).unwrap();
    assert!(manifest.config_maps.is_empty());
    let after = spec("objets.yaml", &yaml(&manifest));
    assert_eq!((&after.stages, &after.targets), (&before.stages, &before.targets));
    assert_eq!(meaning(after), meaning(before));
}

#[test]
fn a_large_catalogue_goes_into_config_maps_and_means_the_same() {
    let one: Vec<serde_json::Value> = serde_json::from_str(CATALOGUE).unwrap();
    let many: Vec<serde_json::Value> = (0..4_000)
        .map(|n| {
            let mut record = one[n % one.len()].clone();
            let id = if n == 0 { 3_000 } else { 3_000 + n };
            record["IdObjet"] = id.into();
            record["IdObjet_Parent"] =
                if n == 0 { serde_json::Value::Null } else { (id - 1).to_string().into() };
            record["Zone"] = "3-Application".into();
            // Texts that do not compress, so that several chunks are needed.
            let noise: Vec<String> = (1..40_u64)
                .map(|k| format!("{:x}", (n as u64 + k).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
                .collect();
            record["Description_Objet"] = noise.concat().into();
            record
        })
        .collect();
    let before = spec("big.json", &serde_json::to_string(&many).unwrap());
    let manifest = manifest("big", &before).unwrap();
    assert!(manifest.config_maps.len() > 1, "{}", manifest.config_maps.len());
    for map in &manifest.config_maps {
        let bytes = map.binary_data.as_ref().unwrap()[chunks::KEY].0.len();
        assert!(bytes < 190 << 10, "{bytes}");
        assert_eq!(map.immutable, Some(true));
    }
    assert!(serde_json::to_string(&manifest.run).unwrap().len() < 20 << 10);
    assert_eq!(meaning(spec("big.yaml", &yaml(&manifest))), meaning(before));
}

#[test]
fn lists_with_overrides_and_edge_lists_mean_the_same() {
    let list = r#"[{"id": 1, "stage": "a", "params": {"x": 500.0}, "retry": {"maxAttempts": 5, "initialDelay": "90s"}},
        {"id": "é/2", "stage": "b", "dependsOn": [1], "meta": {"k": null}, "timeouts": {"run": "1500ms"},
         "processor": {"simulate": {"duration": "10ms"}}}]"#;
    let before = spec("list.json", list);
    let after = spec("list.yaml", &yaml(&manifest("list", &before).unwrap()));
    let policies = |spec: RunSpec| -> Vec<_> {
        let params =
            |text: Option<&str>| text.map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap());
        let objects = plan(spec).unwrap().objects;
        objects.iter().map(|o| (o.policies.retry, o.policies.timeouts, params(o.params.as_deref()))).collect()
    };
    assert_eq!(policies(after), policies(before));

    let before = spec("graph.tsv", "a\tb\na\tc\nb\td\nc\td\nalone\n");
    let after = spec("graph.yaml", &yaml(&manifest("graph", &before).unwrap()));
    let edges =
        |spec| meaning(spec).into_iter().map(|(id, stage, _, on, _)| (id, stage, on)).collect::<Vec<_>>();
    assert_eq!(edges(after), edges(before));
}

#[test]
fn durations_are_written_exactly() {
    for (ms, text) in
        [(0, "0s"), (1, "1ms"), (1_500, "1500ms"), (2_000, "2s"), (90_000, "90s"), (7_200_000, "2h")]
    {
        assert_eq!(entry::duration(ms), text);
    }
}
