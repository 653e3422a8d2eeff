//! Why a Nix daemon could not be asked.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use hoist_nix::wire::{ProtocolVersion, WireError};
use hoist_nix::{NarError, StorePath};

/// Why a Nix daemon could not be reached, or did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum DaemonError {
    /// Nothing answers at the socket.
    #[error("no Nix daemon listens at `{}`", socket.display())]
    NotThere { socket: PathBuf, source: io::Error },

    /// The socket is there, but not for this user.
    #[error("cannot connect to the Nix daemon at `{}`", socket.display())]
    Connect { socket: PathBuf, source: io::Error },

    /// The program that is to be the daemon does not start.
    #[error("cannot start `{program}`")]
    Start { program: String, source: io::Error },

    /// A daemon closes the connections of users that it does not serve.
    #[error("the Nix daemon closed the connection when it was greeted{}", and_said(said))]
    Refused { said: String },

    /// A daemon that speaks another language by now, or still.
    #[error("the Nix daemon speaks protocol {found}, wanted {oldest} to {newest}")]
    Version { found: ProtocolVersion, oldest: ProtocolVersion, newest: ProtocolVersion },

    /// It did as it was asked, and failed.
    #[error("the Nix daemon cannot answer `{asked}`: {text}")]
    Said { asked: &'static str, text: String },

    /// It wants more than this user's word.
    #[error("the Nix daemon does not trust this user to do that: {text}")]
    NotTrusted { text: String },

    /// It went away in the middle.
    #[error("the Nix daemon ended before it answered `{asked}`{}", and_said(said))]
    Died { asked: &'static str, said: String },

    /// It says nothing at all.
    #[error("the Nix daemon said nothing about `{asked}` for {} seconds", limit.as_secs())]
    Silent { asked: &'static str, limit: Duration },

    /// What was heard is no answer.
    #[error("what the Nix daemon says about `{asked}` is not its protocol")]
    Protocol { asked: &'static str, source: Box<WireError> },

    /// What was heard is no archive.
    #[error("the Nix daemon does not send `{path}` as an archive")]
    Archive { path: StorePath, source: NarError },

    /// An error that leaves nobody knowing what comes next ended the connection.
    #[error("the connection to the Nix daemon ended with an earlier error")]
    Ended,

    /// Who reads or writes an archive cannot ask something else meanwhile.
    #[error("the connection to the Nix daemon is in use")]
    InUse,
}

impl DaemonError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotThere { .. } => {
                Some("start it (`systemctl start nix-daemon`), or choose a store of your own")
            }
            Self::Connect { .. } | Self::Refused { .. } => {
                Some("let this user in (`allowed-users` in nix.conf), or choose another store")
            }
            Self::Start { .. } => Some("install Nix, or choose a store of your own"),
            Self::Version { found, newest, .. } if found < newest => {
                Some("update it to Nix 2.8 or later")
            }
            Self::NotTrusted { .. } => {
                Some("sign the path with a key of `trusted-public-keys`, or ask a trusted user")
            }
            Self::Died { .. } => Some("what it did not register is not in its store; try again"),
            _ => None,
        }
    }
}

fn and_said(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(", and said: {said}") }
}
