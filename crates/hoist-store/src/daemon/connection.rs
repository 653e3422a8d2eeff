//! Questions and answers over one connection.

use std::io::{self, Write};
use std::time::Duration;

use hoist_nix::StoreDir;
use hoist_nix::wire::worker::{
    DaemonTrust, ErrorMessage, Greeting, Message, NEWEST, Operation, Request, Response,
    client_handshake,
};
use hoist_nix::wire::{ProtocolVersion, WireError, WireReader, WireWriter, plain_text};

use super::DaemonError;
use super::channel::Channel;

/// Nix 2.8, the oldest that is spoken to.
const OLDEST: ProtocolVersion = ProtocolVersion::new(1, 34);

/// How long a daemon may take to greet.
const GREETING_LIMIT: Duration = Duration::from_secs(30);

/// What the handshake is called in errors.
const GREETING: &str = "the greeting";

/// Listens to what a daemon says while it works.
pub(super) type Log = Box<dyn FnMut(&str) + Send>;

/// An open connection to a daemon.
pub(super) struct Connection {
    reader: WireReader<Channel>,
    dir: StoreDir,
    pub(super) greeting: Greeting,
    /// Whether an error left unknown what comes next.
    ended: bool,
    pub(super) log: Option<Log>,
}

impl Connection {
    /// Greets the daemon at the other end.
    pub(super) fn open(mut channel: Channel, dir: StoreDir) -> Result<Self, DaemonError> {
        channel.silence_limit = Some(GREETING_LIMIT);
        let failed = |source| Failure::Write(source).told(GREETING, String::new(), None);
        let writer = channel.small_writer().map_err(failed)?;
        let mut writer = WireWriter::new(writer, dir.clone());
        let mut reader = WireReader::new(channel, dir.clone());
        let greeted = client_handshake(&mut reader, &mut writer, NEWEST);
        let greeting = greeted.map_err(|error| refused(&mut reader, error))?;
        if greeting.version < OLDEST {
            let (found, oldest, newest) = (greeting.version, OLDEST, NEWEST);
            return Err(DaemonError::Version { found, oldest, newest });
        }
        let mut connection = Self { reader, dir, greeting, ended: false, log: None };
        match connection.listen() {
            Ok(()) => {}
            Err(Failure::Said(error)) => {
                return Err(DaemonError::Said { asked: GREETING, text: error.plain() });
            }
            Err(Failure::Wire(error)) => return Err(refused(&mut connection.reader, error)),
            Err(failure) => return Err(connection.fail(GREETING, failure)),
        }
        connection.reader.get_mut().silence_limit = None;
        Ok(connection)
    }

    /// From now on a daemon that says nothing for so long is given up.
    pub(super) fn set_silence_limit(&mut self, limit: Option<Duration>) {
        self.reader.get_mut().silence_limit = limit;
    }

    /// Sends a request and returns the answer.
    pub(super) fn ask(&mut self, request: &Request) -> Result<Response, DaemonError> {
        self.ask_all(std::slice::from_ref(request))?;
        self.answer(request.operation())
    }

    /// Sends requests, of which all but the last are answered by nothing but that they are done,
    /// and reads all answers but the last.
    pub(super) fn ask_all(&mut self, requests: &[Request]) -> Result<(), DaemonError> {
        let Some((last, before)) = requests.split_last() else { return Ok(()) };
        let asked = last.operation().name();
        if self.ended {
            return Err(DaemonError::Ended);
        }
        let mut bytes = WireWriter::new(Vec::new(), self.dir.clone());
        let version = self.greeting.version;
        requests
            .iter()
            .try_for_each(|request| request.write(&mut bytes, version))
            .map_err(|source| DaemonError::Protocol { asked, source: Box::new(source) })?;
        let bytes = bytes.into_inner();
        self.send(asked, |channel| channel.write_all(&bytes))?;
        // Every answer is read, so that the next question meets none of them.
        let mut first_error = None;
        for request in before {
            match self.answer(request.operation()) {
                Ok(_) => {}
                Err(error) if self.ended => return Err(error),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match first_error {
            None => Ok(()),
            Some(error) => {
                let _ = self.answer(last.operation());
                Err(error)
            }
        }
    }

    /// Writes bytes of a request or behind one.
    pub(super) fn send<T>(
        &mut self,
        asked: &'static str,
        write: impl FnOnce(&mut Channel) -> io::Result<T>,
    ) -> Result<T, DaemonError> {
        let written = write(self.reader.get_mut());
        written.map_err(|source| self.fail(asked, Failure::Write(source)))
    }

    /// Reads the answer to a request, and all messages before it.
    pub(super) fn answer(&mut self, operation: Operation) -> Result<Response, DaemonError> {
        let version = self.greeting.version;
        let answer = self.listen().and_then(|()| {
            Response::read(&mut self.reader, operation, version).map_err(Failure::Wire)
        });
        answer.map_err(|failure| self.fail(operation.name(), failure))
    }

    /// The raw bytes behind an answer.
    pub(super) fn raw(&mut self) -> &mut WireReader<Channel> {
        &mut self.reader
    }

    /// Reads messages up to the one that says that the answer follows.
    fn listen(&mut self) -> Result<(), Failure> {
        loop {
            let heard = Message::read(&mut self.reader, self.greeting.version);
            match heard.map_err(Failure::Wire)? {
                Message::Last => return Ok(()),
                Message::Error(error) => return Err(Failure::Said(error)),
                Message::Log(line) => self.tell(&line),
                Message::StartActivity(activity) => self.tell(&activity.text),
                Message::StopActivity { .. } | Message::Result { .. } => {}
                // Only of clients older than we say that we are.
                Message::Read(_) | Message::Write(_) => {
                    let (operation, version) = ("a stream before frames", self.greeting.version);
                    return Err(Failure::Wire(WireError::NotInVersion { operation, version }));
                }
            }
        }
    }

    fn tell(&mut self, said: &[u8]) {
        let Some(log) = &mut self.log else { return };
        plain_text(said).lines().filter(|line| !line.is_empty()).for_each(log);
    }

    /// Makes an error of what went wrong. After all but a plain no, nobody knows what comes next.
    pub(super) fn fail(&mut self, asked: &'static str, failure: Failure) -> DaemonError {
        let failure = match failure {
            Failure::Said(error) => return self.no(asked, &error),
            // A daemon may say why before it closes, even to who is still writing.
            Failure::Write(source) if is_end(source.kind()) => match self.listen() {
                Err(Failure::Said(error)) => {
                    self.ended = true;
                    return self.no(asked, &error);
                }
                _ => Failure::Write(source),
            },
            failure => failure,
        };
        self.ended = true;
        let channel = self.reader.get_mut();
        failure.told(asked, channel.last_words(), channel.silence_limit)
    }

    /// Nobody knows what comes next.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    fn no(&self, asked: &'static str, error: &ErrorMessage) -> DaemonError {
        let text = error.plain();
        // The texts of `daemon.cc` and `local-store.cc` of Nix 2.8 and 2.26.
        let about_trust = text.contains("not privileged")
            || text.contains("lacks a valid signature")
            || text.contains("lacks a signature by a trusted key");
        if self.greeting.trust != DaemonTrust::Trusted && about_trust {
            return DaemonError::NotTrusted { text };
        }
        DaemonError::Said { asked, text }
    }
}

/// What can go wrong between a question and its answer.
pub(super) enum Failure {
    /// The daemon said no.
    Said(ErrorMessage),
    /// What it said is not understood, or cannot be heard.
    Wire(WireError),
    /// It cannot be told.
    Write(io::Error),
}

impl Failure {
    fn told(self, asked: &'static str, said: String, limit: Option<Duration>) -> DaemonError {
        let source = match self {
            Self::Said(error) => return DaemonError::Said { asked, text: error.plain() },
            Self::Wire(source) => source,
            Self::Write(source) => WireError::Write(source),
        };
        let kind = match &source {
            WireError::Read { source, .. } | WireError::Write(source) => source.kind(),
            WireError::Ended { .. } => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        match (source, limit) {
            (WireError::Version { found, oldest, newest }, _) => {
                DaemonError::Version { found, oldest: oldest.max(OLDEST), newest }
            }
            (_, Some(limit)) if kind == io::ErrorKind::TimedOut => {
                DaemonError::Silent { asked, limit }
            }
            _ if is_end(kind) => DaemonError::Died { asked, said },
            (source, _) => DaemonError::Protocol { asked, source: Box::new(source) },
        }
    }
}

/// Whether an error says that there is nobody at the other end any more.
fn is_end(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(kind, UnexpectedEof | BrokenPipe | ConnectionReset)
}

/// What it means that the greeting failed.
fn refused(reader: &mut WireReader<Channel>, error: WireError) -> DaemonError {
    let channel = reader.get_mut();
    match Failure::Wire(error).told(GREETING, channel.last_words(), channel.silence_limit) {
        DaemonError::Died { said, .. } => DaemonError::Refused { said },
        error => error,
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("greeting", &self.greeting)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
