//! What must hold of any bytes that `hoist-elf` reads, a function for each format: each panics
//! where it does not.
//!
//! The fuzz targets find the bytes, and `crates/hoist-elf/tests/debug.rs` runs the same function
//! over every fixture and its near neighbours.

mod dwarf;
mod header;

pub use dwarf::dwarf;
pub use header::header;
