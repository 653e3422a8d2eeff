//! The store of a Nix daemon, over its socket or over the pipes of `nix-daemon --stdio`.
//!
//! The daemon is a peer like any other: what it says is bounded and checked, what it sends as an
//! archive is hashed here, and what is sent to it is held against what was promised before it gets
//! the last bytes. `docs/formats/protocols.md` lists what is spoken.

mod add;
mod backend;
mod channel;
mod connection;
mod content;
mod error;
mod promised;
mod roots;

use std::cell::{RefCell, RefMut};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hoist_nix::StoreDir;
use hoist_nix::wire::ProtocolVersion;
use hoist_nix::wire::worker::{DaemonTrust, Request, Response};

use self::channel::Channel;
use self::connection::Connection;
pub use self::error::DaemonError;
pub use self::roots::DaemonCollected;

/// A store that a Nix daemon keeps, from Nix 2.8 on.
///
/// Each thread opens its own. Paths that were added or kept are kept from being collected as long
/// as it is open; an error other than a plain no ends the connection, and with it that.
#[derive(Debug)]
pub struct DaemonStore {
    dir: StoreDir,
    connection: RefCell<Connection>,
}

impl DaemonStore {
    /// Where the daemon of a machine listens, unless `NIX_DAEMON_SOCKET_PATH` says otherwise.
    pub const SOCKET: &str = "/nix/var/nix/daemon-socket/socket";

    /// Connects to the daemon that listens at `socket`.
    ///
    /// # Errors
    ///
    /// [`DaemonError::NotThere`], [`DaemonError::Connect`], [`DaemonError::Refused`],
    /// [`DaemonError::Version`], and others when what listens there is no daemon.
    pub fn connect(socket: &Path) -> Result<Self, DaemonError> {
        let connected = UnixStream::connect(socket).and_then(Channel::socket);
        let channel = connected.map_err(|source| {
            let socket = socket.to_owned();
            match source.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::ConnectionRefused => DaemonError::NotThere { socket, source },
                _ => DaemonError::Connect { socket, source },
            }
        })?;
        Self::open(channel)
    }

    /// Starts `command`, such as `nix-daemon --stdio` or an `ssh` that runs it elsewhere, and talks
    /// to it over its standard input and output. It is ended when the store is closed.
    ///
    /// # Errors
    ///
    /// [`DaemonError::Start`], else as [`connect`](Self::connect).
    pub fn spawn(mut command: Command) -> Result<Self, DaemonError> {
        let channel = Channel::process(&mut command).map_err(|source| {
            let program = command.get_program().to_string_lossy().into_owned();
            DaemonError::Start { program, source }
        })?;
        Self::open(channel)
    }

    /// Hands every line that the daemon logs, and every activity that it names, to `log`, as plain
    /// text. It cannot use the store.
    #[must_use]
    pub fn with_log(self, log: impl FnMut(&str) + Send + 'static) -> Self {
        self.connection.borrow_mut().log = Some(Box::new(log));
        self
    }

    /// Gives the daemon up when it says nothing for `limit`; without, it may take as long as it
    /// likes, as a collection of garbage does.
    #[must_use]
    pub fn with_silence_limit(self, limit: Duration) -> Self {
        self.connection.borrow_mut().set_silence_limit(Some(limit));
        self
    }

    /// The protocol version that both sides speak.
    #[must_use]
    pub fn version(&self) -> ProtocolVersion {
        self.connection.borrow().greeting.version
    }

    /// The version of Nix that the daemon says it is of.
    #[must_use]
    pub fn daemon_version(&self) -> Option<String> {
        self.connection.borrow().greeting.daemon_version.clone()
    }

    /// Whether the daemon takes this user's word; it says so since protocol 1.35.
    #[must_use]
    pub fn trust(&self) -> DaemonTrust {
        self.connection.borrow().greeting.trust
    }

    fn open(channel: Channel) -> Result<Self, DaemonError> {
        let dir = StoreDir::default();
        let connection = RefCell::new(Connection::open(channel, dir.clone())?);
        Ok(Self { dir, connection })
    }

    fn ask(&self, request: &Request) -> Result<Response, DaemonError> {
        self.connection()?.ask(request)
    }

    fn connection(&self) -> Result<RefMut<'_, Connection>, DaemonError> {
        self.connection.try_borrow_mut().map_err(|_| DaemonError::InUse)
    }
}
