//! Reads the bytes of an input: a file, standard input, or a folder of resources as `kubectl apply -f` takes it.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::error::CliError;

/// Largest file, before and after decompression.
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
    let too_large = || {
        let problem = format!("`{}` is larger than {} GiB", path.display(), MAX_BYTES >> 30);
        CliError::usage(problem, "split it, or leave out what is no graph")
    };
    let raw = if path == Path::new("-") {
        up_to_limit(io::stdin().lock()).map_err(unreadable)?
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.len() > MAX_BYTES {
            return Err(too_large());
        }
        up_to_limit(file).map_err(unreadable)?
    };
    let raw = raw.ok_or_else(too_large)?;
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return Ok(raw);
    }
    match up_to_limit(MultiGzDecoder::new(raw.as_slice())) {
        Ok(plain) => plain.ok_or_else(too_large),
        Err(error) => {
            let problem =
                format!("`{}` begins like gzip and cannot be decompressed: {error}", path.display());
            Err(CliError::usage(problem, "the file may be cut off: write it again"))
        }
    }
}

/// All that comes; `None` when that is too much. A device may give bytes for ever.
fn up_to_limit(from: impl io::Read) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= MAX_BYTES).then_some(bytes))
}

/// What messages call a path: its last part.
fn name(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".to_owned();
    }
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
