//! What can be wrong with what a peer says.

use std::io;

use super::ProtocolVersion;
use crate::{HashError, StorePathError};

/// Why bytes are not what the protocol has there; `offset` counts bytes from the start of the
/// connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum WireError {
    /// The reader below failed.
    #[error("cannot read from the peer at byte {offset}")]
    Read { offset: u64, source: io::Error },

    /// The writer below failed.
    #[error("cannot write to the peer")]
    Write(#[source] io::Error),

    /// The bytes end inside a message.
    #[error("the connection ends at byte {offset}, in the middle of a message")]
    Ended { offset: u64 },

    /// Not this protocol at all.
    #[error("found {found:#x} where the protocol begins, wanted {wanted:#x}")]
    Magic { found: u64, wanted: u64 },

    /// A version that has nothing in common with ours.
    #[error("the peer speaks version {found} of the protocol, wanted {oldest} to {newest}")]
    Version { found: ProtocolVersion, oldest: ProtocolVersion, newest: ProtocolVersion },

    /// A number that is no version.
    #[error("found {found:#x} at byte {offset}, which is not a protocol version")]
    NotAVersion { offset: u64, found: u64 },

    /// An operation that hoist does not know.
    #[error("operation {found} at byte {offset} is unknown")]
    Operation { offset: u64, found: u64 },

    /// An operation that came later than the version that both speak.
    #[error("operation {operation} is not in version {version} of the protocol")]
    NotInVersion { operation: &'static str, version: ProtocolVersion },

    /// A message that the daemon cannot send there.
    #[error("found {found:#x} at byte {offset}, which begins no message")]
    Message { offset: u64, found: u64 },

    /// A number that its place does not allow.
    #[error("{what} at byte {offset} is {found}, wanted {wanted}")]
    Number { offset: u64, what: &'static str, found: u64, wanted: &'static str },

    /// A string or a list beyond the limit.
    #[error("{what} at byte {offset} is {found} long, limit {limit}")]
    TooLong { offset: u64, what: &'static str, found: u64, limit: u64 },

    /// Many small parts that are too much together.
    #[error("the message at byte {offset} is longer than {limit} bytes")]
    TooMuch { offset: u64, limit: u64 },

    /// Padding is zero.
    #[error("the padding at byte {offset} is not zero")]
    Padding { offset: u64 },

    /// A text that is no UTF-8.
    #[error("{what} at byte {offset} is not UTF-8")]
    Text { offset: u64, what: &'static str },

    /// A text that is no store path.
    #[error("{what} at byte {offset} is wrong")]
    StorePath { offset: u64, what: &'static str, source: StorePathError },

    /// A text that is no hash.
    #[error("{what} at byte {offset} is wrong")]
    Hash { offset: u64, what: &'static str, source: HashError },
}
