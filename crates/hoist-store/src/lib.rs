//! The store on disk, profiles and generations.
//!
//! A store lies below a root with the layout and the database of a Nix chroot store, so that
//! `nix-store --store 'local?root=ROOT'` opens it. Its paths are named `/nix/store/…` wherever the
//! root is. Nothing half-made is ever seen: a store path appears by one rename after all of it is
//! on disk, and a profile switches by one rename.
//!
//! ```
//! use hoist_nix::StorePathName;
//! use hoist_store::{NewGeneration, Profile, Store};
//!
//! let dir = tempfile::tempdir()?;
//! std::fs::write(dir.path().join("greeting"), "hello\n")?;
//!
//! let store = Store::open_or_create(&dir.path().join("root"))?;
//! let added = store.add_tree(&StorePathName::parse("greeting-1")?, &dir.path().join("greeting"))?;
//! assert_eq!(std::fs::read_to_string(store.physical(&added.path))?, "hello\n");
//!
//! let profile = Profile::open(&store, "greeting")?;
//! let created_unix = 1_700_000_000;
//! profile.switch(&added.path, &NewGeneration { created_unix, action_key: None })?;
//! assert_eq!(profile.current()?.map(|generation| generation.number), Some(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod add;
mod add_nar;
mod auto_roots;
mod backend;
mod daemon;
mod database;
mod derivations;
mod embedded;
mod error;
mod export;
mod gc;
mod install;
mod layout;
mod lock;
mod profile;
mod repair;
mod stat_cache;
mod store;
mod temp;
mod temp_roots;
mod tree;
mod verify;

pub use add::Added;
pub use add_nar::AddNarError;
pub use backend::{Backend, NewPath, Trust};
pub use daemon::{DaemonCollected, DaemonError, DaemonStore};
pub use database::PathInfo;
pub use error::{FileError, ProfileError, StoreError, TreeError};
pub use gc::{
    Collected, CollectedPath, GcError, GcEvent, Pin, Policy, RemovedGeneration, Root, RootKind,
    Roots,
};
pub use profile::{
    Current, Deletion, Generation, Health, NewGeneration, Profile, ProfileName, Switched,
    read_current,
};
pub use store::Store;
pub use tree::{dump, hash_tree, restore};
pub use verify::{Problem, VerifyProgress};
