//! What must hold of any library, a function for each thing that is done with one: each panics
//! where it does not.

mod rewrite;

pub use rewrite::rewrite;
