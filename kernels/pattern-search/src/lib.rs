//! Exact cosine top-k over a row-major matrix of `f32`, behind the C ABI of
//! `include/pattern_search.h`.
//!
//! - [`ffi`] is the door: it checks raw arguments, times the call and writes the outputs.
//! - `search` is the safe core: one query against every row.
//! - `kernel` sums dot products and squared norms, compiled once per instruction set.
//! - `score` turns sums into a cosine, also where `f32` would overflow or vanish.
//! - `top_k` keeps the best hits.
//!
//! `unsafe` is confined to the door and to `kernel`, where it enters code for a detected instruction
//! set. Nothing panics on any input.

#[expect(unsafe_code, reason = "raw pointers arrive from C; each use names its invariant")]
pub mod ffi;
#[expect(unsafe_code, reason = "code for a detected instruction set is unsafe to enter")]
mod kernel;
mod refusal;
mod score;
mod search;
#[cfg(test)]
mod testing;
mod top_k;
