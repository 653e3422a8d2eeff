//! What must hold of any bytes that are taken for a library.
//!
//! `crates/hoist-elf/tests/hostile.rs` runs the same functions over small libraries and their near
//! neighbours.

mod facts;

pub use facts::facts;
