//! `HASH.ls`: the listing of a NAR that lies beside its narinfo, so that one file can be found
//! without unpacking.
//!
//! Source: `write-nar-listing` in the Nix manual; version 1. Keys are sorted as Nix 2.26 sorts
//! them; 2.8 writes the same in another order.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{self, Read, Write};

use crate::{NarError, NarEvent, NarLimits, NarNode, NarReader};

/// Reads a NAR and writes its listing, holding neither.
///
/// Words are read and written one by one: give it a buffered reader and a buffered writer.
///
/// # Errors
///
/// [`ListingError`]; part of the listing may then be written.
pub fn write_listing(
    nar: impl Read,
    limits: NarLimits,
    out: impl Write,
) -> Result<(), ListingError> {
    let offset = Cell::new(0);
    let mut nar = NarReader::new(Counting { inner: nar, count: &offset }, limits)?;
    let mut listing = Listing { out, is_first: true };
    listing.write("{\"root\":")?;
    while let Some(event) = nar.next_event()? {
        match event {
            NarEvent::Node { name, node } => {
                if let Some(name) = name {
                    listing.entry_name(name, offset.get())?;
                }
                listing.node(&node, offset.get())?;
            }
            NarEvent::EndDirectory => {
                listing.is_first = false;
                listing.write("},\"type\":\"directory\"}")?;
            }
        }
    }
    listing.write(",\"version\":1}")
}

/// Why a listing could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum ListingError {
    /// The archive cannot be read.
    #[error(transparent)]
    Nar(#[from] NarError),

    /// JSON has no other texts; Nix 2.26 fails, and 2.8 writes what is no JSON.
    #[error("{what} `{text}` before byte {offset} is not UTF-8, so it cannot be listed")]
    NotUtf8 { what: &'static str, text: String, offset: u64 },

    /// The writer failed.
    #[error("cannot write the listing")]
    Write(#[source] io::Error),
}

struct Listing<W> {
    out: W,
    /// Whether the next entry is the first of its directory.
    is_first: bool,
}

impl<W: Write> Listing<W> {
    fn entry_name(&mut self, name: Vec<u8>, offset: u64) -> Result<(), ListingError> {
        if !self.is_first {
            self.write(",")?;
        }
        self.is_first = false;
        self.string("entry name", name, offset)?;
        self.write(":")
    }

    fn node(&mut self, node: &NarNode, offset: u64) -> Result<(), ListingError> {
        match node {
            NarNode::File { executable, size } => {
                let executable = if *executable { "\"executable\":true," } else { "" };
                self.write(&format!(
                    "{{{executable}\"narOffset\":{offset},\"size\":{size},\"type\":\"regular\"}}"
                ))
            }
            NarNode::Symlink { target } => {
                self.write("{\"target\":")?;
                self.string("symlink target", target.clone(), offset)?;
                self.write(",\"type\":\"symlink\"}")
            }
            NarNode::Directory => {
                self.is_first = true;
                self.write("{\"entries\":{")
            }
        }
    }

    /// Writes a JSON string, escaped where JSON asks for it and nowhere else, as Nix does.
    fn string(
        &mut self,
        what: &'static str,
        bytes: Vec<u8>,
        offset: u64,
    ) -> Result<(), ListingError> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            ListingError::NotUtf8 { what, text, offset }
        })?;
        let mut quoted = String::with_capacity(text.len() + 2);
        quoted.push('"');
        for character in text.chars() {
            match character {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                '\u{8}' => quoted.push_str("\\b"),
                '\u{c}' => quoted.push_str("\\f"),
                '\0'..='\u{1f}' => {
                    write!(quoted, "\\u{:04x}", u32::from(character)).expect("into a string");
                }
                _ => quoted.push(character),
            }
        }
        quoted.push('"');
        self.write(&quoted)
    }

    fn write(&mut self, text: &str) -> Result<(), ListingError> {
        self.out.write_all(text.as_bytes()).map_err(ListingError::Write)
    }
}

/// Says how far the reader above it is; that one reads no further than it must.
struct Counting<'c, R> {
    inner: R,
    count: &'c Cell<u64>,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NarWriter;

    fn listing(nar: &[u8]) -> Result<String, ListingError> {
        let mut out = Vec::new();
        write_listing(nar, NarLimits::default(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn directories_hold_their_entries_and_offsets_lead_to_contents() {
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        nar.directory().unwrap();
        nar.entry(b"a\"\n\x01\xc3\xa4").unwrap();
        nar.directory().unwrap();
        nar.end_directory().unwrap();
        nar.entry(b"b").unwrap();
        nar.file(false, 3, &mut &b"abc"[..]).unwrap();
        nar.entry(b"c").unwrap();
        nar.symlink(b"b").unwrap();
        nar.end_directory().unwrap();
        let nar = nar.finish();

        let text = listing(&nar).unwrap();
        let offset: usize = nar.windows(3).position(|bytes| bytes == b"abc").unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"root":{{"entries":{{"a\"\n\u0001ä":{{"entries":{{}},"type":"directory"}},"b":{{"narOffset":{offset},"size":3,"type":"regular"}},"c":{{"target":"b","type":"symlink"}}}},"type":"directory"}},"version":1}}"#
            )
        );
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["root"]["entries"]["c"]["target"], "b");
    }

    #[test]
    fn refuses_names_that_json_cannot_hold() {
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        nar.symlink(b"\xff").unwrap();
        let refusal = listing(&nar.finish()).unwrap_err();
        assert!(matches!(refusal, ListingError::NotUtf8 { what: "symlink target", .. }));
    }
}
