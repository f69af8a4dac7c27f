//! Reads the bytes of an input: a file, standard input, or a folder of resources as `kubectl apply -f` takes it.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::error::CliError;

/// Largest file after decompression.
const MAX_BYTES: u64 = 1 << 30;
/// What a file of a folder ends with when it holds resources; other files are none of ours.
const ENDS: [&str; 3] = ["yaml", "yml", "json"];

/// A file that was read.
#[derive(Debug)]
pub(super) struct File {
    /// Its name without its folder.
    pub name: String,
    /// Its bytes, decompressed when they were gzip.
    pub bytes: Vec<u8>,
}

/// What stands at the path of an input.
#[derive(Debug)]
pub(super) enum Source {
    /// One file, or standard input for `-`.
    File(File),
    /// A folder's name and its files of resources, by name.
    Folder(String, Vec<File>),
}

/// Reads what stands at the path.
pub(super) fn read(path: &Path) -> Result<Source, CliError> {
    if path != Path::new("-") && path.is_dir() {
        return folder(path);
    }
    Ok(Source::File(File { name: name(path), bytes: bytes(path)? }))
}

fn folder(path: &Path) -> Result<Source, CliError> {
    let unreadable = |source| CliError::Read { path: path.to_owned(), source };
    let entries: Vec<PathBuf> = std::fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>())
        .map_err(unreadable)?;
    let of_resources = |path: &PathBuf| {
        path.is_file() && path.extension().is_some_and(|end| ENDS.iter().any(|known| end == *known))
    };
    let mut paths: Vec<PathBuf> = entries.into_iter().filter(of_resources).collect();
    paths.sort();
    if paths.is_empty() {
        let problem =
            format!("the folder `{}` has no file that ends in .yaml, .yml or .json", path.display());
        return Err(CliError::usage(problem, "name a file, or a folder that `orch convert -o` wrote"));
    }
    let files = paths.iter().map(|path| Ok(File { name: name(path), bytes: bytes(path)? }));
    Ok(Source::Folder(name(path), files.collect::<Result<_, CliError>>()?))
}

/// The bytes of a file, or of standard input for `-`; decompressed when they are gzip.
fn bytes(path: &Path) -> Result<Vec<u8>, CliError> {
    let unreadable = |source| CliError::Read { path: path.to_owned(), source };
    let raw = if path == Path::new("-") {
        let mut raw = Vec::new();
        io::stdin().lock().read_to_end(&mut raw).map_err(unreadable)?;
        raw
    } else {
        std::fs::read(path).map_err(unreadable)?
    };
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return Ok(raw);
    }
    let mut plain = Vec::with_capacity(raw.len() * 4);
    let unpacked = MultiGzDecoder::new(raw.as_slice()).take(MAX_BYTES + 1).read_to_end(&mut plain);
    if let Err(error) = unpacked {
        let problem = format!("`{}` begins like gzip and cannot be decompressed: {error}", path.display());
        return Err(CliError::usage(problem, "the file may be cut off: write it again"));
    }
    if plain.len() as u64 > MAX_BYTES {
        let problem = format!("`{}` is larger than {} GiB when unpacked", path.display(), MAX_BYTES >> 30);
        return Err(CliError::usage(problem, "split it"));
    }
    Ok(plain)
}

/// What messages call a path: its last part.
fn name(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".to_owned();
    }
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
