//! Any file as resources, and back.

use crate::program::{file, orch, orch_in};

#[test]
fn o1_a_converted_catalogue_runs_as_the_catalogue_does() {
    let yaml = orch(&["convert", "Objets.json"]);
    assert_eq!(yaml.status, 0, "{}", yaml.err);
    let folder = file("converted.yaml", &yaml.out);
    let args = |file| ["run", file, "--fail", "2005", "--speed", "50", "-o", "json"];
    let (of_yaml, of_json) = (orch_in(folder.path(), &args("converted.yaml")), orch(&args("Objets.json")));
    let outcome = |run: serde_json::Value| {
        let objects = run["status"]["objects"].as_array().unwrap().clone();
        let of = |object: &serde_json::Value| {
            ["id", "stage", "phase", "attempt", "rootCause"].map(|key| object[key].clone())
        };
        (
            run["status"]["counts"].clone(),
            run["metadata"]["name"].clone(),
            objects.iter().map(of).collect::<Vec<_>>(),
        )
    };
    let (of_yaml, of_json) = (of_yaml.json(), of_json.json());
    assert_eq!(of_yaml["spec"], of_json["spec"]);
    assert_eq!(outcome(of_yaml), outcome(of_json));
}

#[test]
fn a_large_graph_becomes_one_file_a_resource() {
    let lines: Vec<String> = (0..30_000_u64)
        .map(|n| format!("{:x}\t{:x}", n / 2 + 7, n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    let folder = file("big.tsv", &lines.join("\n"));
    let said = orch_in(folder.path(), &["convert", "big.tsv", "-o", "out"]);
    assert_eq!(said.status, 0, "{}", said.err);
    let names: Vec<String> = std::fs::read_dir(folder.path().join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.contains(&"big.yaml".to_owned()) && names.len() > 2, "{names:?}");
    for name in &names {
        let bytes = std::fs::metadata(folder.path().join("out").join(name)).unwrap().len();
        assert!(bytes < 256 << 10, "{name} has {bytes} bytes: kubectl apply would refuse it");
    }
    // One behind the other, as `cat out/*` gives them.
    let all: Vec<String> = names
        .iter()
        .map(|name| std::fs::read_to_string(folder.path().join("out").join(name)).unwrap())
        .collect();
    std::fs::write(folder.path().join("all.yaml"), all.concat()).unwrap();
    let count = |file| {
        let out = orch_in(folder.path(), &["validate", file]).out;
        out.lines().find(|line| line.contains("objects, ")).unwrap().to_owned()
    };
    assert_eq!(count("all.yaml"), count("big.tsv"));
    assert_eq!(count("out/"), count("big.tsv"), "the folder, as kubectl apply -f takes it");
    let graph = |file| orch_in(folder.path(), &["graph", file]).out;
    assert_eq!(graph("out/"), graph("big.tsv"));
    let run = orch_in(folder.path(), &["run", "out", "-q"]);
    assert_eq!(run.status, 0, "{}", run.all());
    std::fs::write(folder.path().join("out/broken.yml"), "kind: [\n").unwrap();
    let broken = orch_in(folder.path(), &["validate", "out"]);
    assert!(
        broken.status == 2 && broken.err.contains("out: broken.yml line 1, column 7: kind"),
        "{}",
        broken.err
    );
    // Without the ConfigMaps the graph is not there, and the message says what to do.
    let alone = orch_in(folder.path(), &["validate", "out/big.yaml"]);
    assert_eq!(alone.status, 2);
    assert!(
        alone.err.contains("does not exist")
            && alone.err.contains("hint: put the run and its ConfigMaps into one file"),
        "{}",
        alone.err
    );
}

#[test]
fn a_large_resource_is_shrunk() {
    let objects: Vec<String> =
        (0..9_000).map(|n| format!("{{\"id\":\"object-{n}\",\"stage\":\"a\",\"name\":\"n{n}\"}}")).collect();
    let text = format!(
        "{{\"apiVersion\":\"kafka-orchestrator.dev/v1alpha1\",\"kind\":\"PipelineRun\",\"metadata\":{{\"name\":\"inline\"}},\
         \"spec\":{{\"stages\":[{{\"name\":\"a\",\"processor\":{{\"simulate\":{{}}}}}}],\"objects\":[{}]}}}}",
        objects.join(",")
    );
    let folder = file("inline.json", &text);
    let warned = orch_in(folder.path(), &["validate", "inline.json"]);
    assert!(warned.err.contains("in a cluster this is refused"), "{}", warned.all());
    let said = orch_in(folder.path(), &["convert", "inline.json", "--name", "renamed"]);
    assert!(said.out.contains("objectsFrom:") && said.out.contains("name: renamed"), "{}", said.err);
    assert!(said.out.len() < 256 << 10);
    std::fs::write(folder.path().join("back.yaml"), &said.out).unwrap();
    let back = orch_in(folder.path(), &["validate", "back.yaml"]);
    assert!(back.out.contains("9000 objects"), "{}", back.all());
}
