//! The files of the tree.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold what is made, not what is written.
const MADE: [&str; 4] = ["target", "node_modules", "__pycache__", "dist"];

/// One file.
#[derive(Debug, Clone)]
pub struct File {
    /// From the root of the tree, with `/`.
    pub path: String,
    /// What stands in it.
    pub text: String,
}

impl File {
    /// Whether it belongs to tests: a folder `tests`, or a `tests.rs` beside what it tests.
    pub fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    /// Whether its name ends so.
    pub fn ends_with(&self, end: &str) -> bool {
        self.path.ends_with(end)
    }
}

/// Every text file of the tree.
#[derive(Debug)]
pub struct Tree {
    /// The folder with the workspace's manifest.
    pub root: PathBuf,
    /// In the order of their paths.
    pub files: Vec<File>,
}

impl Tree {
    /// Reads the tree that this crate stands in. What is hidden, made, or no text is left out; `.ci` is not hidden.
    pub fn read() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().unwrap_or(here).to_path_buf();
        let mut files = Vec::new();
        collect(&root, "", &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { root, files }
    }

    /// The files whose names end so.
    pub fn with_end<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.ends_with(end))
    }

    /// The file at this path.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// A path of the machine as one of the tree.
    pub fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().replace('\\', "/")
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                let hidden = name.starts_with('.') && name != ".ci";
                if !hidden && !MADE.contains(&name.as_str()) {
                    collect(&entry.path(), &path, files);
                }
            }
            Ok(kind) if kind.is_file() => {
                if let Ok(text) = fs::read_to_string(entry.path()) {
                    files.push(File { path, text });
                }
            }
            _ => {}
        }
    }
}

/// The line, from 1, in which the byte at `offset` stands.
pub fn line_of(text: &str, offset: usize) -> usize {
    1 + text.match_indices('\n').take_while(|(at, _)| *at < offset).count()
}
