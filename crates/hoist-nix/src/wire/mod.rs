//! The two protocols by which Nix's programs talk to a store elsewhere: the [`worker`] protocol of
//! `nix-daemon`, and the [`serve`] protocol of `nix-store --serve`.
//!
//! Both are made of the same words: numbers are 64 bits, little-endian; strings a number, the
//! bytes and zeros up to a multiple of 8; lists a number and their elements. What is read is
//! bounded by [`WireLimits`] before anything is allocated, and typed; what is typed prints as the
//! same bytes again. Archives are not held: where one follows, the reader stands before it.
//!
//! Source: the transcripts of Nix 2.8 and 2.26 in `tests/fixtures`, and `worker-protocol.hh`,
//! `serve-protocol.hh` and `serialise.cc` of Nix. The page `docs/formats/protocols.md` lists what
//! is spoken and what is refused.

mod error;
mod framed;
mod path_info;
mod plain;
mod reader;
pub mod serve;
mod version;
pub mod worker;
mod writer;

pub use error::WireError;
pub use framed::{FRAME_MAX_LEN, FramedReader, FramedWriter};
pub use path_info::PathInfo;
pub use plain::plain_text;
pub use reader::{WireLimits, WireReader};
pub use version::ProtocolVersion;
pub use writer::WireWriter;

/// How many zeros follow a string of `len` bytes.
fn padding_len(len: u64) -> usize {
    usize::try_from(len.wrapping_neg() % 8).expect("below 8")
}
