//! What must hold of any bytes that `hoist-elf` reads or edits, a function for each thing that is
//! done with them: each panics where it does not.
//!
//! The fuzz targets find the bytes, and `crates/hoist-elf/tests/{hostile,debug}.rs` run the same
//! functions over every fixture and its near neighbours.

mod dwarf;
mod header;
mod library;
mod rewrite;

pub use dwarf::dwarf;
pub use header::header;
pub use library::library;
pub use rewrite::rewrite;
