//! Archives.

use std::io::Read;

use hoist_nix::{NarError, NarEvent, NarLimits, NarNode, NarReader, NarWriter};

/// Any bytes are refused, or are the only archive of their tree; however they arrive.
///
/// # Panics
///
/// Where that does not hold.
pub fn nar(bytes: &[u8]) {
    let whole = rewrite(bytes);
    if let Ok(again) = &whole {
        assert_eq!(again, bytes, "accepted, and another archive of the same tree");
    }
    let trickled = rewrite(Trickle { left: bytes, piece: 0 });
    assert_eq!(format!("{whole:?}"), format!("{trickled:?}"), "it depends on how it arrives");
}

/// Reads an archive to its end and returns what the writer makes of the events.
fn rewrite(input: impl Read) -> Result<Vec<u8>, NarError> {
    let mut reader = NarReader::new(input, NarLimits::default())?;
    let mut writer = NarWriter::new(Vec::new()).expect("a vector takes every byte");
    while let Some(event) = reader.next_event()? {
        let NarEvent::Node { name, node } = event else {
            writer.end_directory().expect("a directory is open");
            continue;
        };
        if let Some(name) = name {
            writer.entry(&name).expect("the reader let this name pass");
        }
        match node {
            NarNode::Directory => writer.directory().expect("a vector takes every byte"),
            NarNode::Symlink { target } => {
                writer.symlink(&target).expect("the reader let this target pass");
            }
            NarNode::File { executable, size } => {
                let mut contents = Vec::new();
                let mut chunk = [0; 512];
                while let count @ 1.. = reader.read_contents(&mut chunk)? {
                    contents.extend_from_slice(&chunk[..count]);
                }
                assert_eq!(contents.len() as u64, size, "all of the contents were read");
                writer.file(executable, size, &mut contents.as_slice()).expect("it is that long");
            }
        }
    }
    Ok(writer.finish())
}

/// Gives the bytes in pieces of one to seven, as a slow pipe might.
struct Trickle<'a> {
    left: &'a [u8],
    piece: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.piece = self.piece % 7 + 1;
        let count = self.piece.min(buffer.len()).min(self.left.len());
        buffer[..count].copy_from_slice(&self.left[..count]);
        self.left = &self.left[count..];
        Ok(count)
    }
}
