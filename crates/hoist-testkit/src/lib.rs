//! What hoist's tests share: hermetic homes for the built command, and the real tools that its
//! output is held against.

mod command;
mod machine;
mod nix;
mod project;
mod tool;

pub use command::{Hoist, Run};
pub use machine::Namespace;
pub use nix::{NixRelease, nix_releases, trixie_folder};
pub use project::ADDER_MANIFEST;
pub use tool::{Tool, not_checked, tool};
