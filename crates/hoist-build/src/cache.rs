//! The action cache: from an action key to the store path that the action made.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::{sha256_of, write_atomically};
use crate::{ActionKey, BuildError};

/// What an action made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// The action's key; a record under another name is not believed.
    pub key: ActionKey,
    /// Store path of the output, absolute.
    pub store_path: String,
    /// Wall time of the build, in milliseconds.
    pub wall_ms: u64,
    /// CPU time of the build, in milliseconds.
    pub cpu_ms: u64,
    /// The isolation that was reached, as the sandbox names it.
    pub level: String,
}

/// A record with a digest of itself, so that a torn or edited one is noticed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    sha256: String,
    record: ActionRecord,
}

/// Records in one folder, a file each.
#[derive(Debug, Clone)]
pub struct ActionCache {
    folder: PathBuf,
}

impl ActionCache {
    /// The cache in `folder`, which belongs to one store.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// What the action made, if it is known. A record that is damaged counts as unknown; whether
    /// its store path is still valid is for the store to say.
    #[must_use]
    pub fn get(&self, key: &ActionKey) -> Option<ActionRecord> {
        read(&self.file(key)).filter(|record| record.key == *key)
    }

    /// Remembers what an action made.
    ///
    /// # Errors
    ///
    /// [`BuildError::Io`] when the folder cannot be written.
    pub fn put(&self, record: &ActionRecord) -> Result<(), BuildError> {
        let file = self.file(&record.key);
        let sealed = Sealed { sha256: seal(record), record: record.clone() };
        let json = serde_json::to_vec(&sealed).expect("a record is plain data");
        write_atomically(&file, &json).map_err(BuildError::io("write", &file))
    }

    /// Removes the records of what is gone: those whose store path `is_there` denies, and those that
    /// are damaged. Returns how many. What is remembered meanwhile may be forgotten again, at the
    /// price of a rebuild.
    ///
    /// # Errors
    ///
    /// [`BuildError::Io`] when the folder cannot be read or a record not be removed.
    pub fn forget(&self, is_there: impl Fn(&str) -> bool) -> Result<usize, BuildError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            entries => entries.map_err(BuildError::io("list", &self.folder))?,
        };
        let mut forgotten = 0;
        for entry in entries {
            let file = entry.map_err(BuildError::io("list", &self.folder))?.path();
            let Some(name) = file.file_name().and_then(|name| name.to_str()) else { continue };
            let Some(key) = name.strip_suffix(".json") else { continue }; // it is being written
            if read(&file)
                .is_some_and(|record| record.key.to_string() == key && is_there(&record.store_path))
            {
                continue;
            }
            fs::remove_file(&file).map_err(BuildError::io("remove", &file))?;
            forgotten += 1;
        }
        Ok(forgotten)
    }

    fn file(&self, key: &ActionKey) -> PathBuf {
        self.folder.join(format!("{key}.json"))
    }
}

/// What a file says, unless it is damaged.
fn read(file: &Path) -> Option<ActionRecord> {
    let sealed: Sealed = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    (sealed.sha256 == seal(&sealed.record)).then_some(sealed.record)
}

fn seal(record: &ActionRecord) -> String {
    sha256_of(&serde_json::to_vec(record).expect("a record is plain data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str) -> ActionRecord {
        ActionRecord {
            key: serde_json::from_value(key.into()).unwrap(),
            store_path: "/nix/store/00000000000000000000000000000000-x-1".to_owned(),
            wall_ms: 12,
            cpu_ms: 10,
            level: "hermetic".to_owned(),
        }
    }

    #[test]
    fn what_was_put_is_got() {
        let home = tempfile::tempdir().unwrap();
        let cache = ActionCache::new(home.path().join("actions"));
        assert_eq!(cache.get(&record("a").key), None);
        cache.put(&record("a")).unwrap();
        assert_eq!(cache.get(&record("a").key), Some(record("a")));
    }

    #[test]
    fn records_of_what_is_gone_are_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let cache = ActionCache::new(home.path().join("actions"));
        assert_eq!(cache.forget(|_| true).unwrap(), 0, "there is no folder yet");
        let gone = ActionRecord { store_path: "/nix/store/gone".to_owned(), ..record("b") };
        cache.put(&record("a")).unwrap();
        cache.put(&gone).unwrap();
        for name in ["damaged.json", "being-written"] {
            fs::write(home.path().join("actions").join(name), "{").unwrap();
        }
        assert_eq!(cache.forget(|path| path != gone.store_path).unwrap(), 2);
        assert_eq!((cache.get(&record("a").key), cache.get(&gone.key)), (Some(record("a")), None));
        assert!(home.path().join("actions/being-written").exists());
    }

    #[test]
    fn a_record_that_was_cut_edited_or_moved_is_unknown() {
        let home = tempfile::tempdir().unwrap();
        let cache = ActionCache::new(home.path());
        let (file, key) = (home.path().join("a.json"), record("a").key);
        cache.put(&record("a")).unwrap();
        let whole = fs::read_to_string(&file).unwrap();

        fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(cache.get(&key), None);
        fs::write(&file, whole.replace("-x-1", "-y-1")).unwrap();
        assert_eq!(cache.get(&key), None);
        fs::write(home.path().join("b.json"), &whole).unwrap();
        assert_eq!(cache.get(&record("b").key), None);
    }
}
