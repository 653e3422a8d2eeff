//! Daemons that lie, stop in the middle or talk nonsense: scripted peers at a socket.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use hoist_nix::wire::worker::{
    Activity, DaemonTrust, ErrorMessage, Greeting, Message, NEWEST, Request, Response,
    server_handshake,
};
use hoist_nix::wire::{FramedReader, PathInfo, ProtocolVersion, WireReader, WireWriter};
use hoist_nix::{NarWriter, Sha256Hash, StoreDir, StorePath};
use hoist_store::{Backend, DaemonError, DaemonStore, NewPath, StoreError, Trust};

/// One side of a connection that is scripted.
struct Peer {
    reader: WireReader<UnixStream>,
    writer: WireWriter<UnixStream>,
}

impl Peer {
    fn new(socket: UnixStream) -> Self {
        let dir = StoreDir::default;
        let reader = WireReader::new(socket.try_clone().unwrap(), dir());
        Self { reader, writer: WireWriter::new(socket, dir()) }
    }

    /// Greets as a daemon that speaks `version`.
    fn greet(&mut self, version: ProtocolVersion) {
        let daemon_version = Some("2.26.3".to_owned());
        let (features, trust) = (Vec::new(), DaemonTrust::Trusted);
        let ours = Greeting { version, features, daemon_version, trust };
        server_handshake(&mut self.reader, &mut self.writer, &ours).unwrap();
        self.say(&Message::Last);
    }

    fn say(&mut self, message: &Message) {
        message.write(&mut self.writer, NEWEST).unwrap();
    }

    fn answer(&mut self, response: &Response) {
        self.say(&Message::Last);
        response.write(&mut self.writer, NEWEST).unwrap();
    }

    fn heard(&mut self) -> Option<Request> {
        Request::read(&mut self.reader, NEWEST).unwrap()
    }

    fn raw(&mut self, bytes: &[u8]) {
        // The other side may have gone already; that is for it to tell.
        let _ = self.writer.write_all(bytes);
    }

    /// Stays until the other side has gone: who goes first may end what that was about to say.
    fn outstay(&mut self) {
        let _ = io::copy(&mut self.reader, &mut io::sink());
    }
}

/// Runs `test` against a peer that does as `script` says once it was connected to.
fn against<T>(
    script: impl FnOnce(Peer) + Send,
    test: impl FnOnce(Result<DaemonStore, DaemonError>) -> T,
) -> T {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| script(Peer::new(listener.accept().unwrap().0)));
        test(DaemonStore::connect(&path))
    })
}

/// Runs `test` against a peer that greets as it should and then does as `script` says.
fn after_greeting<T>(script: impl FnOnce(Peer) + Send, test: impl FnOnce(&DaemonStore) -> T) -> T {
    let greeted = |mut peer: Peer| {
        peer.greet(NEWEST);
        script(peer);
    };
    against(greeted, |store| test(&store.unwrap()))
}

fn path() -> StorePath {
    StorePath::parse("00000000000000000000000000000000-x").unwrap()
}

fn daemon_error(error: StoreError) -> DaemonError {
    match error {
        StoreError::Daemon(error) => error,
        other => panic!("not of the daemon: {other:?}"),
    }
}

fn file(contents: &[u8]) -> Vec<u8> {
    let mut nar = NarWriter::new(Vec::new()).unwrap();
    nar.file(false, contents.len() as u64, &mut &*contents).unwrap();
    nar.finish()
}

fn offer(nar: &[u8]) -> NewPath {
    NewPath {
        path: path(),
        nar_hash: Sha256Hash::of(nar),
        nar_size: nar.len() as u64,
        deriver: None,
        references: Vec::new(),
        signatures: Vec::new(),
        content_address: None,
    }
}

/// What a daemon says of a path with this archive.
fn info_of(nar: &[u8]) -> Response {
    Response::Info(Some(PathInfo {
        deriver: None,
        nar_hash: Sha256Hash::of(nar),
        references: Vec::new(),
        registered_unix: 1,
        nar_size: nar.len() as u64,
        ultimate: false,
        signatures: Vec::new(),
        content_address: None,
    }))
}

#[test]
fn a_peer_that_hangs_up_refuses() {
    let error = against(drop, |store| store.unwrap_err());
    assert!(matches!(error, DaemonError::Refused { .. }), "{error:?}");
}

#[test]
fn a_peer_that_is_no_daemon_is_told_from_one() {
    for nonsense in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0xff; 64], &[0; 64]] {
        let script = |mut peer: Peer| {
            peer.raw(nonsense);
            peer.outstay();
        };
        let error = against(script, |store| store.unwrap_err());
        assert!(matches!(error, DaemonError::Protocol { .. }), "{error:?}");
    }
}

#[test]
fn versions_that_are_not_spoken_are_named() {
    for (major, minor) in [(1_u64, 20_u64), (1, 33), (2, 1), (0, 38)] {
        let script = |mut peer: Peer| {
            for number in [0x6478_696f, major << 8 | minor] {
                peer.raw(&number.to_le_bytes());
            }
            peer.raw(&[0; 64]);
            peer.outstay();
        };
        let error = against(script, |store| store.unwrap_err());
        assert!(matches!(error, DaemonError::Version { .. }), "{major}.{minor}: {error:?}");
        let wanted = format!("speaks protocol {major}.{minor}, wanted 1.34 to 1.38");
        assert!(error.to_string().contains(&wanted), "{error}");
    }
}

#[test]
fn a_newer_daemon_is_spoken_to_in_the_newest_version_that_is_known() {
    let script = |mut peer: Peer| peer.greet(ProtocolVersion::new(1, 38));
    let version = against(script, |store| store.unwrap().version());
    assert_eq!(version, NEWEST);
}

#[test]
fn what_a_daemon_says_no_with_is_plain_text_and_the_connection_goes_on() {
    let script = |mut peer: Peer| {
        peer.heard();
        peer.say(&Message::Log(b"\x1b]0;title\x07a line".to_vec()));
        let (text, traces) = (b"\x1b[31;1merror:\x1b[0m no '\x1b[35mdisk\x1b[0m'".to_vec(), vec![]);
        peer.say(&Message::Error(ErrorMessage { text, level: 0, traces, exit_status: 1 }));
        peer.heard();
        peer.answer(&Response::Flag(true));
    };
    after_greeting(script, |store| {
        let error = daemon_error(store.is_valid(&path()).unwrap_err());
        assert_eq!(error.to_string(), "the Nix daemon cannot answer `IsValidPath`: no 'disk'");
        assert!(store.is_valid(&path()).unwrap());
    });
}

#[test]
fn nonsense_in_the_place_of_an_answer_ends_the_connection() {
    type Ask = fn(&DaemonStore) -> StoreError;
    let lie = |number: u64| [0x616c_7473_u64, number].map(u64::to_le_bytes).concat();
    let scripts: [(Vec<u8>, Ask); 5] = [
        (vec![0xee; 32], |store| store.is_valid(&path()).unwrap_err()),
        (lie(2), |store| store.is_valid(&path()).unwrap_err()),
        (lie(0), |store| store.add_temp_root(&path()).unwrap_err()),
        (lie(u64::MAX), |store| store.paths().unwrap_err()),
        (lie(1 << 40), |store| store.path_info(&path()).unwrap_err()),
    ];
    for (bytes, ask) in scripts {
        let script = |mut peer: Peer| {
            peer.heard();
            peer.raw(&bytes);
            let _ = io::copy(&mut peer.reader, &mut io::sink());
        };
        after_greeting(script, |store| {
            let error = daemon_error(ask(store));
            assert!(matches!(error, DaemonError::Protocol { .. }), "{error:?}");
            let error = daemon_error(store.is_valid(&path()).unwrap_err());
            assert!(matches!(error, DaemonError::Ended), "{error:?}");
        });
    }
}

#[test]
fn a_daemon_that_stops_in_the_middle_is_told() {
    let script = |mut peer: Peer| {
        peer.heard();
        peer.raw(&[0x73, 0x74]);
    };
    after_greeting(script, |store| {
        let error = daemon_error(store.is_valid(&path()).unwrap_err());
        assert!(matches!(error, DaemonError::Died { asked: "IsValidPath", .. }), "{error:?}");
    });
}

#[test]
fn a_daemon_that_says_nothing_is_given_up() {
    let script = |mut peer: Peer| {
        peer.greet(NEWEST);
        let _ = io::copy(&mut peer.reader, &mut io::sink()); // ends with the connection
    };
    against(script, |store| {
        let store = store.unwrap().with_silence_limit(Duration::from_millis(100));
        let error = daemon_error(store.is_valid(&path()).unwrap_err());
        assert!(matches!(error, DaemonError::Silent { .. }), "{error:?}");
    });
}

/// A daemon that talks without end while it should listen gets neither memory nor patience.
#[test]
fn a_daemon_that_talks_while_it_should_listen_is_cut_off() {
    let script = |mut peer: Peer| {
        for answer in [Response::Done, Response::Paths(Vec::new())] {
            peer.heard();
            peer.answer(&answer);
        }
        let line = Message::Log(vec![b'x'; 100_000]);
        // It never reads the archive; it ends when the other side does.
        while line.write(&mut peer.writer, NEWEST).is_ok() {}
    };
    let nar = file(&vec![1; 10_000_000]);
    let began = Instant::now();
    after_greeting(script, |store| {
        let error = store.add_nar(&offer(&nar), &mut nar.as_slice(), Trust::Caller).unwrap_err();
        let error = daemon_error(error);
        assert!(matches!(error, DaemonError::Protocol { .. }), "{error:?}");
    });
    assert!(began.elapsed() < Duration::from_secs(20));
}

/// What a daemon logs while it takes an archive does not stop it from taking it.
#[test]
fn logs_are_heard_while_an_archive_is_sent() {
    let nar = file(&vec![2; 3_000_000]);
    let script = |mut peer: Peer| {
        for answer in [Response::Done, Response::Paths(Vec::new())] {
            peer.heard();
            peer.answer(&answer);
        }
        peer.heard();
        let (fields, text) = (Vec::new(), vec![b'y'; 300_000]);
        let activity = Activity { id: 1, level: 3, kind: 0, text, fields, parent: 0 };
        peer.say(&Message::StartActivity(activity));
        peer.say(&Message::StopActivity { id: 1 });
        let mut taken = Vec::new();
        FramedReader::new(&mut peer.reader).read_to_end(&mut taken).unwrap();
        assert!(taken == nar);
        peer.say(&Message::Last);
    };
    after_greeting(script, |store| {
        assert!(!store.add_nar(&offer(&nar), &mut nar.as_slice(), Trust::Caller).unwrap());
    });
}

/// The end of an archive that is not as promised never reaches the daemon.
#[test]
fn a_daemon_does_not_get_the_end_of_another_archive() {
    let nar = file(&vec![3; 200_000]);
    let mut other = nar.clone();
    other[100_000] ^= 1;
    let script = |mut peer: Peer| {
        for answer in [Response::Done, Response::Paths(Vec::new())] {
            peer.heard();
            peer.answer(&answer);
        }
        peer.heard();
        let mut taken = Vec::new();
        FramedReader::new(&mut peer.reader).read_to_end(&mut taken).unwrap();
        assert!(taken.len() <= other.len() - 16, "{}", taken.len());
        let (text, traces) = (b"error: the archive ends early".to_vec(), Vec::new());
        peer.say(&Message::Error(ErrorMessage { text, level: 0, traces, exit_status: 1 }));
    };
    after_greeting(script, |store| {
        let error = store.add_nar(&offer(&nar), &mut other.as_slice(), Trust::Caller).unwrap_err();
        assert!(matches!(error, StoreError::AddNar(_)), "{error:?}");
    });
}

#[test]
fn archives_that_are_none_or_others_are_noticed() {
    let nar = file(b"contents");
    let huge = {
        let mut huge = file(b"")[..88].to_vec();
        huge.extend(u64::MAX.to_le_bytes());
        huge
    };
    let read = |sent: &[u8]| {
        let script = |mut peer: Peer| {
            peer.heard();
            peer.answer(&info_of(&nar));
            peer.heard();
            peer.answer(&Response::Nar);
            peer.raw(sent);
        };
        after_greeting(script, |store| store.write_nar(&path(), &mut Vec::new()))
    };
    read(&nar).unwrap();
    let other = read(&file(b"Contents")).unwrap_err();
    assert!(matches!(other, StoreError::Modified { .. }), "{other:?}");
    let cut = daemon_error(read(&nar[..nar.len() - 1]).unwrap_err());
    assert!(matches!(cut, DaemonError::Died { .. }), "{cut:?}");
    for nonsense in [&[7; 200][..], &huge] {
        let error = daemon_error(read(nonsense).unwrap_err());
        assert!(matches!(error, DaemonError::Archive { .. }), "{error:?}");
    }
}

/// Whoever takes an archive may fail; the connection goes on behind the archive.
#[test]
fn a_reader_that_fails_does_not_end_the_connection() {
    let nar = file(&vec![4; 500_000]);
    let script = |mut peer: Peer| {
        peer.heard();
        peer.answer(&info_of(&nar));
        peer.heard();
        peer.answer(&Response::Nar);
        peer.raw(&nar);
        peer.heard();
        peer.answer(&Response::Flag(true));
    };
    after_greeting(script, |store| {
        let mut room = [0; 1000];
        let error = store.write_nar(&path(), &mut room.as_mut_slice()).unwrap_err();
        assert!(matches!(error, StoreError::Tree(_)), "{error:?}");
        assert!(store.is_valid(&path()).unwrap());
    });
}
