//! Every transcript of real clients and daemons, understood and said again byte by byte.

use std::io::{Read, Write};

use hoist_nix::wire::{
    FramedReader, FramedWriter, PathInfo, ProtocolVersion, WireError, WireReader, WireWriter,
    serve, worker,
};
use hoist_nix::{NarLimits, StoreDir, copy_nar};
use serde_json::Value;

use super::{base16, json, list, text};

/// Both directions of one connection.
struct Transcript {
    about: String,
    sent: Vec<u8>,
    received: Vec<u8>,
    /// The operations by the names that the transcript gives them; none in captures.
    operations: Vec<String>,
}

/// What was found in transcripts.
#[derive(Debug, Default)]
struct Count {
    connections: usize,
    requests: usize,
    messages: usize,
    responses: usize,
    refusals: usize,
}

type Reader<'b> = WireReader<&'b [u8]>;

fn reader(bytes: &[u8]) -> Reader<'_> {
    WireReader::new(bytes, StoreDir::default())
}

fn writer() -> WireWriter<Vec<u8>> {
    WireWriter::new(Vec::new(), StoreDir::default())
}

/// How far a reader of all `bytes` has come.
fn position(bytes: &[u8], reader: &mut Reader<'_>) -> usize {
    bytes.len() - reader.get_mut().len()
}

#[track_caller]
fn assert_same(about: &str, said: &[u8], again: &[u8]) {
    let differs = said.iter().zip(again).position(|(one, other)| one != other);
    assert!(said == again, "{about}: differs at {differs:?} of {}/{}", said.len(), again.len());
}

/// The sessions of a file, each as one connection.
fn sessions(file: &str) -> Vec<Transcript> {
    let vectors = json(file);
    let session = |session: &Value| {
        let steps = list(session, "steps");
        let joined = |key: &str| steps.iter().flat_map(|step| base16(text(step, key))).collect();
        let mut received: Vec<u8> = joined("received_hex");
        received.extend(base16(text(session, "rest_hex")));
        Transcript {
            about: format!("{} and {}", text(session, "client_version"), text(session, "server")),
            sent: joined("sent_hex"),
            received,
            operations: steps.iter().skip(1).map(|step| text(step, "op").to_owned()).collect(),
        }
    };
    list(&vectors, "sessions").iter().map(session).collect()
}

/// The connections of real clients that begin with these bytes.
fn captures(magic: u64) -> Vec<Transcript> {
    let vectors = json("protocol-captures.json");
    let mut found = Vec::new();
    for capture in list(&vectors, "captures") {
        for messages in list(capture, "connections") {
            let messages = messages.as_array().unwrap();
            let joined = |dir: &str| -> Vec<u8> {
                let of_dir = messages.iter().filter(|message| text(message, "dir") == dir);
                of_dir.flat_map(|message| base16(text(message, "hex"))).collect()
            };
            let (sent, received) = (joined("c2s"), joined("s2c"));
            if sent.starts_with(&magic.to_le_bytes()) {
                let about = format!("{} to {}", text(capture, "client"), text(capture, "server"));
                found.push(Transcript { about, sent, received, operations: Vec::new() });
            }
        }
    }
    found
}

/// Reads the NAR that follows.
fn nar(input: &mut impl Read) -> Vec<u8> {
    let mut nar = Vec::new();
    copy_nar(input, NarLimits::default(), &mut nar).unwrap();
    nar
}

impl Transcript {
    fn replay_worker(&self, count: &mut Count) {
        let (mut client, mut daemon) = (reader(&self.sent), reader(&self.received));
        let newest = version_of(&self.sent);
        let mut said = writer();
        let greeting = worker::client_handshake(&mut daemon, &mut said, newest).unwrap();
        let mut answered = writer();
        let server_version = version_of(&self.received);
        let ours = worker::Greeting { version: server_version, ..greeting.clone() };
        let (version, features) =
            worker::server_handshake(&mut client, &mut answered, &ours).unwrap();
        assert_eq!((version, features), (greeting.version, Vec::new()), "{}", self.about);
        let sent = &self.sent[..position(&self.sent, &mut client)];
        assert_same(&self.about, sent, &said.into_inner());
        let received = &self.received[..position(&self.received, &mut daemon)];
        assert_same(&self.about, received, &answered.into_inner());
        assert!(self.replay_messages(&mut daemon, version, count), "{}", self.about);
        count.connections += 1;

        for index in 0.. {
            let start = position(&self.sent, &mut client);
            let request = match worker::Request::read(&mut client, version) {
                Ok(Some(request)) => request,
                Ok(None) => break,
                Err(WireError::StorePath { .. }) => {
                    // As Nix did: a refusal, and once more when the connection ends.
                    assert!(!self.replay_messages(&mut daemon, version, count));
                    assert!(!self.replay_messages(&mut daemon, version, count));
                    count.refusals += 1;
                    break;
                }
                Err(error) => panic!("{}: request {index}: {error}", self.about),
            };
            let name = request.operation().name();
            let about = format!("{}: {name}", self.about);
            if let Some(operation) = self.operations.get(index) {
                assert!(operation.starts_with(name), "{about} is {operation}");
            }
            let mut again = writer();
            request.write(&mut again, version).unwrap();
            copy_payload(&request, &mut client, &mut again, version);
            let end = position(&self.sent, &mut client);
            assert_same(&about, &self.sent[start..end], &again.into_inner());
            count.requests += 1;

            if self.replay_messages(&mut daemon, version, count) {
                let start = position(&self.received, &mut daemon);
                let operation = request.operation();
                let response = worker::Response::read(&mut daemon, operation, version).unwrap();
                let mut again = writer();
                response.write(&mut again, version).unwrap();
                if response == worker::Response::Nar {
                    again.write_all(&nar(&mut daemon)).unwrap();
                }
                let end = position(&self.received, &mut daemon);
                assert_same(&about, &self.received[start..end], &again.into_inner());
                count.responses += 1;
            }
        }
        assert_eq!(daemon.get_mut().len(), 0, "{}: all was read", self.about);
    }

    /// Replays the messages before an answer; returns whether there is one.
    fn replay_messages(
        &self,
        daemon: &mut Reader<'_>,
        version: ProtocolVersion,
        count: &mut Count,
    ) -> bool {
        loop {
            let start = position(&self.received, daemon);
            let message = worker::Message::read(daemon, version).unwrap();
            let mut again = writer();
            message.write(&mut again, version).unwrap();
            let end = position(&self.received, daemon);
            assert_same(&self.about, &self.received[start..end], &again.into_inner());
            count.messages += 1;
            match message {
                worker::Message::Last => return true,
                worker::Message::Error(error) => {
                    assert!(!error.plain().contains(['\x1b', '\u{fffd}']), "{}", error.plain());
                    return false;
                }
                _ => {}
            }
        }
    }

    fn replay_serve(&self, count: &mut Count) {
        let (mut client, mut server) = (reader(&self.sent), reader(&self.received));
        let [newest, server_version] = [&self.sent, &self.received].map(|bytes| version_of(bytes));
        let (mut said, mut answered) = (writer(), writer());
        let version = serve::client_handshake(&mut server, &mut said, newest).unwrap();
        let theirs = serve::server_handshake(&mut client, &mut answered, server_version).unwrap();
        assert_eq!(theirs, version, "{}", self.about);
        assert_same(&self.about, &self.sent[..16], &said.into_inner());
        assert_same(&self.about, &self.received[..16], &answered.into_inner());
        count.connections += 1;

        let mut index = 0;
        loop {
            let start = position(&self.sent, &mut client);
            let Some(request) = serve::Request::read(&mut client, version).unwrap() else { break };
            let command = request.command();
            let about = format!("{}: {command:?}", self.about);
            if let Some(operation) = self.operations.get(index) {
                assert!(operation.starts_with(&format!("{command:?}")), "{about} is {operation}");
            }
            index += 1;
            let mut again = writer();
            request.write(&mut again, version).unwrap();
            match request {
                serve::Request::AddToStoreNar { .. } => {
                    again.write_all(&nar(&mut client)).unwrap();
                }
                serve::Request::ImportPaths => copy_export(&mut client, &mut again).unwrap(),
                _ => {}
            }
            let end = position(&self.sent, &mut client);
            assert_same(&about, &self.sent[start..end], &again.into_inner());
            count.requests += 1;

            let start = position(&self.received, &mut server);
            let response = match serve::Response::read(&mut server, command, version) {
                Ok(response) => response,
                Err(WireError::Ended { .. }) => {
                    // What a server cannot answer it does not; it closes.
                    count.refusals += 1;
                    break;
                }
                Err(error) => panic!("{about}: {error}"),
            };
            let mut again = writer();
            response.write(&mut again, version).unwrap();
            if response == serve::Response::Nar {
                again.write_all(&nar(&mut server)).unwrap();
            }
            let end = position(&self.received, &mut server);
            assert_same(&about, &self.received[start..end], &again.into_inner());
            count.responses += 1;
        }
        assert_eq!([client.get_mut().len(), server.get_mut().len()], [0; 2], "{}", self.about);
    }
}

/// The version that a side offers, behind its magic.
fn version_of(bytes: &[u8]) -> ProtocolVersion {
    ProtocolVersion::new(bytes[9], bytes[8])
}

/// Copies the data of a request, frame by frame.
fn copy_payload(
    request: &worker::Request,
    client: &mut Reader<'_>,
    again: &mut WireWriter<Vec<u8>>,
    version: ProtocolVersion,
) {
    match request.operation().payload(version) {
        worker::Payload::None => return,
        worker::Payload::Asked => return again.string(&client.string("data").unwrap()).unwrap(),
        worker::Payload::Framed => {}
    }
    let mut data = Vec::new();
    let mut frames = FramedReader::new(client);
    let mut out = FramedWriter::new(again);
    while let len @ 1.. = frames.frame_left().unwrap() {
        let mut frame = vec![0; usize::try_from(len).unwrap()];
        frames.read_exact(&mut frame).unwrap();
        out.write_all(&frame).unwrap();
        data.extend(frame);
    }
    out.finish().unwrap();
    match request {
        worker::Request::AddToStoreNar { info, .. } => {
            assert_eq!(hoist_nix::Sha256Hash::of(&data), info.nar_hash);
        }
        worker::Request::AddMultipleToStore { .. } => read_many(&data),
        _ => {}
    }
}

/// What [`worker::Request::AddMultipleToStore`] carries.
fn read_many(data: &[u8]) {
    let mut many = reader(data);
    for _ in 0..many.number().unwrap() {
        many.path("path").unwrap();
        let info = PathInfo::read(&mut many).unwrap();
        assert_eq!(hoist_nix::Sha256Hash::of(&nar(&mut many)), info.nar_hash);
    }
    assert!(many.get_mut().is_empty());
}

fn copy_export(client: &mut Reader<'_>, out: &mut WireWriter<Vec<u8>>) -> Result<(), WireError> {
    const MAGIC: u64 = 0x4558_494e;
    while client.flag("whether a path follows")? {
        out.flag(true)?;
        out.write_all(&nar(client)).unwrap();
        assert_eq!(client.number()?, MAGIC);
        out.number(MAGIC)?;
        out.path(&client.path("path")?)?;
        out.paths(&client.paths("reference")?)?;
        out.optional_path(client.optional_path("deriver")?.as_ref())?;
        assert!(!client.flag("whether a signature follows")?);
        out.flag(false)?;
    }
    out.flag(false)
}

#[test]
fn sessions_with_daemons_are_understood_and_said_again() {
    let mut count = Count::default();
    for transcript in sessions("protocol-daemon.json") {
        transcript.replay_worker(&mut count);
    }
    println!("protocol-daemon: {count:?}");
    assert!(count.connections > 0 && count.refusals == count.connections);
}

#[test]
fn sessions_with_servers_are_understood_and_said_again() {
    let mut count = Count::default();
    for transcript in sessions("protocol-serve.json") {
        transcript.replay_serve(&mut count);
    }
    println!("protocol-serve: {count:?}");
    assert!(count.connections > 0 && count.refusals == count.connections);
}

#[test]
fn captures_of_real_clients_are_understood_and_said_again() {
    let (mut daemons, mut servers) = (Count::default(), Count::default());
    for transcript in captures(0x6e69_7863) {
        transcript.replay_worker(&mut daemons);
    }
    for transcript in captures(0x390c_9deb) {
        transcript.replay_serve(&mut servers);
    }
    println!("protocol-captures: with daemons {daemons:?}, with servers {servers:?}");
    assert!(daemons.connections > 0 && servers.connections > 0);
    assert_eq!(daemons.refusals + servers.refusals, 0);
}

/// The error that a side meets which reads these bytes of a client.
fn refusal_by_daemon(sent: &[u8]) -> Result<(), WireError> {
    let mut client = reader(sent);
    let ours = worker::Greeting {
        version: worker::NEWEST,
        features: Vec::new(),
        daemon_version: None,
        trust: worker::DaemonTrust::Unknown,
    };
    let (version, _) = worker::server_handshake(&mut client, &mut writer(), &ours)?;
    while worker::Request::read(&mut client, version)?.is_some() {}
    Ok(())
}

fn refusal_by_server(sent: &[u8]) -> Result<(), WireError> {
    let mut client = reader(sent);
    let version = serve::server_handshake(&mut client, &mut writer(), serve::NEWEST)?;
    while serve::Request::read(&mut client, version)?.is_some() {}
    Ok(())
}

#[test]
fn what_nix_refuses_is_refused_with_a_reason() {
    let mut refusals = Vec::new();
    for (file, refuse) in [
        ("protocol-daemon.json", refusal_by_daemon as fn(&[u8]) -> Result<(), WireError>),
        ("protocol-serve.json", refusal_by_server),
    ] {
        let vectors = json(file);
        for bad in list(&vectors, "bad_input") {
            let refusal = refuse(&base16(text(bad, "sent_hex"))).unwrap_err();
            refusals.push(format!("{}: {refusal}", text(bad, "name")));
        }
    }
    println!("bad input of both protocols: {} vectors", refusals.len());
    let wanted = [
        "bad-magic: found 0x6e697864 where the protocol begins, wanted 0x6e697863",
        "old-client: the peer speaks version 1.9 of the protocol, wanted 1.21 to 1.38",
        "unknown-op: operation 999 at byte 32 is unknown",
        "eof-after-magic: the connection ends at byte 8, in the middle of a message",
        "bad-magic: found 0x390c9dec where the protocol begins, wanted 0x390c9deb",
        "http: found 0x5448202f20544547 where the protocol begins, wanted 0x390c9deb",
        "eof: the connection ends at byte 0, in the middle of a message",
        "major-3: the peer speaks version 3.0 of the protocol, wanted 2.3 to 2.7",
        "major-1: the peer speaks version 1.5 of the protocol, wanted 2.3 to 2.7",
        "unknown-command: operation 99 at byte 16 is unknown",
        "oversized-string: path at byte 24 is 1099511627776 long, limit 1048576",
        "bad-path: path at byte 24 is wrong",
        "nonzero-padding: the padding at byte 37 is not zero",
    ];
    assert_eq!(refusals, wanted);
}

/// A peer that ends or lies anywhere in a transcript is refused, and nothing panics.
#[test]
fn transcripts_cut_and_changed_anywhere_are_read_or_refused() {
    let transcript = &sessions("protocol-daemon.json")[4];
    let mut tried = 0;
    for at in (0..transcript.sent.len()).step_by(3) {
        let _ = refusal_by_daemon(&transcript.sent[..at]);
        let mut changed = transcript.sent.clone();
        changed[at] ^= 0xff;
        let _ = refusal_by_daemon(&changed);
        tried += 2;
    }
    for at in (0..transcript.received.len()).step_by(3) {
        let mut changed = transcript.received.clone();
        changed[at] ^= 0xff;
        let mut daemon = reader(&changed);
        let greeting = worker::client_handshake(&mut daemon, &mut writer(), worker::NEWEST);
        for operation in worker::Operation::ALL {
            let Ok(greeting) = &greeting else { break };
            let _ = worker::Message::read(&mut daemon, greeting.version);
            let _ = worker::Response::read(&mut daemon, operation, greeting.version);
        }
        tried += 1;
    }
    println!("hostile transcripts: {tried}");
    assert!(tried > 1000);
}
