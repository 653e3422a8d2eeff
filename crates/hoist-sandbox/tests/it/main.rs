//! Sandboxes as a build meets them, on this machine's kernel.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod errors;
mod host;
mod isolation;
mod ladder;
mod limits;
mod processes;
mod slate;
mod support;
