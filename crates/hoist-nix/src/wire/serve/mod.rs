//! The serve protocol, which `nix-store --serve` speaks over standard input and output, and
//! `nix copy` and `nix-copy-closure` to `ssh://` hosts.
//!
//! After a handshake the client sends one [`Request`] at a time, and the server its [`Response`]. A
//! server that fails says why on standard error and closes. The archive of `AddToStoreNar` and the
//! export of `ImportPaths` follow the request as they are, the archive of `DumpStorePath` follows
//! the response.

mod request;
mod response;

use std::io::{Read, Write};

pub use request::{Command, Request};
pub use response::{Response, ServedPath, SignedContent};

use super::{ProtocolVersion, WireError, WireReader, WireWriter};

/// The oldest version whose messages are understood.
pub const OLDEST: ProtocolVersion = ProtocolVersion::new(2, 3);

/// The newest version whose messages are understood, that of Nix 2.8 and 2.26.
pub const NEWEST: ProtocolVersion = ProtocolVersion::new(2, 7);

/// From here on a server says the hash and the signatures of a path.
const PATH_HASHES: ProtocolVersion = ProtocolVersion::new(2, 4);

/// What a client says first.
const CLIENT_MAGIC: u64 = 0x390c_9deb;
/// What a server says first.
const SERVER_MAGIC: u64 = 0x5452_eecb;

/// Speaks the client's part, offering `newest`, and returns the version that both speak.
///
/// # Errors
///
/// [`WireError::Magic`] when the peer is no server, [`WireError::Version`] when it is too old, and
/// those of reading and writing.
pub fn client_handshake(
    input: &mut WireReader<impl Read>,
    output: &mut WireWriter<impl Write>,
    newest: ProtocolVersion,
) -> Result<ProtocolVersion, WireError> {
    greet(output, CLIENT_MAGIC, newest)?;
    expect_magic(input, SERVER_MAGIC)?;
    read_version(input)?.common(OLDEST, newest.min(NEWEST))
}

/// Speaks the server's part, offering `newest`, and returns the version that both speak.
///
/// # Errors
///
/// As [`client_handshake`].
pub fn server_handshake(
    input: &mut WireReader<impl Read>,
    output: &mut WireWriter<impl Write>,
    newest: ProtocolVersion,
) -> Result<ProtocolVersion, WireError> {
    expect_magic(input, CLIENT_MAGIC)?;
    greet(output, SERVER_MAGIC, newest)?;
    read_version(input)?.common(OLDEST, newest.min(NEWEST))
}

fn greet(
    output: &mut WireWriter<impl Write>,
    magic: u64,
    version: ProtocolVersion,
) -> Result<(), WireError> {
    output.number(magic)?;
    output.number(version.number())?;
    output.flush().map_err(WireError::Write)
}

fn expect_magic(input: &mut WireReader<impl Read>, wanted: u64) -> Result<(), WireError> {
    input.begin_message();
    match input.number()? {
        found if found == wanted => Ok(()),
        found => Err(WireError::Magic { found, wanted }),
    }
}

fn read_version(input: &mut WireReader<impl Read>) -> Result<ProtocolVersion, WireError> {
    let offset = input.offset();
    ProtocolVersion::parse(input.number()?, offset)
}
