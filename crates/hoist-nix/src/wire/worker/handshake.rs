//! The first words of a connection.

use std::io::{Read, Write};

use super::{DAEMON_VERSION, FEATURES, NEWEST, OLDEST, TRUST};
use crate::wire::{ProtocolVersion, WireError, WireReader, WireWriter};

/// `nixc`, what a client says first.
const CLIENT_MAGIC: u64 = 0x6e69_7863;
/// `dxio`, what a daemon says first.
const SERVER_MAGIC: u64 = 0x6478_696f;

/// What both sides know of each other after the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The version that both speak.
    pub version: ProtocolVersion,
    /// The features that the other side named, since 1.38; hoist uses none.
    pub features: Vec<String>,
    /// The version of Nix that the daemon is of, since 1.33.
    pub daemon_version: Option<String>,
    /// Whether the daemon trusts the client, since 1.35.
    pub trust: DaemonTrust,
}

/// Whether a daemon takes the word of its client, e.g. for a path that nobody signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DaemonTrust {
    /// It does not say.
    Unknown,
    /// It does.
    Trusted,
    /// It does not.
    NotTrusted,
}

/// Speaks the client's part. [`Message`](super::Message)s follow, up to the first
/// [`Last`](super::Message::Last).
///
/// - `newest`: the newest version that is offered, at most [`NEWEST`].
///
/// # Errors
///
/// [`WireError::Magic`] when the peer is no daemon, [`WireError::Version`] when it is too old, and
/// those of reading and writing.
pub fn client_handshake(
    input: &mut WireReader<impl Read>,
    output: &mut WireWriter<impl Write>,
    newest: ProtocolVersion,
) -> Result<Greeting, WireError> {
    input.begin_message();
    output.number(CLIENT_MAGIC)?;
    output.number(newest.number())?;
    flush(output)?;
    expect_magic(input, SERVER_MAGIC)?;
    let version = read_version(input)?.common(OLDEST, newest.min(NEWEST))?;
    let mut features = Vec::new();
    if version >= FEATURES {
        output.texts(&[])?;
        flush(output)?;
        features = input.texts("feature")?;
    }
    output.number(0)?; // no CPU affinity, which no daemon heeds any more
    output.number(0)?; // nor space to reserve
    flush(output)?;
    let daemon_version =
        if version >= DAEMON_VERSION { Some(input.text("version of the daemon")?) } else { None };
    let trust = if version >= TRUST { read_trust(input)? } else { DaemonTrust::Unknown };
    Ok(Greeting { version, features, daemon_version, trust })
}

/// Speaks the daemon's part; [`Message::Last`](super::Message::Last) is to follow.
///
/// - `ours`: the newest version that is spoken, at most [`NEWEST`]; the features and the version of
///   Nix that are claimed, and whether the client is trusted.
///
/// Returns the version that both speak and the features of the client.
///
/// # Errors
///
/// As [`client_handshake`].
pub fn server_handshake(
    input: &mut WireReader<impl Read>,
    output: &mut WireWriter<impl Write>,
    ours: &Greeting,
) -> Result<(ProtocolVersion, Vec<String>), WireError> {
    input.begin_message();
    expect_magic(input, CLIENT_MAGIC)?;
    output.number(SERVER_MAGIC)?;
    output.number(ours.version.number())?;
    flush(output)?;
    let version = read_version(input)?.common(OLDEST, ours.version.min(NEWEST))?;
    let mut features = Vec::new();
    if version >= FEATURES {
        features = input.texts("feature")?;
        output.texts(&ours.features)?;
        flush(output)?;
    }
    if input.flag("whether a CPU is named")? {
        input.number()?;
    }
    input.flag("whether to reserve space")?;
    if version >= DAEMON_VERSION {
        output.text(ours.daemon_version.as_deref().unwrap_or_default())?;
    }
    if version >= TRUST {
        output.number(match ours.trust {
            DaemonTrust::Unknown => 0,
            DaemonTrust::Trusted => 1,
            DaemonTrust::NotTrusted => 2,
        })?;
    }
    Ok((version, features))
}

fn expect_magic(input: &mut WireReader<impl Read>, wanted: u64) -> Result<(), WireError> {
    match input.number()? {
        found if found == wanted => Ok(()),
        found => Err(WireError::Magic { found, wanted }),
    }
}

fn read_version(input: &mut WireReader<impl Read>) -> Result<ProtocolVersion, WireError> {
    let offset = input.offset();
    ProtocolVersion::parse(input.number()?, offset)
}

fn read_trust(input: &mut WireReader<impl Read>) -> Result<DaemonTrust, WireError> {
    let offset = input.offset();
    match input.number()? {
        0 => Ok(DaemonTrust::Unknown),
        1 => Ok(DaemonTrust::Trusted),
        2 => Ok(DaemonTrust::NotTrusted),
        found => {
            let what = "whether the client is trusted";
            Err(WireError::Number { offset, what, found, wanted: "0, 1 or 2" })
        }
    }
}

fn flush(output: &mut WireWriter<impl Write>) -> Result<(), WireError> {
    output.flush().map_err(WireError::Write)
}
