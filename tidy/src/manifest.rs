//! The workspace's packages, as `cargo metadata` tells them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// A package of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its `Cargo.toml`.
    pub manifest_path: PathBuf,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
    /// The files that rustc starts from.
    targets: Vec<Target>,
}

/// One dependency of a package.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    /// Name of the package, whatever it is called here.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub kind: Option<DependencyKind>,
}

impl Dependency {
    /// Whether only tests, examples and benchmarks see it.
    pub fn is_dev(&self) -> bool {
        self.kind == Some(DependencyKind::Dev)
    }
}

/// What a dependency is for, where it is not for the package itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DependencyKind {
    /// Tests, examples and benchmarks.
    Dev,
    /// The build script.
    Build,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
    /// Whether `cargo test` runs it without being asked.
    test: bool,
}

impl Package {
    /// The files that rustc starts from.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        self.targets.iter().map(|target| target.src_path.as_path())
    }

    /// The tests that `cargo test` leaves out unless they are named.
    pub fn tests_left_out(&self) -> impl Iterator<Item = &str> {
        let left_out = self
            .targets
            .iter()
            .filter(|target| !target.test && target.kind.iter().any(|kind| kind == "test"));
        left_out.map(|target| target.name.as_str())
    }
}

/// Asks Cargo. It resolves nothing, so it needs neither a network nor a lock file that is up to date.
pub fn packages(root: &Path) -> Result<Vec<Package>, String> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    Ok(metadata.packages)
}
