//! An action is all that can change an output; its key is the SHA-256 of its canonical JSON.

use std::collections::BTreeMap;
use std::fmt;

use hoist_schema::abi::AbiFile;
use hoist_schema::manifest::{Manifest, ToolchainKind};
use serde::{Deserialize, Serialize};

use crate::bindings::PYTHON_EDITION;
use crate::digest::sha256_of;
use crate::sources::SourceFile;
use crate::{BuildError, Promise, Sources, Toolchain, toolchain};

/// Edition of the action's form; a change of how builds are run needs a new one.
const EDITION: u32 = 2;

/// Whether a build sees only what it declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Namespaces: declared inputs only, no network unless asked for.
    Sandbox,
    /// The host as it is.
    Host,
}

/// All that can change an output. Serialised with its fields in this order, maps sorted by key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Action {
    edition: u32,
    system: String,
    package: String,
    version: String,
    toolchain: ToolchainKind,
    toolchain_digest: String,
    system_folders: Vec<String>,
    command: Vec<String>,
    env: BTreeMap<String, String>,
    network: bool,
    isolation: Isolation,
    sources: Vec<SourceFile>,
    libraries: Vec<PackedLibrary>,
    abi: AbiFile,
    #[serde(skip_serializing_if = "Option::is_none")]
    python: Option<PackedPython>,
}

/// What is packed beside the build's own output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct PackedLibrary {
    path: String,
    built: Option<String>,
    header: Option<String>,
    header_sha256: Option<String>,
}

/// The Python module that is packed, and the edition of what writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct PackedPython {
    module: String,
    edition: u32,
}

/// The SHA-256 of an action's canonical JSON, in base16.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionKey(String);

impl Action {
    /// The action that builds `manifest` from `sources` with `toolchain`.
    ///
    /// # Errors
    ///
    /// [`BuildError::Unsaid`] when neither the manifest nor the preset says the command.
    pub fn new(
        manifest: &Manifest,
        sources: &Sources,
        toolchain: &Toolchain,
        promise: &Promise,
        isolation: Isolation,
    ) -> Result<Self, BuildError> {
        let libraries = manifest.library.iter().map(|library| PackedLibrary {
            path: library.path.clone(),
            built: toolchain::built(toolchain.kind, library),
            header: library.header.clone(),
            header_sha256: library.header.as_ref().and_then(|path| promise.header_digest(path)),
        });
        Ok(Self {
            edition: EDITION,
            system: promise.abi.system.clone(),
            package: manifest.package.name.clone(),
            version: manifest.package.version.clone(),
            toolchain: toolchain.kind,
            toolchain_digest: toolchain.digest.clone(),
            system_folders: manifest.build.system.clone(),
            command: toolchain::command(manifest, sources)?,
            env: manifest.build.env.clone(),
            network: manifest.build.network,
            isolation,
            sources: sources.files.clone(),
            libraries: libraries.collect(),
            abi: promise.abi.clone(),
            python: manifest
                .package
                .python
                .clone()
                .map(|module| PackedPython { module, edition: PYTHON_EDITION }),
        })
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> ActionKey {
        let json = serde_json::to_vec(self).expect("an action is plain data");
        ActionKey(sha256_of(&json))
    }

    /// Program and arguments with `{out}` and `{cache}` unresolved.
    pub(crate) fn command(&self) -> &[String] {
        &self.command
    }

    /// Whether it runs in the sandbox.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }
}

impl fmt::Display for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// The key for a manifest, with sources and a toolchain that are always the same.
    fn key(build: &str, header: &str) -> ActionKey {
        let project = tempfile::tempdir().unwrap();
        for name in ["adder.h", "api.h"] {
            std::fs::write(project.path().join(name), "int add(int a, int b);").unwrap();
        }
        let text = format!(
            "[package]\nname = \"adder\"\nversion = \"1\"\n[build]\ntoolchain = \"cc\"\n\
             command = [\"cc\"]\nsources = [\"adder.c\"]\n{build}\n[[library]]\n\
             path = \"lib/libadder.so\"\nheader = \"{header}\"\n"
        );
        let manifest = Manifest::parse(&text).unwrap();
        let promise = Promise::read(project.path(), &manifest, "x86_64-linux").unwrap();
        let sources = Sources { project: PathBuf::new(), files: Vec::new() };
        let toolchain =
            Toolchain::of_the_system(ToolchainKind::Cc, "cc 1".to_owned(), "d".to_owned());
        Action::new(&manifest, &sources, &toolchain, &promise, Isolation::Sandbox).unwrap().key()
    }

    #[test]
    fn the_place_of_a_header_is_in_the_key() {
        assert_eq!(key("", "adder.h"), key("", "adder.h"));
        assert_ne!(key("", "adder.h"), key("", "api.h"));
    }

    #[test]
    fn the_places_of_system_folders_are_in_the_key() {
        assert_ne!(
            key("system = [\"/opt/a\"]", "adder.h"),
            key("system = [\"/opt/b\"]", "adder.h")
        );
    }
}
