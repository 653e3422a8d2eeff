//! Where the store is: in a folder, or with a Nix daemon.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use hoist_nix::StorePath;
use hoist_schema::Exit;
use hoist_store::{Backend, DaemonError, DaemonStore, Store};

use crate::error::CliError;

/// What `--store` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder that holds a store.
    Root(PathBuf),
    /// The Nix daemon of this machine; one is started where none listens.
    Daemon,
    /// A Nix daemon that listens at this socket.
    Socket(PathBuf),
    /// The machine's Nix daemon if one listens, else the folder of this user.
    Auto,
}

/// `daemon`, `auto` and `unix://SOCKET` are what they say; everything else is a folder.
impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "daemon" => Ok(Self::Daemon),
            "auto" => Ok(Self::Auto),
            _ => match text.strip_prefix("unix://") {
                Some(socket) if socket.starts_with('/') => Ok(Self::Socket(socket.into())),
                Some(_) => Err("wanted an absolute path behind `unix://`"),
                None if text.is_empty() => Err("wanted a folder, `daemon`, `auto` or `unix://…`"),
                None => Ok(Self::Root(text.into())),
            },
        }
    }
}

/// A store that answers, wherever it is.
#[derive(Debug)]
pub(crate) enum AnyStore {
    Folder(Box<Store>),
    Daemon(Box<DaemonStore>),
}

impl AnyStore {
    /// What every store can do.
    pub(crate) fn backend(&self) -> &dyn Backend {
        match self {
            Self::Folder(store) => store.as_ref(),
            Self::Daemon(store) => store.as_ref(),
        }
    }

    /// Where `path` lies on this machine.
    pub(crate) fn physical(&self, path: &StorePath) -> PathBuf {
        match self {
            Self::Folder(store) => store.physical(path),
            Self::Daemon(store) => store.dir().print(path).into(),
        }
    }

    /// How messages name it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Folder(store) => store.root().display().to_string(),
            Self::Daemon(_) => "the store of the Nix daemon".to_owned(),
        }
    }
}

/// Connects to the machine's daemon, or starts one for this command where none listens.
pub(crate) fn machine_daemon() -> Result<DaemonStore, CliError> {
    let socket = machine_socket();
    match DaemonStore::connect(&socket) {
        Err(absent @ DaemonError::NotThere { .. }) => {
            let mut command = Command::new("nix-daemon");
            command.arg("--stdio");
            match DaemonStore::spawn(command) {
                Err(DaemonError::Start { .. }) => Err(absent.into()),
                spawned => Ok(spawned?),
            }
        }
        connected => Ok(connected?),
    }
}

/// The machine's daemon, if one listens and serves this user.
pub(crate) fn listening_daemon() -> Option<DaemonStore> {
    DaemonStore::connect(&machine_socket()).ok()
}

/// The daemon at a socket that the user named.
pub(crate) fn daemon_at(socket: &Path) -> Result<DaemonStore, CliError> {
    Ok(DaemonStore::connect(socket)?)
}

/// Source: the section on environment variables of the Nix manual.
fn machine_socket() -> PathBuf {
    let named = env::var_os("NIX_DAEMON_SOCKET_PATH").filter(|path| !path.is_empty());
    named.map_or_else(|| DaemonStore::SOCKET.into(), PathBuf::from)
}

/// Why a command ends that wants a store in a folder.
pub(crate) fn wants_a_folder() -> CliError {
    CliError::new(Exit::Usage, "a Nix daemon's store serves `hoist pack` and `hoist store` only")
        .hint("name the folder of a store, or leave --store out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_folder_unless_it_has_a_name() {
        let place = |text: &str| text.parse::<Place>();
        assert_eq!(place("daemon"), Ok(Place::Daemon));
        assert_eq!(place("auto"), Ok(Place::Auto));
        assert_eq!(place("./daemon"), Ok(Place::Root("./daemon".into())));
        assert_eq!(place("unix:///run/nix.sock"), Ok(Place::Socket("/run/nix.sock".into())));
        assert!(place("unix://run/nix.sock").is_err());
        assert!(place("").is_err());
    }
}
