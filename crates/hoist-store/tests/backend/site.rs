//! Stores for single checks.

use std::path::{Path, PathBuf};

use hoist_store::Backend;
use tempfile::TempDir;

/// A kind of store that the suite runs on.
pub(crate) trait Kind: Sync {
    /// What it is, for people.
    fn name(&self) -> String;

    /// Opens the store whose root is `root`, after making it where there is none. Others may have it
    /// open as well.
    fn open(&self, root: &Path) -> Box<dyn Backend>;
}

/// A new store, with room beside it.
pub(crate) struct Site<'k> {
    opener: Opener<'k>,
    dir: TempDir,
    backend: Box<dyn Backend>,
}

/// What opens the same store in another thread.
#[derive(Clone)]
pub(crate) struct Opener<'k> {
    kind: &'k dyn Kind,
    root: PathBuf,
}

impl Opener<'_> {
    pub(crate) fn open(&self) -> Box<dyn Backend> {
        self.kind.open(&self.root)
    }
}

impl<'k> Site<'k> {
    pub(crate) fn new(kind: &'k dyn Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let opener = Opener { kind, root: dir.path().join("root") };
        let backend = opener.open();
        Self { opener, dir, backend }
    }

    pub(crate) fn store(&self) -> &dyn Backend {
        &*self.backend
    }

    /// Opens the same store once more.
    pub(crate) fn open(&self) -> Box<dyn Backend> {
        self.opener.open()
    }

    pub(crate) fn opener(&self) -> Opener<'k> {
        self.opener.clone()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.opener.root
    }

    /// A path outside the store.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}
