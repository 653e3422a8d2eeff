//! What holds of every tree and of all bytes.

use proptest::prelude::*;

use super::{NarEvent, NarLimits, NarNode, NarReader, NarWriter, is_file_name};
use crate::{NarError, NarWriteError};

/// A tree as nested data, for round trips.
#[derive(Debug, Clone)]
enum Tree {
    File(bool, Vec<u8>),
    Symlink(Vec<u8>),
    Directory(Vec<(Vec<u8>, Tree)>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (any::<bool>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(executable, contents)| Tree::File(executable, contents)),
        prop::collection::vec(1_u8.., 1..40).prop_map(Tree::Symlink),
    ];
    let name = prop::collection::vec(1_u8.., 1..20).prop_filter("a name", |n| is_file_name(n));
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop::collection::btree_map(name.clone(), inner, 0..5)
            .prop_map(|entries| Tree::Directory(entries.into_iter().collect()))
    })
}

fn write(nar: &mut NarWriter<Vec<u8>>, tree: &Tree) -> Result<(), NarWriteError> {
    match tree {
        Tree::File(executable, contents) => {
            nar.file(*executable, contents.len() as u64, &mut contents.as_slice())
        }
        Tree::Symlink(target) => nar.symlink(target),
        Tree::Directory(entries) => {
            nar.directory()?;
            for (name, node) in entries {
                nar.entry(name)?;
                write(nar, node)?;
            }
            nar.end_directory()
        }
    }
}

/// Writes again what is read.
fn copy(bytes: &[u8]) -> Result<Vec<u8>, NarError> {
    let mut reader = NarReader::new(bytes, NarLimits::default())?;
    let mut nar = NarWriter::new(Vec::new()).expect("a vector takes every byte");
    while let Some(event) = reader.next_event()? {
        let NarEvent::Node { name, node } = event else {
            nar.end_directory().expect("a vector takes every byte");
            continue;
        };
        if let Some(name) = name {
            nar.entry(&name).expect("the reader checked the name");
        }
        match node {
            NarNode::Directory => nar.directory().expect("a vector takes every byte"),
            NarNode::Symlink { target } => nar.symlink(&target).expect("the reader checked it"),
            NarNode::File { executable, size } => {
                let mut contents = Vec::new();
                let mut chunk = [0; 16];
                while let count @ 1.. = reader.read_contents(&mut chunk)? {
                    contents.extend_from_slice(&chunk[..count]);
                }
                nar.file(executable, size, &mut contents.as_slice()).expect("size is read");
            }
        }
    }
    Ok(nar.finish())
}

proptest! {
    #[test]
    fn reading_undoes_writing(tree in tree()) {
        let mut nar = NarWriter::new(Vec::new())?;
        write(&mut nar, &tree)?;
        let bytes = nar.finish();
        prop_assert_eq!(copy(&bytes)?, bytes);
    }

    /// What is not refused is the only archive of its tree.
    #[test]
    fn a_changed_byte_is_refused_or_changes_the_tree(
        tree in tree(),
        position: prop::sample::Index,
        flipped in 1_u8..,
    ) {
        let mut nar = NarWriter::new(Vec::new())?;
        write(&mut nar, &tree)?;
        let mut bytes = nar.finish();
        let position = position.index(bytes.len());
        bytes[position] ^= flipped;
        if let Ok(copied) = copy(&bytes) {
            prop_assert_eq!(copied, bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        magic: bool,
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut nar = NarWriter::new(Vec::new())?;
        nar.symlink(b"x")?;
        let mut archive = nar.finish();
        archive.truncate(if magic { 24 } else { 0 });
        archive.extend_from_slice(&bytes);
        let _ = copy(&archive);
    }
}
