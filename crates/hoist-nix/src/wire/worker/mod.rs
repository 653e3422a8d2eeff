//! The worker protocol, which `nix-daemon` speaks over its socket and with `--stdio`.
//!
//! After a handshake the client sends one [`Request`] at a time. The daemon answers with any number
//! of [`Message`]s; [`Message::Last`] is followed by the [`Response`], [`Message::Error`] by nothing.
//! The archives of the `Add…` operations follow the request in frames
//! ([`FramedReader`](super::FramedReader)), that of `NarFromPath` follows the response as it is.
//!
//! ```
//! use hoist_nix::wire::{WireReader, WireWriter, worker};
//! use hoist_nix::{StoreDir, StorePath};
//!
//! let path = StorePath::parse("z45ailnkm27lnvhimqkhy08f6sh5m17d-hello.txt")?;
//! let request = worker::Request::IsValidPath(path);
//! let mut writer = WireWriter::new(Vec::new(), StoreDir::default());
//! request.write(&mut writer, worker::NEWEST)?;
//!
//! let bytes = writer.into_inner();
//! let mut reader = WireReader::new(bytes.as_slice(), StoreDir::default());
//! assert_eq!(worker::Request::read(&mut reader, worker::NEWEST)?, Some(request));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod build;
mod handshake;
mod message;
mod operation;
#[cfg(test)]
mod properties;
mod request;
mod response;
mod settings;

pub use build::{BuildResult, DerivedPath};
pub use handshake::{DaemonTrust, Greeting, client_handshake, server_handshake};
pub use message::{Activity, ErrorMessage, Field, Message};
pub use operation::{Operation, Payload};
pub use request::{Collect, CollectAction, Request};
pub use response::{Missing, Response};
pub use settings::ClientSettings;

use super::ProtocolVersion;

/// The oldest version whose messages are understood.
pub const OLDEST: ProtocolVersion = ProtocolVersion::new(1, 21);

/// The newest version whose messages are understood, that of Nix 2.26.
pub const NEWEST: ProtocolVersion = ProtocolVersion::new(1, 38);

/// From here on errors have a level and traces.
const STRUCTURED_ERRORS: ProtocolVersion = ProtocolVersion::new(1, 26);
/// From here on the daemon says its own version.
const DAEMON_VERSION: ProtocolVersion = ProtocolVersion::new(1, 33);
/// From here on the daemon says whether it trusts the client.
const TRUST: ProtocolVersion = ProtocolVersion::new(1, 35);
/// From here on builds are answered with the time they took.
const CPU_TIMES: ProtocolVersion = ProtocolVersion::new(1, 37);
/// From here on both sides name the features that they know.
const FEATURES: ProtocolVersion = ProtocolVersion::new(1, 38);
