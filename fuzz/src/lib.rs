//! What the fuzz targets share.

pub mod check;
pub mod daemon;
pub mod elf;
pub mod seeds;
pub mod tree;
