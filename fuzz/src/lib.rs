//! What the fuzz targets share.

pub mod check;
pub mod check_elf;
pub mod daemon;
pub mod dependencies;
pub mod elf;
pub mod seeds;
pub mod tree;
