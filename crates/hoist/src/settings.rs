//! Where things are: read once from flags and the environment.

use std::env;
use std::path::PathBuf;

use hoist_build::{ActionCache, CacheDirs};
use hoist_nix::StorePathName;
use hoist_schema::Exit;
use hoist_store::{Store, StoreError};

use crate::error::CliError;
use crate::place::{AnyStore, Place, daemon_at, listening_daemon, machine_daemon, wants_a_folder};

/// The folders a command works with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The store root: `--store`, else `HOIST_ROOT`, else `$XDG_DATA_HOME/hoist`.
    pub(crate) root: PathBuf,
    /// The daemon whose store was asked for instead; [`Place::Root`] never.
    daemon: Option<Place>,
    /// What can be lost: `HOIST_CACHE_DIR`, else `$XDG_CACHE_HOME/hoist`.
    pub(crate) cache: CacheDirs,
}

impl Settings {
    pub(crate) fn new(store: Option<Place>) -> Result<Self, CliError> {
        let (folder, daemon) = match store {
            Some(Place::Root(folder)) => (Some(folder), None),
            daemon => (None, daemon),
        };
        let root = match folder.or_else(|| folder_variable("HOIST_ROOT")) {
            Some(root) => std::path::absolute(&root).map_err(CliError::io("find", &root))?,
            None => user_folder("XDG_DATA_HOME", ".local/share", "HOIST_ROOT")?,
        };
        let cache = match folder_variable("HOIST_CACHE_DIR") {
            Some(cache) => std::path::absolute(&cache).map_err(CliError::io("find", &cache))?,
            None => user_folder("XDG_CACHE_HOME", ".cache", "HOIST_CACHE_DIR")?,
        };
        Ok(Self { root, daemon, cache: CacheDirs::new(cache) })
    }

    /// The store wherever it is; in a folder, it is made when it is to be written and not there.
    pub(crate) fn any_store(&self, for_writing: bool) -> Result<AnyStore, CliError> {
        let daemon = match &self.daemon {
            Some(Place::Daemon) => Some(machine_daemon()?),
            Some(Place::Socket(socket)) => Some(daemon_at(socket)?),
            Some(Place::Auto) => listening_daemon(),
            Some(Place::Root(_)) | None => None,
        };
        Ok(match daemon {
            Some(daemon) => AnyStore::Daemon(Box::new(daemon)),
            None if for_writing => AnyStore::Folder(Box::new(self.store_for_writing()?)),
            None => AnyStore::Folder(Box::new(self.store()?)),
        })
    }

    /// Checks that the store is one in a folder.
    pub(crate) fn require_folder(&self) -> Result<(), CliError> {
        match &self.daemon {
            Some(Place::Daemon | Place::Socket(_)) => Err(wants_a_folder()),
            _ => Ok(()),
        }
    }

    /// The store, for reading; it must be there.
    pub(crate) fn store(&self) -> Result<Store, StoreError> {
        Store::open(&self.root)
    }

    /// The store, for writing; made when it is not there.
    pub(crate) fn store_for_writing(&self) -> Result<Store, StoreError> {
        Store::open_or_create(&self.root)
    }

    /// What actions made, in this store.
    pub(crate) fn actions(&self) -> ActionCache {
        ActionCache::new(self.root.join("nix/var/hoist/actions"))
    }
}

/// A store path's name, or what is wrong with it.
pub(crate) fn store_path_name(text: &str) -> Result<StorePathName, CliError> {
    StorePathName::parse(text).map_err(|error| CliError::new(Exit::Usage, error.to_string()))
}

/// The Nix name of the system this program runs on, e.g. `x86_64-linux`.
pub(crate) fn system() -> String {
    format!("{}-{}", env::consts::ARCH, env::consts::OS)
}

fn folder_variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn user_folder(xdg: &str, below_home: &str, ours: &str) -> Result<PathBuf, CliError> {
    // The XDG specification: a relative value is to be ignored.
    if let Some(base) = folder_variable(xdg).filter(|path| path.is_absolute()) {
        return Ok(base.join("hoist"));
    }
    let home = env::home_dir().filter(|home| home.is_absolute()).ok_or_else(|| {
        CliError::new(Exit::Machine, "this user has no home folder").hint(format!("set {ours}"))
    })?;
    Ok(home.join(below_home).join("hoist"))
}
