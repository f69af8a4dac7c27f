//! Judges runs by their topics; see `orch_e2e::checker`. Its exit status is 0 when nothing was found, 1 when something
//! was, 2 when it cannot judge.
//!
//! ```sh
//! kubectl get pipelineruns sales -o json > run.json
//! orch-history --kafka localhost:9092 --with configmaps.json --with pipeline.json run.json
//! ```
//! `--with`: what `kubectl get -o json` says of a ConfigMap or a Pipeline that the run names, or a list of such.
//! `--dump FILE`: records that were kept, one a line as JSON, in place of `--kafka`. `--incomplete TOPIC`: a topic that
//! was deleted. Where the operator truncates its topics, the records that it threw away are missed: switch that off.
#![allow(clippy::unwrap_used)]

use std::io::BufReader;
use std::process::ExitCode;

use orch_e2e::checker::{Graph, Leave, Log, Sources, judge, read_dump, read_topics};
use serde_json::Value;

#[derive(Default)]
struct Asked {
    kafka: Option<String>,
    dump: Option<String>,
    sources: Sources,
    leave: Leave,
    runs: Vec<Value>,
}

fn main() -> ExitCode {
    match asked().and_then(|asked| all_is_well(&asked)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(2)
        }
    }
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--kafka" => asked.kafka = Some(value()?),
            "--dump" => asked.dump = Some(value()?),
            "--incomplete" => asked.leave.incomplete.push(value()?),
            "--with" => with(&mut asked.sources, json(&value()?)?)?,
            option if option.starts_with('-') => return Err(format!("there is no option {option}")),
            file => asked.runs.push(json(file)?),
        }
    }
    if asked.runs.is_empty() { Err("name the file of a run".to_owned()) } else { Ok(asked) }
}

fn json(file: &str) -> Result<Value, String> {
    let text = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("{file}: {error}"))
}

fn with(sources: &mut Sources, resource: Value) -> Result<(), String> {
    match resource["kind"].as_str() {
        Some("Pipeline") => sources.pipeline = Some(resource),
        Some("ConfigMap") => {
            let name = resource["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            sources.config_maps.insert(name, resource);
        }
        _ => {
            let Value::Array(items) = resource["items"].clone() else {
                return Err(format!("a {} is neither a Pipeline nor a ConfigMap", resource["kind"]));
            };
            for item in items {
                with(sources, item)?;
            }
        }
    }
    Ok(())
}

fn all_is_well(asked: &Asked) -> Result<bool, String> {
    let mut is_well = true;
    for run in &asked.runs {
        let graph = Graph::of(run, &asked.sources)?;
        let verdict = judge(run, &graph, &log(asked, run)?, &asked.leave)?;
        print!("{}/{}: {verdict}", text(run, "namespace"), text(run, "name"));
        is_well &= verdict.findings.is_empty();
    }
    Ok(is_well)
}

fn text<'a>(run: &'a Value, field: &str) -> &'a str {
    run["metadata"][field].as_str().unwrap_or_default()
}

fn log(asked: &Asked, run: &Value) -> Result<Log, String> {
    match (&asked.dump, &asked.kafka) {
        (Some(dump), _) => {
            let file = std::fs::File::open(dump).map_err(|error| format!("{dump}: {error}"))?;
            read_dump(BufReader::new(file))
        }
        (None, Some(kafka)) => {
            let stage = &run["status"]["stages"][0];
            let (topic, name) = (stage["topic"].as_str(), stage["name"].as_str());
            let base = topic.zip(name).and_then(|(topic, name)| topic.strip_suffix(name));
            read_topics(kafka, base.ok_or("status.stages names no topic")?)
        }
        (None, None) => Err("say where the records are: --kafka HOST:PORT or --dump FILE".to_owned()),
    }
}
