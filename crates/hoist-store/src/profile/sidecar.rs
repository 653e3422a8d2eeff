//! What hoist knows of a generation beyond its link.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::FileError;
use crate::layout::{create_dir_all, replace_file};

/// Far beyond what hoist writes.
const MAX_LEN: u64 = 64 * 1024;

/// What is known of how a generation behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It was watched and works.
    Good,
    /// It was watched and does not work: rolling back passes over it.
    Bad,
    /// Nobody watched it yet.
    #[default]
    Unknown,
}

/// The file `N.json` of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sidecar {
    /// The generation that was current before.
    pub(super) parent: Option<u64>,
    /// When it was made, in seconds since 1970.
    pub(super) created: u64,
    /// Its absolute store path, which tells whether the file is of this generation.
    pub(super) store_path: String,
    #[serde(default)]
    pub(super) action_key: Option<String>,
    #[serde(default)]
    pub(super) health: Health,
}

impl Sidecar {
    /// Reads what is there; a file that is damaged is as good as none.
    pub(super) fn read(dir: &Path, number: u64) -> Option<Self> {
        let mut text = String::new();
        let file = File::open(path(dir, number)).ok()?;
        file.take(MAX_LEN).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    pub(super) fn write(&self, dir: &Path, number: u64) -> Result<(), FileError> {
        create_dir_all(dir)?;
        let mut text = serde_json::to_string(self).expect("texts and numbers are JSON");
        text.push('\n');
        replace_file(&path(dir, number), text.as_bytes())
    }
}

pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number}.json"))
}
