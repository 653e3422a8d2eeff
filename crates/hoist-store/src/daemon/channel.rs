//! Bytes to and from a daemon, over a socket or the pipes of a process.
//!
//! Neither side ever waits for the other to read first: while bytes are written, what the daemon
//! says is taken in.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hoist_nix::wire::plain_text;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{ioctl_fionbio, retry_on_intr};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How much is read at once.
const CHUNK_LEN: usize = 64 * 1024;

/// Most that a daemon may say while it is being written to.
const BACKLOG_MAX_LEN: usize = 1 << 20;

/// Most that is kept of what a process says on standard error.
const SAID_MAX_LEN: usize = 8 * 1024;

/// How long a process has to end once its input has.
const END_LIMIT: Duration = Duration::from_secs(2);

/// One connection to a daemon.
pub(super) struct Channel {
    input: Box<dyn Input>,
    /// None once it was closed.
    output: Option<Box<dyn Output>>,
    process: Option<Process>,
    /// What was taken in and not read yet, from `taken` on.
    received: Vec<u8>,
    taken: usize,
    /// How long to wait for anything at all.
    pub(super) silence_limit: Option<Duration>,
}

trait Input: Read + AsFd + Send {}
impl<T: Read + AsFd + Send> Input for T {}

trait Output: Write + AsFd + Send {}
impl<T: Write + AsFd + Send> Output for T {}

/// The daemon's process and the end of what it said.
struct Process {
    child: Child,
    /// None once it was closed at the other end.
    stderr: Option<std::process::ChildStderr>,
    said: Vec<u8>,
}

impl Channel {
    /// Talks over a socket.
    pub(super) fn socket(socket: UnixStream) -> io::Result<Self> {
        let input = socket.try_clone()?;
        Self::new(Box::new(input), Box::new(socket), None)
    }

    /// Starts a process and talks over its standard input and output.
    pub(super) fn process(command: &mut Command) -> io::Result<Self> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let input = child.stdout.take().expect("its output is piped");
        let output = child.stdin.take().expect("its input is piped");
        let stderr = child.stderr.take().expect("its errors are piped");
        ioctl_fionbio(&stderr, true)?;
        let process = Process { child, stderr: Some(stderr), said: Vec::new() };
        Self::new(Box::new(input), Box::new(output), Some(process))
    }

    fn new(
        input: Box<dyn Input>,
        output: Box<dyn Output>,
        process: Option<Process>,
    ) -> io::Result<Self> {
        ioctl_fionbio(input.as_fd(), true)?;
        ioctl_fionbio(output.as_fd(), true)?;
        let received = Vec::with_capacity(CHUNK_LEN);
        Ok(Self { input, output: Some(output), process, received, taken: 0, silence_limit: None })
    }

    /// A second writer to the daemon, for what is so little that it never has to wait.
    pub(super) fn small_writer(&self) -> io::Result<std::fs::File> {
        let output = self.output.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(output.as_fd().try_clone_to_owned()?.into())
    }

    /// The end of what a process said on standard error, as plain text in one line.
    pub(super) fn last_words(&mut self) -> String {
        let Some(process) = &mut self.process else { return String::new() };
        process.listen();
        let said = plain_text(&process.said);
        let lines: Vec<&str> =
            said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.join("; ")
    }

    /// Waits until the daemon says something or, with `to_write`, can be written to.
    fn wait(&mut self, to_write: bool) -> io::Result<()> {
        let timeout = self.silence_limit.map(timespec);
        let mut fds = Vec::with_capacity(3);
        fds.push(PollFd::from_borrowed_fd(self.input.as_fd(), PollFlags::IN));
        if let Some(output) = self.output.as_ref().filter(|_| to_write) {
            fds.push(PollFd::from_borrowed_fd(output.as_fd(), PollFlags::OUT));
        }
        // A process that nobody listens to would stop when its pipe is full.
        let stderr = self.process.as_ref().and_then(|process| process.stderr.as_ref());
        if let Some(stderr) = stderr {
            fds.push(PollFd::from_borrowed_fd(stderr.as_fd(), PollFlags::IN));
        }
        if retry_on_intr(|| poll(&mut fds, timeout.as_ref()))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if let Some(process) = &mut self.process {
            process.listen();
        }
        Ok(())
    }

    /// Takes in what the daemon said, without waiting. Returns whether it can say more.
    fn take_in(&mut self) -> io::Result<bool> {
        if self.taken == self.received.len() {
            self.received.clear();
            self.taken = 0;
        }
        let len = self.received.len();
        if len - self.taken >= BACKLOG_MAX_LEN {
            return Err(io::Error::other("it says more than it is asked"));
        }
        self.received.resize(len + CHUNK_LEN, 0);
        let read = loop {
            match self.input.read(&mut self.received[len..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.received.truncate(len + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(count) => Ok(count > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl Read for Channel {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.received.len() && !bytes.is_empty() {
            if !self.take_in()? {
                return Ok(0);
            }
            if self.received.is_empty() {
                self.wait(false)?;
            }
        }
        let waiting = &self.received[self.taken..];
        let count = waiting.len().min(bytes.len());
        bytes[..count].copy_from_slice(&waiting[..count]);
        self.taken += count;
        Ok(count)
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let output = self.output.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
            match output.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(true)?;
                    if !self.take_in()? {
                        return Err(io::ErrorKind::BrokenPipe.into());
                    }
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // nothing is kept back
    }
}

impl Process {
    /// Takes in what the process said on standard error, without waiting.
    fn listen(&mut self) {
        let mut chunk = [0; 4096];
        while let Some(stderr) = &mut self.stderr {
            match stderr.read(&mut chunk) {
                Ok(0) => self.stderr = None,
                Ok(count) => {
                    self.said.extend_from_slice(&chunk[..count]);
                    let surplus = self.said.len().saturating_sub(SAID_MAX_LEN);
                    self.said.drain(..surplus);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.stderr = None,
            }
        }
    }

    /// Waits for the end of the process, but not for long.
    fn end(&mut self) {
        let ended = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())
            .and_then(|pidfd| {
                let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
                retry_on_intr(|| poll(&mut fds, Some(&timespec(END_LIMIT))))
            })
            .is_ok_and(|ready| ready > 0);
        if !ended {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Closes the connection; a process ends by itself then, and is waited for.
impl Drop for Channel {
    fn drop(&mut self) {
        self.output = None;
        if let Some(mut process) = self.process.take() {
            process.stderr = None;
            process.end();
        }
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let process = self.process.as_ref().map(|process| process.child.id());
        f.debug_struct("Channel").field("process", &process).finish_non_exhaustive()
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec::try_from(duration).expect("a limit of seconds fits")
}
