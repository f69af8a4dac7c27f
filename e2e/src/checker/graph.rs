//! The graph of a run, read from its manifest and from what that names.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::Value;

/// Attempts of an object whose manifest says nothing.
const MAX_ATTEMPTS: u64 = 3;

/// What a run names, as `kubectl get -o json` shows it.
#[derive(Debug, Default)]
pub struct Sources {
    /// Its Pipeline, if it has one.
    pub pipeline: Option<Value>,
    /// ConfigMaps by name.
    pub config_maps: BTreeMap<String, Value>,
}

/// Objects in the order of the manifest, and what each needs.
#[derive(Debug)]
pub struct Graph {
    /// Ids.
    pub ids: Vec<String>,
    /// Positions of ids.
    pub positions: HashMap<String, usize>,
    /// Positions of what each depends on.
    pub parents: Vec<Vec<usize>>,
    /// Positions of what depends on each.
    pub children: Vec<Vec<usize>>,
    /// Names of stages.
    pub stages: Vec<String>,
    /// Attempts at most.
    pub max_attempts: Vec<u64>,
}

impl Graph {
    /// Reads it; what this checker does not know is an error.
    pub fn of(run: &Value, sources: &Sources) -> Result<Self, String> {
        let spec = &run["spec"];
        let plain = [("undefinedDependencies", "Reject"), ("failurePolicy", "ContinueIndependent")];
        for (field, known) in plain {
            if spec.get(field).is_some_and(|value| value != known) {
                return Err(format!("spec.{field} {} is nothing that this checker judges", spec[field]));
            }
        }
        if spec.get("targets").is_some() {
            return Err("spec.targets is nothing that this checker judges".to_owned());
        }
        let stages = if spec.get("stages").is_some() {
            &spec["stages"]
        } else {
            &sources.pipeline.as_ref().ok_or("the run names a Pipeline: give it too")?["spec"]["stages"]
        };
        let stages = stages.as_array().ok_or("there are no stages")?;
        let mut graph = Self {
            ids: Vec::new(),
            positions: HashMap::new(),
            parents: Vec::new(),
            children: Vec::new(),
            stages: Vec::new(),
            max_attempts: Vec::new(),
        };
        let objects = objects(spec, sources)?;
        for object in &objects {
            graph.add(object, stages)?;
        }
        graph.children = vec![Vec::new(); graph.ids.len()];
        for (position, object) in objects.iter().enumerate() {
            for parent in object["dependsOn"].as_array().into_iter().flatten() {
                let parent = text(parent)?;
                let known = graph.positions.get(&parent).copied();
                let known = known.ok_or_else(|| format!("nobody defines `{parent}`"))?;
                if !graph.parents[position].contains(&known) {
                    graph.parents[position].push(known);
                    graph.children[known].push(position);
                }
            }
        }
        Ok(graph)
    }

    fn add(&mut self, object: &Value, stages: &[Value]) -> Result<(), String> {
        let id = text(&object["id"])?;
        if object.get("dependsOnStarted").is_some() {
            return Err(format!("dependsOnStarted of `{id}` is nothing that this checker judges"));
        }
        let stage = stage_of(object, &id, stages).ok_or_else(|| format!("`{id}` has no stage"))?;
        let attempts = |of: &Value| of["retry"]["maxAttempts"].as_u64();
        self.max_attempts.push(attempts(object).or_else(|| attempts(stage)).unwrap_or(MAX_ATTEMPTS));
        self.stages.push(text(&stage["name"])?);
        self.parents.push(Vec::new());
        if self.positions.insert(id.clone(), self.ids.len()).is_some() {
            return Err(format!("`{id}` stands there twice"));
        }
        self.ids.push(id);
        Ok(())
    }
}

/// The one that it names, the one with its number, or the only one.
fn stage_of<'a>(object: &Value, id: &str, stages: &'a [Value]) -> Option<&'a Value> {
    if let Some(name) = object.get("stage") {
        return stages.iter().find(|stage| stage["name"] == *name);
    }
    let number: Option<u64> = id.parse().ok();
    let has_it = |stage: &&Value| {
        let (from, to) = (stage["idRange"]["from"].as_u64(), stage["idRange"]["to"].as_u64());
        matches!((number, from, to), (Some(number), Some(from), Some(to)) if (from..=to).contains(&number))
    };
    stages.iter().find(has_it).or_else(|| stages.first().filter(|_| stages.len() == 1))
}

fn objects(spec: &Value, sources: &Sources) -> Result<Vec<Value>, String> {
    let mut objects = spec["objects"].as_array().cloned().unwrap_or_default();
    for source in spec["objectsFrom"].as_array().into_iter().flatten() {
        let from = &source["configMap"];
        let (name, key) = (text(&from["name"])?, text(&from["key"])?);
        if from.get("format").is_some_and(|format| format != "Objects") {
            return Err(format!(
                "the format {} of `{name}` is nothing that this checker reads",
                from["format"]
            ));
        }
        let map = sources.config_maps.get(&name).ok_or_else(|| format!("give the ConfigMap `{name}` too"))?;
        let json = match (&map["data"][&key], &map["binaryData"][&key]) {
            (Value::String(plain), _) => plain.clone().into_bytes(),
            (_, Value::String(packed)) => {
                STANDARD.decode(packed).map_err(|error| format!("`{name}`: {error}"))?
            }
            _ => return Err(format!("the ConfigMap `{name}` has no `{key}`")),
        };
        let is_packed = key.rsplit('.').next() == Some("gz");
        let json = if is_packed { unpacked(&json)? } else { json };
        let more: Vec<Value> = serde_json::from_slice(&json).map_err(|error| format!("`{name}`: {error}"))?;
        objects.extend(more);
    }
    Ok(objects)
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut plain).map_err(|error| error.to_string())?;
    Ok(plain)
}

/// The letters of `status.phaseMap`.
pub(super) fn letters(status: &Value) -> Result<Vec<u8>, String> {
    let map = &status["phaseMap"];
    if map["encoding"] != "gzip+base64" || map["order"] != "spec" {
        return Err(format!("status.phaseMap is {map}"));
    }
    let packed = STANDARD.decode(map["data"].as_str().unwrap_or_default());
    unpacked(&packed.map_err(|error| format!("status.phaseMap: {error}"))?)
}

/// Ids may be numbers.
fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!("{other} should be a text")),
    }
}
