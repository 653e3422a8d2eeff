//! From a manifest to an output tree: toolchains, sources, actions and their keys, the action
//! cache, and the build itself inside the sandbox.
//!
//! ```text
//! manifest + project ─▶ Toolchain ─┐
//!                       Sources ───┴▶ Action ─▶ key ─▶ ActionCache ─▶ hit: a store path
//!                                                          └─▶ miss: build() ─▶ output tree
//! ```
//!
//! The crate reads the project and the toolchain and writes below the cache folder only.

mod action;
mod beneath;
mod bindings;
mod build;
mod cache;
mod digest;
mod dirs;
mod error;
mod hidden;
mod promise;
mod sources;
mod staging;
mod toolchain;

pub use action::{Action, ActionKey, Isolation};
pub use bindings::{BindingsError, PYTHON_DIR, PythonBindings, python_bindings};
pub use build::{Built, Failed, Lacked, Request, Verdict, build};
pub use cache::{ActionCache, ActionRecord};
pub use dirs::{CacheDirs, WorkDir};
pub use error::BuildError;
pub use promise::Promise;
pub use sources::{SourceFile, Sources};
pub use toolchain::{Toolchain, find as find_toolchain};
