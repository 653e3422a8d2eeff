//! What a build prints.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use hoist_schema::manifest::Manifest;

use crate::{BuildError, CacheDirs};

/// Lines of the log that a failure shows.
const SHOWN_LINES: usize = 20;

/// Most bytes of a log that are kept in memory; the file has all of it.
const KEPT_LOG_BYTES: usize = 256 << 10;

/// What a build printed: all of it in a file, the end of it in memory.
pub(super) struct Log {
    pub(super) path: PathBuf,
    file: File,
    tail: Vec<u8>,
}

impl Log {
    pub(super) fn create(dirs: &CacheDirs, manifest: &Manifest) -> Result<Self, BuildError> {
        let path = dirs.folder("logs")?.join(format!("{}.log", manifest.package.name));
        let file = File::create(&path).map_err(BuildError::io("write the log", &path))?;
        Ok(Self { path, file, tail: Vec::new() })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        let _ = self.file.write_all(bytes); // a full disk must not hide how the build ended
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 2 * KEPT_LOG_BYTES {
            self.tail.drain(..self.tail.len() - KEPT_LOG_BYTES);
        }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.tail).into_owned()
    }

    /// The last lines with something on them, for a message.
    pub(super) fn last_lines(&self) -> Vec<String> {
        let text = self.text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let first_shown = lines.len().saturating_sub(SHOWN_LINES);
        lines[first_shown..].iter().map(ToString::to_string).collect()
    }
}
