//! A daemon of real Nix that restores one archive after the other: starting a process for each
//! would take a hundred times as long.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use hoist_nix::wire::worker::{self, Message, Operation, Request, Response};
use hoist_nix::wire::{FramedWriter, PathInfo, ProtocolVersion, WireError, WireReader, WireWriter};
use hoist_nix::{NarLimits, Sha256Hash, StoreDir, StorePath, StorePathName, copy_nar};
use hoist_testkit::NixRelease;

/// After so many archives a daemon gets a new store: the old one slows down.
const ARCHIVES_MAX: u32 = 5000;

/// Most memory that a daemon may map, in bytes; it begins with half of that.
const MEMORY_MAX: u64 = 1 << 30;

/// Real Nix, as a judge of archives.
#[derive(Debug)]
pub struct Judge {
    release: NixRelease,
    home: PathBuf,
    daemon: Option<Daemon>,
    /// How many daemons were started.
    started: u32,
    /// Archives that the daemon has seen.
    seen: u32,
}

#[derive(Debug)]
struct Daemon {
    process: Child,
    input: WireReader<UnixStream>,
    output: WireWriter<UnixStream>,
    version: ProtocolVersion,
}

impl Judge {
    /// Will start daemons with stores below `home`.
    #[must_use]
    pub fn new(release: NixRelease, home: PathBuf) -> Self {
        Self { release, home, daemon: None, started: 0, seen: 0 }
    }

    /// Its version, for messages.
    #[must_use]
    pub fn version(&self) -> &str {
        self.release.version()
    }

    /// Restores an archive and returns the one that Nix makes of the tree; none where Nix refuses.
    ///
    /// # Panics
    ///
    /// When no daemon can be started.
    pub fn restore(&mut self, nar: &[u8]) -> Option<Vec<u8>> {
        if self.seen == ARCHIVES_MAX {
            self.end();
        }
        let is_fresh = self.daemon.is_none();
        if let Ok(restored) = self.ask(nar) {
            return restored;
        }
        // Some archives are the end of the daemon: of this one, or already of the last.
        self.end();
        if is_fresh { None } else { self.restore(nar) }
    }

    /// As [`restore`](Self::restore) by a daemon that has seen no other archive: some leave one that
    /// refuses the next.
    pub fn restore_afresh(&mut self, nar: &[u8]) -> Option<Vec<u8>> {
        self.end();
        self.restore(nar)
    }

    fn ask(&mut self, nar: &[u8]) -> Result<Option<Vec<u8>>, WireError> {
        if self.daemon.is_none() {
            self.daemon = Some(self.start());
        }
        self.seen += 1;
        let mut digest = [0; 20];
        digest[..4].copy_from_slice(&self.seen.to_le_bytes());
        let path = StorePath::new(&digest, &StorePathName::parse("fuzzed").expect("it is a name"));
        self.daemon.as_mut().expect("it was started").restore(path, nar)
    }

    fn store(&self) -> PathBuf {
        self.home.join(format!("nix-{}-{}", self.release.version(), self.started))
    }

    fn start(&mut self) -> Daemon {
        self.started += 1;
        let store = self.store();
        std::fs::create_dir_all(&store).expect("the folder is ours");
        // A pipe would end this process by a signal when the daemon has ended.
        let (ours, theirs) = UnixStream::pair().expect("sockets can be made");
        let mut command = limited(&self.release.command("nix-daemon"));
        command
            .args(["--stdio", "--store"])
            .arg(format!("local?root={}", store.display()))
            .args(["--option", "fsync-metadata", "false"])
            .current_dir(&self.home)
            .stdin(OwnedFd::from(theirs.try_clone().expect("a socket can be shared")))
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::null());
        let process = command.spawn().expect("the daemon starts");
        drop(command); // with its ends of the socket
        let dir = StoreDir::default;
        let mut input = WireReader::new(ours.try_clone().expect("a socket can be shared"), dir());
        let mut output = WireWriter::new(ours, dir());
        let greeting = worker::client_handshake(&mut input, &mut output, worker::NEWEST)
            .expect("the daemon greets");
        let mut daemon = Daemon { process, input, output, version: greeting.version };
        daemon.answered().expect("the daemon is ready").expect("the daemon is ready");
        daemon
    }

    fn end(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.process.kill(); // it may have ended
            let _ = daemon.process.wait();
            let _ = std::fs::remove_dir_all(self.store()); // what stays is in a temporary folder
        }
        self.seen = 0;
    }
}

/// The same command with little memory: Nix allocates and clears whatever length an archive claims.
fn limited(command: &Command) -> Command {
    let mut limited = Command::new("prlimit");
    limited.arg(format!("--as={MEMORY_MAX}")).arg(command.get_program()).args(command.get_args());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.end();
    }
}

impl Daemon {
    fn restore(&mut self, path: StorePath, nar: &[u8]) -> Result<Option<Vec<u8>>, WireError> {
        let info = PathInfo {
            deriver: None,
            nar_hash: Sha256Hash::of(nar),
            references: Vec::new(),
            registered_unix: 0,
            nar_size: nar.len() as u64,
            ultimate: false,
            signatures: Vec::new(),
            content_address: None,
        };
        let add = Request::AddToStoreNar {
            path: path.clone(),
            info,
            repair: false,
            dont_check_signatures: true,
        };
        add.write(&mut self.output, self.version)?;
        let mut frames = FramedWriter::new(self.output.get_mut());
        frames.write_all(nar).map_err(WireError::Write)?;
        frames.finish()?.flush().map_err(WireError::Write)?;
        if self.answered()?.is_none() {
            return Ok(None);
        }
        Response::read(&mut self.input, Operation::AddToStoreNar, self.version)?;
        Request::NarFromPath(path).write(&mut self.output, self.version)?;
        self.output.get_mut().flush().map_err(WireError::Write)?;
        self.answered()?.expect("what is valid is sent");
        let mut restored = Vec::new();
        copy_nar(&mut self.input, NarLimits::default(), &mut restored)
            .expect("Nix makes archives of what it restored");
        Ok(Some(restored))
    }

    /// Reads up to the answer; none for a refusal.
    fn answered(&mut self) -> Result<Option<()>, WireError> {
        loop {
            match Message::read(&mut self.input, self.version)? {
                Message::Last => return Ok(Some(())),
                Message::Error(_) => return Ok(None),
                _ => {}
            }
        }
    }
}
