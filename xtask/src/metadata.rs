//! The workspace as cargo sees it.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::Result;
use crate::run::{cargo, quiet};

/// The workspace: its members and where it builds.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

/// One member.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
    /// `[package.metadata]`.
    pub(crate) metadata: Value,
}

/// One entry of a member's dependencies.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `dev` or `build`; none for a normal one.
    pub(crate) kind: Option<String>,
    /// Where it lies, for a member.
    pub(crate) path: Option<PathBuf>,
}

impl Metadata {
    /// Asks cargo; needs no network.
    pub(crate) fn read() -> Result<Self> {
        let json = quiet(&mut cargo(&["metadata", "--format-version=1", "--no-deps"]))?;
        Ok(serde_json::from_str(&json)?)
    }
}
