//! The worker and the serve protocol.

use std::fmt::Debug;
use std::io::Read;

use hoist_nix::StoreDir;
use hoist_nix::wire::worker::{self, DaemonTrust, Greeting, Message, Operation, Request, Response};
use hoist_nix::wire::{FramedReader, ProtocolVersion, WireError, WireReader, WireWriter, serve};

/// From the oldest that is spoken on, with each that changed something.
const WORKER: [ProtocolVersion; 6] = [
    ProtocolVersion::new(1, 21),
    ProtocolVersion::new(1, 26),
    ProtocolVersion::new(1, 32),
    ProtocolVersion::new(1, 34),
    ProtocolVersion::new(1, 37),
    ProtocolVersion::new(1, 38),
];
const SERVE: [ProtocolVersion; 3] =
    [ProtocolVersion::new(2, 2), ProtocolVersion::new(2, 5), ProtocolVersion::new(2, 7)];

const COMMANDS: [serve::Command; 6] = [
    serve::Command::QueryValidPaths,
    serve::Command::QueryPathInfos,
    serve::Command::DumpStorePath,
    serve::Command::ImportPaths,
    serve::Command::QueryClosure,
    serve::Command::AddToStoreNar,
];

/// Every request and answer of both protocols: what is read is written as the same bytes.
///
/// The first byte says which side of which protocol speaks, the second which version, the third
/// what was asked; the rest is what arrives.
///
/// # Panics
///
/// Where that does not hold.
pub fn wire(bytes: &[u8]) {
    let &[side, version, asked, ref input @ ..] = bytes else { return };
    let pick = |count: usize, byte: u8| usize::from(byte) % count;
    let worker = WORKER[pick(WORKER.len(), version)];
    let serve = SERVE[pick(SERVE.len(), version)];
    match side % 7 {
        0 => each(
            input,
            |reader| Request::read(reader, worker),
            |request, writer| request.write(writer, worker),
            |request| matches!(request, Request::SetOptions(_) | Request::CollectGarbage(_)),
        ),
        1 => each(
            input,
            |reader| Message::read(reader, worker).map(Some),
            |message, writer| message.write(writer, worker),
            |_| false,
        ),
        2 => {
            let operation = Operation::ALL[pick(Operation::ALL.len(), asked)];
            one(
                input,
                |reader| Response::read(reader, operation, worker),
                |response, writer| response.write(writer, worker),
                |response| matches!(response, Response::Collected { .. }),
            );
        }
        3 => each(
            input,
            |reader| serve::Request::read(reader, serve),
            |request, writer| request.write(writer, serve),
            |_| false,
        ),
        4 => {
            let command = COMMANDS[pick(COMMANDS.len(), asked)];
            one(
                input,
                |reader| serve::Response::read(reader, command, serve),
                |response, writer| response.write(writer, serve),
                |_| false,
            );
        }
        5 => handshakes(input, worker, serve),
        _ => frames(input),
    }
}

fn reader(input: &[u8]) -> WireReader<&[u8]> {
    WireReader::new(input, StoreDir::default())
}

/// Reads one after the other until the input ends or is refused.
///
/// - `has_obsolete`: of which values Nix sends numbers that mean nothing any more.
fn each<T: Debug + PartialEq>(
    input: &[u8],
    read: impl Fn(&mut WireReader<&[u8]>) -> Result<Option<T>, WireError>,
    write: impl Fn(&T, &mut WireWriter<Vec<u8>>) -> Result<(), WireError>,
    has_obsolete: impl Fn(&T) -> bool,
) {
    let mut reader = reader(input);
    loop {
        let left = *reader.get_mut();
        let Ok(Some(value)) = read(&mut reader) else { break };
        let bytes = &left[..left.len() - reader.get_mut().len()];
        let read =
            |reader: &mut WireReader<&[u8]>| read(reader).map(|read| read.expect("it was written"));
        written(&value, read, &write, Some(bytes).filter(|_| !has_obsolete(&value)));
    }
}

/// Reads what the input begins with.
fn one<T: Debug + PartialEq>(
    input: &[u8],
    read: impl Fn(&mut WireReader<&[u8]>) -> Result<T, WireError>,
    write: impl Fn(&T, &mut WireWriter<Vec<u8>>) -> Result<(), WireError>,
    has_obsolete: impl Fn(&T) -> bool,
) {
    let mut reader = reader(input);
    if let Ok(value) = read(&mut reader) {
        let bytes = &input[..input.len() - reader.get_mut().len()];
        written(&value, read, write, Some(bytes).filter(|_| !has_obsolete(&value)));
    }
}

/// Writes a value and reads it again.
///
/// - `bytes`: where it came from, if that is the only way to say it.
fn written<T: Debug + PartialEq>(
    value: &T,
    read: impl Fn(&mut WireReader<&[u8]>) -> Result<T, WireError>,
    write: impl Fn(&T, &mut WireWriter<Vec<u8>>) -> Result<(), WireError>,
    bytes: Option<&[u8]>,
) {
    let mut writer = WireWriter::new(Vec::new(), StoreDir::default());
    write(value, &mut writer).expect("what was read can be written");
    let again = writer.into_inner();
    if let Some(bytes) = bytes {
        assert_eq!(again, bytes, "accepted, and other bytes say the same: {value:?}");
    }
    let mut reader = reader(&again);
    assert_eq!(&read(&mut reader).expect("what was written can be read"), value);
    assert!(reader.get_mut().is_empty(), "some of what was written was not read");
}

fn handshakes(input: &[u8], worker: ProtocolVersion, serve: ProtocolVersion) {
    let silent = || WireWriter::new(Vec::new(), StoreDir::default());
    let _ = worker::client_handshake(&mut reader(input), &mut silent(), worker);
    let ours = Greeting {
        version: worker,
        features: Vec::new(),
        daemon_version: Some("hoist".to_owned()),
        trust: DaemonTrust::Trusted,
    };
    let _ = worker::server_handshake(&mut reader(input), &mut silent(), &ours);
    let _ = serve::client_handshake(&mut reader(input), &mut silent(), serve);
    let _ = serve::server_handshake(&mut reader(input), &mut silent(), serve);
}

/// Frames give no byte that did not arrive, and skipping them ends where reading them does.
fn frames(input: &[u8]) {
    let mut first = reader(input);
    let mut data = Vec::new();
    let read = FramedReader::new(&mut first).read_to_end(&mut data);
    assert!(data.len() <= input.len());
    let mut second = reader(input);
    let skipped = FramedReader::new(&mut second).skip_rest();
    assert_eq!(read.is_ok(), skipped.is_ok());
    if read.is_ok() {
        assert_eq!(first.get_mut().len(), second.get_mut().len());
    }
}
