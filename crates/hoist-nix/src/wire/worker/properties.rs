//! Whatever is said is understood as it was meant; whatever is not is refused.

use proptest::prelude::*;

use super::*;
use crate::wire::{WireReader, WireWriter};
use crate::{StoreDir, StorePath, StorePathName};

fn a_path() -> impl Strategy<Value = StorePath> {
    (any::<[u8; 20]>(), "[a-z]{1,12}").prop_map(|(digest, name)| {
        StorePath::new(&digest, &StorePathName::parse(&name).expect("letters are a name"))
    })
}

fn a_field() -> impl Strategy<Value = Field> {
    let text = prop::collection::vec(any::<u8>(), 0..20);
    prop_oneof![any::<u64>().prop_map(Field::Number), text.prop_map(Field::Text)]
}

fn a_message() -> impl Strategy<Value = Message> {
    let text = || prop::collection::vec(any::<u8>(), 0..40);
    let fields = || prop::collection::vec(a_field(), 0..3);
    let traces = prop::collection::vec(text(), 0..3);
    prop_oneof![
        Just(Message::Last),
        (text(), 0_u64..8, traces).prop_map(|(text, level, traces)| {
            Message::Error(ErrorMessage { text, level, traces, exit_status: 1 })
        }),
        text().prop_map(Message::Log),
        any::<u64>().prop_map(Message::Read),
        text().prop_map(Message::Write),
        (any::<[u64; 4]>(), text(), fields()).prop_map(
            |([id, level, kind, parent], text, fields)| {
                Message::StartActivity(Activity { id, level, kind, text, fields, parent })
            }
        ),
        any::<u64>().prop_map(|id| Message::StopActivity { id }),
        (any::<[u64; 2]>(), fields()).prop_map(|([id, kind], fields)| Message::Result {
            id,
            kind,
            fields
        }),
    ]
}

fn a_request() -> impl Strategy<Value = Request> {
    let paths = || prop::collection::vec(a_path(), 0..4);
    let targets = || {
        let outputs = prop::option::of("[a-z*,]{1,8}");
        let target = (a_path(), outputs).prop_map(|(path, outputs)| DerivedPath { path, outputs });
        prop::collection::vec(target, 0..3)
    };
    prop_oneof![
        a_path().prop_map(Request::IsValidPath),
        a_path().prop_map(Request::NarFromPath),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Request::AddIndirectRoot),
        Just(Request::FindRoots),
        Just(Request::OptimiseStore),
        (paths(), any::<bool>())
            .prop_map(|(paths, substitute)| Request::QueryValidPaths { paths, substitute }),
        (paths(), any::<bool>(), any::<u64>()).prop_map(|(paths, ignore_liveness, limit)| {
            let action = CollectAction::DeleteSpecific;
            let max_freed_bytes = limit;
            Request::CollectGarbage(Collect { action, paths, ignore_liveness, max_freed_bytes })
        }),
        (any::<bool>(), any::<bool>()).prop_map(|(check_contents, repair)| {
            Request::VerifyStore { check_contents, repair }
        }),
        targets().prop_map(Request::QueryMissing),
        (targets(), 0_u64..3)
            .prop_map(|(targets, mode)| Request::BuildPathsWithResults { targets, mode }),
    ]
}

fn written(
    write: impl FnOnce(&mut WireWriter<Vec<u8>>) -> Result<(), crate::wire::WireError>,
) -> Vec<u8> {
    let mut writer = WireWriter::new(Vec::new(), StoreDir::default());
    write(&mut writer).expect("a vector takes every byte");
    writer.into_inner()
}

fn reader(bytes: &[u8]) -> WireReader<&[u8]> {
    WireReader::new(bytes, StoreDir::default())
}

proptest! {
    #[test]
    fn messages_read_back(message in a_message()) {
        let bytes = written(|writer| message.write(writer, NEWEST));
        let mut reader = reader(&bytes);
        prop_assert_eq!(Message::read(&mut reader, NEWEST)?, message);
        prop_assert!(reader.get_mut().is_empty());
    }

    #[test]
    fn requests_read_back(request in a_request()) {
        let bytes = written(|writer| request.write(writer, NEWEST));
        let mut reader = reader(&bytes);
        prop_assert_eq!(Request::read(&mut reader, NEWEST)?, Some(request));
        prop_assert!(reader.get_mut().is_empty());
    }

    /// No prefix of a request is a request, and none is a panic.
    #[test]
    fn requests_that_end_early_are_refused(request in a_request(), cut in any::<prop::sample::Index>()) {
        let bytes = written(|writer| request.write(writer, NEWEST));
        let len = cut.index(bytes.len());
        let read = Request::read(&mut reader(&bytes[..len]), NEWEST);
        prop_assert_eq!(matches!(read, Ok(None)), len == 0);
        prop_assert!(!matches!(read, Ok(Some(_))));
    }

    #[test]
    fn any_words_are_read_or_refused(
        words in prop::collection::vec(prop_oneof![0_u64..50, any::<u64>()], 1..12),
        operation in prop::sample::select(Operation::ALL.to_vec()),
        minor in 21_u8..39,
    ) {
        let version = crate::wire::ProtocolVersion::new(1, minor);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let _ = Request::read(&mut reader(&bytes), version);
        let _ = Message::read(&mut reader(&bytes), version);
        let _ = Response::read(&mut reader(&bytes), operation, version);
        let mut bytes_of_operation = operation.number().to_le_bytes().to_vec();
        bytes_of_operation.extend(bytes);
        let _ = Request::read(&mut reader(&bytes_of_operation), version);
    }
}
