//! The operator's own connection: a folder, most often a Secret that is mounted, and so something that changes when its
//! password does.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use orch_bus::BusError;
use tracing::{info, warn};

use super::{Files, KEYS};
use crate::lock::lock;

/// The folder is read again after this.
const FRESH: Duration = Duration::from_secs(1);
/// The kubelet swaps a mounted Secret as a whole by this link, and deletes what it led to before.
const SWAPPED: &str = "..data";

/// See the module.
pub(super) struct Own {
    folder: PathBuf,
    bootstrap: Option<String>,
    last: Mutex<Last>,
}

struct Last {
    files: Files,
    read_at: Instant,
    /// Why it could not be read since.
    trouble: Option<String>,
}

impl Own {
    pub(super) fn new(folder: &Path, bootstrap: Option<&str>) -> Result<Self, BusError> {
        let files = read(folder, bootstrap).map_err(BusError::Config)?;
        let last = Mutex::new(Last { files, read_at: Instant::now(), trouble: None });
        Ok(Self { folder: folder.to_owned(), bootstrap: bootstrap.map(str::to_owned), last })
    }

    /// The connection as it is now. While it cannot be read it is what it was before.
    pub(super) fn now(&self) -> Files {
        let mut last = lock(&self.last);
        if last.read_at.elapsed() >= FRESH {
            last.renew(read(&self.folder, self.bootstrap.as_deref()));
        }
        last.files.clone()
    }
}

impl Last {
    fn renew(&mut self, found: Result<Files, String>) {
        self.read_at = Instant::now();
        let trouble = match found {
            Ok(files) => {
                if files != self.files {
                    info!("the operator's own connection to Kafka has changed");
                }
                self.files = files;
                None
            }
            Err(problem) => Some(problem),
        };
        if let Some(problem) = trouble.as_ref().filter(|_| trouble != self.trouble) {
            warn!(%problem, "the operator's own connection to Kafka stays as it was");
        }
        self.trouble = trouble;
    }
}

/// What stands in the folder, with `bootstrap` in place of its own `bootstrap.servers`.
fn read(folder: &Path, bootstrap: Option<&str>) -> Result<Files, String> {
    let mut files = read_at_once(folder)?;
    if let Some(bootstrap) = bootstrap {
        let properties = files.entry(KEYS[0].to_owned()).or_default();
        let kept: Vec<String> = String::from_utf8_lossy(properties)
            .lines()
            .filter(|line| !line.trim_start().starts_with("bootstrap.servers"))
            .map(str::to_owned)
            .chain([format!("bootstrap.servers={bootstrap}")])
            .collect();
        *properties = (kept.join("\n") + "\n").into_bytes();
    }
    if files.contains_key(KEYS[0]) {
        Ok(files)
    } else {
        Err(format!("no {} in {}, and ORCH_BOOTSTRAP_SERVERS is not set", KEYS[0], folder.display()))
    }
}

/// All files of one state of the folder, also when it is swapped meanwhile.
fn read_at_once(folder: &Path) -> Result<Files, String> {
    let data = folder.join(SWAPPED);
    let state = || data.canonicalize().ok();
    loop {
        let before = state();
        let from = before.as_deref().unwrap_or(folder);
        let files = KEYS.iter().filter_map(|key| match std::fs::read(from.join(key)) {
            Ok(content) => Some(Ok(((*key).to_owned(), content))),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => Some(Err(format!("{}: {error}", folder.join(key).display()))),
        });
        let files: Result<Files, String> = files.collect();
        if state() == before {
            return files;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder as the kubelet mounts a Secret, in its state `name`.
    fn swap(folder: &Path, name: &str, files: &[(&str, &str)]) {
        std::fs::create_dir(folder.join(name)).unwrap();
        for (key, content) in files {
            std::fs::write(folder.join(name).join(key), content).unwrap();
            let link = folder.join(key);
            if !link.is_symlink() {
                symlink(Path::new(SWAPPED).join(key), link).unwrap();
            }
        }
        symlink(name, folder.join("..new")).unwrap();
        std::fs::rename(folder.join("..new"), folder.join(SWAPPED)).unwrap();
    }

    fn texts(files: &Files) -> Vec<(&str, &str)> {
        files.iter().map(|(key, value)| (key.as_str(), std::str::from_utf8(value).unwrap())).collect()
    }

    #[test]
    fn a_mounted_secret_is_read_in_one_state() {
        let folder = tempfile::tempdir().unwrap();
        swap(folder.path(), "..1", &[("client.properties", "a=1"), ("ca.crt", "old")]);
        let before = read(folder.path(), None).unwrap();
        assert_eq!(texts(&before), [("ca.crt", "old"), ("client.properties", "a=1")]);
        swap(folder.path(), "..2", &[("client.properties", "a=2"), ("ca.crt", "new")]);
        std::fs::remove_dir_all(folder.path().join("..1")).unwrap();
        let after = read(folder.path(), Some("b:9092")).unwrap();
        let properties = "a=2\nbootstrap.servers=b:9092\n";
        assert_eq!(texts(&after), [("ca.crt", "new"), ("client.properties", properties)]);
    }

    /// Half of a Secret was taken for all of it, and a file that may not be read for one that is not there.
    #[test]
    fn a_connection_that_cannot_be_read_any_more_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let properties = folder.path().join("client.properties");
        std::fs::write(&properties, "a=1").unwrap();
        let own = Own::new(folder.path(), None).unwrap();
        let mut last = own.last.lock().unwrap();
        std::fs::remove_file(&properties).unwrap();
        // Something is there, and it is no file.
        std::fs::create_dir(&properties).unwrap();
        last.renew(read(folder.path(), None));
        assert_eq!(texts(&last.files), [("client.properties", "a=1")]);
        assert!(last.trouble.as_ref().unwrap().contains("client.properties: "), "{:?}", last.trouble);
        std::fs::remove_dir(&properties).unwrap();
        std::fs::write(&properties, "a=2").unwrap();
        last.renew(read(folder.path(), None));
        assert_eq!((texts(&last.files), last.trouble.clone()), (vec![("client.properties", "a=2")], None));
    }
}
