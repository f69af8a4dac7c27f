//! What is measured: a graph in the forms that the rows need.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use orch_core::catalogue;
use orch_core::plan::{RunPlan, plan};
use orch_e2e::graphs::{Graph, edge_list, level_sizes, objects_json};

use crate::args::Args;
use crate::shapes;

/// Objects of a ConfigMap.
const CHUNK: usize = 5_000;

/// See the module.
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) graph: Graph,
    /// How many objects stand on each level.
    pub(crate) levels: Vec<usize>,
    /// The same as the runner takes it.
    pub(crate) plan: Arc<RunPlan>,
}

impl Subject {
    pub(crate) fn new(name: &str, graph: Graph) -> Self {
        let (mut spec, _) = catalogue::read(name, objects_json(&graph).as_bytes()).unwrap();
        for stage in &mut spec.stages {
            stage.partitions = 1;
        }
        let plan = Arc::new(plan(spec).unwrap());
        Self { name: name.to_owned(), levels: level_sizes(&graph), graph, plan }
    }

    /// Its objects.
    pub(crate) fn len(&self) -> usize {
        self.graph.len()
    }

    /// Its dependencies.
    pub(crate) fn edges(&self) -> usize {
        self.graph.iter().map(|(_, of)| of.len()).sum()
    }

    /// Its objects for ConfigMaps, which take a mebibyte each.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = String> {
        self.graph.chunks(CHUNK).map(|chunk| objects_json(&chunk.to_vec()))
    }
}

/// The graphs of the folder, or generated ones.
pub(crate) fn subjects(args: &Args) -> Vec<Subject> {
    let Some(folder) = &args.graphs else {
        let made = if args.quick { shapes::small() } else { shapes::all() };
        return made.into_iter().map(|(name, graph)| Subject::new(name, graph)).collect();
    };
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".tsv.gz"));
    files.sort();
    assert!(!files.is_empty(), "{} has no file NAME.tsv.gz", folder.display());
    let name =
        |file: &Path| file.file_name().unwrap().to_string_lossy().trim_end_matches(".tsv.gz").to_owned();
    files.iter().map(|file| Subject::new(&name(file), edge_list(file))).collect()
}
