//! What holds of every export and of all bytes.

use proptest::prelude::*;

use super::{ExportError, ExportReader, ExportWriter, ExportedPath};
use crate::wire::WireReader;
use crate::{NarLimits, NarReader, NarWriter, StoreDir, StorePath, StorePathName};

fn path() -> impl Strategy<Value = StorePath> {
    (any::<[u8; 20]>(), "[a-z]{1,9}").prop_map(|(digest, name)| {
        StorePath::new(&digest, &StorePathName::parse(&name).expect("letters only"))
    })
}

fn exported() -> impl Strategy<Value = (ExportedPath, Vec<u8>)> {
    let references = prop::collection::btree_set(path(), 0..4);
    let contents = prop::collection::vec(any::<u8>(), 0..40);
    (path(), references, prop::option::of(path()), contents).prop_map(
        |(path, references, deriver, contents)| {
            let references = references.into_iter().collect();
            (ExportedPath { path, references, deriver }, contents)
        },
    )
}

fn write(paths: &[(ExportedPath, Vec<u8>)]) -> Vec<u8> {
    let mut export = ExportWriter::new(Vec::new(), StoreDir::default());
    for (said, contents) in paths {
        let written = export.path(said, |out| -> Result<(), ExportError> {
            let mut nar = NarWriter::new(out).expect("a vector takes every byte");
            nar.file(false, contents.len() as u64, &mut contents.as_slice()).expect("so it does");
            Ok(())
        });
        written.expect("a vector takes every byte");
    }
    export.finish().expect("a vector takes every byte")
}

fn first_node(nar: &mut NarReader<&mut WireReader<&[u8]>>) -> Result<Vec<u8>, ExportError> {
    let wrong = |error| ExportError::in_archive(0, error);
    nar.next_event().map_err(wrong)?;
    let mut contents = vec![0; 100];
    let count = nar.read_contents(&mut contents).map_err(wrong)?;
    contents.truncate(count);
    Ok(contents)
}

/// Reads each path, taking of its archive no more than the first node.
fn read(stream: &[u8]) -> Result<Vec<(ExportedPath, Vec<u8>)>, ExportError> {
    let mut export = ExportReader::new(stream, StoreDir::default(), NarLimits::default());
    let mut paths = Vec::new();
    while let Some(path) = export.next_path(first_node)? {
        paths.push(path);
    }
    Ok(paths)
}

proptest! {
    #[test]
    fn reading_undoes_writing(paths in prop::collection::vec(exported(), 0..4)) {
        prop_assert_eq!(read(&write(&paths))?, paths);
    }

    /// What is not refused is the only export of its paths.
    #[test]
    fn a_changed_byte_is_refused_or_changes_what_is_said(
        paths in prop::collection::vec(exported(), 0..3),
        position: prop::sample::Index,
        flipped in 1_u8..,
    ) {
        let mut stream = write(&paths);
        let position = position.index(stream.len());
        stream[position] ^= flipped;
        if let Ok(changed) = read(&stream) {
            prop_assert_ne!(changed, paths);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(0_u8..3, 0..200)) {
        let _ = read(&bytes);
    }
}
