//! The times of staged sources. Compilers' caches tell an old source from a new one by its time, so
//! a source has the same time as long as it has the same content, and a later one than all before
//! as soon as it has another: whatever time its file has on the host.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::digest::write_atomically;
use crate::sources::SourceFile;
use crate::{BuildError, Sources};

/// What a compiler's cache was last shown, in a file beside it.
#[derive(Debug)]
pub(crate) struct StagedTimes {
    file: PathBuf,
    earlier: BTreeMap<String, Staged>,
    now: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Staged {
    sha256: String,
    /// Since 1970.
    time: Duration,
}

impl StagedTimes {
    /// Opens the book at `file`. Without it, or when it is damaged, every source is a new one.
    pub(crate) fn open(file: PathBuf) -> Self {
        let earlier: BTreeMap<String, Staged> = fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let newest = earlier.values().map(|staged| staged.time).max().unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // A clock that was set back must not make a new source look old.
        let now = now.max(newest + Duration::from_nanos(1));
        Self { file, earlier, now }
    }

    /// The time that a source is staged with.
    pub(super) fn of(&self, source: &SourceFile) -> SystemTime {
        let earlier = self.earlier.get(&source.path);
        let same = earlier.filter(|staged| staged.sha256 == source.sha256);
        UNIX_EPOCH + same.map_or(self.now, |staged| staged.time)
    }

    /// Writes down what is staged, before the compiler sees it. A compiler that is stopped halfway
    /// may have used it already: had the book kept the content before, with its time, then going
    /// back to that content would look like no change.
    ///
    /// # Errors
    ///
    /// [`BuildError::Io`]: without the book, no build.
    pub(super) fn record(&self, sources: &Sources) -> Result<(), BuildError> {
        let staged: BTreeMap<&str, Staged> = sources
            .files
            .iter()
            .map(|source| {
                let time = self.of(source).duration_since(UNIX_EPOCH).unwrap_or_default();
                (source.path.as_str(), Staged { sha256: source.sha256.clone(), time })
            })
            .collect();
        let json = serde_json::to_vec(&staged).expect("a book is plain data");
        write_atomically(&self.file, &json).map_err(BuildError::io("write", &self.file))
    }
}

/// The book that belongs to the compiler's cache in `folder`; not below it, where builds write.
pub(crate) fn book_of(folder: &Path) -> PathBuf {
    folder.with_added_extension("times.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(content: &str) -> Sources {
        let file = SourceFile {
            path: "src/a.c".to_owned(),
            executable: false,
            sha256: content.to_owned(),
        };
        Sources { project: "/p".into(), files: vec![file] }
    }

    fn stage(book: &Path, content: &str) -> SystemTime {
        let (times, sources) = (StagedTimes::open(book.to_owned()), sources(content));
        times.record(&sources).unwrap();
        times.of(&sources.files[0])
    }

    #[test]
    fn the_same_content_keeps_its_time_and_another_is_later_than_all_before() {
        let home = tempfile::tempdir().unwrap();
        let book = home.path().join("times.json");
        let first = stage(&book, "A");
        assert_eq!(stage(&book, "A"), first);
        let second = stage(&book, "B"); // whether its build ended or was killed
        assert!(second > first);
        assert!(stage(&book, "A") > second);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_source_old() {
        let home = tempfile::tempdir().unwrap();
        let book = home.path().join("times.json");
        let far = Staged { sha256: "A".to_owned(), time: Duration::from_hours(24 * 365 * 200) };
        let written = BTreeMap::from([("src/a.c", far.clone())]);
        fs::write(&book, serde_json::to_vec(&written).unwrap()).unwrap();
        assert!(stage(&book, "B") > UNIX_EPOCH + far.time);
    }

    #[test]
    fn with_a_damaged_book_every_source_is_new() {
        let home = tempfile::tempdir().unwrap();
        let book = home.path().join("times.json");
        let first = stage(&book, "A");
        fs::write(&book, "{\"src/a.c\": ").unwrap();
        assert!(stage(&book, "A") > first);
    }
}
