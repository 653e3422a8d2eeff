//! The main job, stage by stage: build → check → pack → store → bench → switch. Nothing lands
//! unchecked, and the profile moves last: a closed gate leaves it where it was.

mod bench;
mod bench_python;
mod stages;

pub(crate) use bench::bench;
pub(crate) use stages::{Landed, Maker, Making, ms};
