//! What must hold of any bytes, a function for each format: each panics where it does not.
//!
//! The fuzz targets find the bytes, and `crates/hoist-nix/tests/hostile.rs` runs the same functions
//! over every fixture and its near neighbours.

mod aterm;
mod export;
mod nar;
mod narinfo;
mod text;
mod wire;

pub use aterm::aterm;
pub use export::export;
pub use nar::nar;
pub use narinfo::narinfo;
pub use text::text;
pub use wire::wire;
