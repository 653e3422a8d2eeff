//! The sections of debug information, out of their compression.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;

use super::error::DebugError;
use crate::identity::Identity;
use crate::image::Image;
use crate::sections::{Section, named_sections};
use crate::spec::{SHF_COMPRESSED, SHT_NOBITS};

/// Most bytes that the sections of a file may have together once they are decompressed.
const MOST_BYTES: u64 = 1 << 30;

/// How many times its stored size a section may grow, and all of them the size of the file, as
/// they may be stored in the same bytes; DWARF grows about fourfold.
const MOST_GROWTH: u64 = 64;

/// Sizes up to this one are no danger, whatever they were stored as.
const HARMLESS_BYTES: u64 = 1 << 20;

/// What a file says about its debug information, judged by its section headers alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DebugSummary {
    /// Bytes that its sections take in the file; 0 when there are none.
    pub size_bytes: u64,
    /// Whether there is `.debug_info`, which holds functions and types.
    pub has_info: bool,
    /// The file that it was split off to, as `.gnu_debuglink` names it.
    pub link: Option<String>,
    /// Whether parts of it are in a file that is shared with other libraries
    /// (`.gnu_debugaltlink`, as `dwz -m` makes it).
    pub has_shared_part: bool,
}

/// Looks for debug information in a file's section headers.
///
/// All is absent where there are no section headers, or damaged ones.
#[must_use]
pub fn debug_summary(bytes: &[u8]) -> DebugSummary {
    let mut summary = DebugSummary::default();
    let Ok(image) = image_of(bytes) else { return summary };
    for (name, section) in named_sections(&image).unwrap_or_default() {
        if section.kind == SHT_NOBITS {
            continue;
        }
        match name {
            b".gnu_debuglink" => {
                let stored = image.slice(section.offset, section.size_bytes, ".gnu_debuglink");
                let text = stored.ok().and_then(|stored| stored.split(|&byte| byte == 0).next());
                summary.link = text.map(|text| String::from_utf8_lossy(text).into_owned());
            }
            b".gnu_debugaltlink" => summary.has_shared_part = true,
            name if name.starts_with(b".debug_") || name.starts_with(b".zdebug_") => {
                summary.size_bytes = summary.size_bytes.saturating_add(section.size_bytes);
                summary.has_info |= name.ends_with(b"debug_info") && section.size_bytes > 0;
            }
            _ => {}
        }
    }
    summary
}

fn image_of(bytes: &[u8]) -> Result<Image<'_>, crate::error::ElfError> {
    let identity = Identity::read(bytes)?;
    Ok(Image::new(bytes, identity.class, identity.endian))
}

/// The sections that hold functions, types and their names.
pub(super) struct DebugSections<'a> {
    pub(super) sections: Vec<(&'static str, Cow<'a, [u8]>)>,
}

/// What is read; everything else is about source lines, variables' places and the stack.
const READ: [&str; 7] = [
    ".debug_info",
    ".debug_types",
    ".debug_abbrev",
    ".debug_str",
    ".debug_line_str",
    ".debug_str_offsets",
    ".debug_addr",
];

impl<'a> DebugSections<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, DebugError> {
        let image = image_of(bytes).map_err(|source| DebugError::Sections { source })?;
        let named = named_sections(&image).map_err(|source| DebugError::Sections { source })?;
        let mut sections = Vec::new();
        let mut room = Room::for_file(bytes);
        for wanted in READ {
            if let Some((name, section)) = find(&named, wanted) {
                sections.push((wanted, contents(&image, wanted, name, section, &mut room)?));
            }
        }
        Ok(Self { sections })
    }

    /// The bytes of a section; none when there is no such section.
    pub(super) fn get(&self, name: &str) -> &[u8] {
        self.sections.iter().find(|(known, _)| *known == name).map_or(&[], |(_, bytes)| bytes)
    }
}

/// The sections of debug information that are compressed, by name, each out of its compression: what
/// a search through the bytes of the file does not see.
///
/// Each is decompressed when it is asked for, in memory bounded by its size in the file. What cannot
/// be read is left out; [`read_debug_info`](super::read_debug_info) says why.
pub fn compressed_sections(bytes: &[u8]) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let image = image_of(bytes).ok();
    let named = image.and_then(|image| named_sections(&image).ok()).unwrap_or_default();
    let mut room = Room::for_file(bytes);
    // Each name once, so that a file of many headers does not take forever.
    READ.into_iter().chain([".debug_line"]).filter_map(move |wanted| {
        let (stored_name, section) = find(&named, wanted)?;
        let is_packed = section.flags & SHF_COMPRESSED != 0 || stored_name.starts_with(b".z");
        if !is_packed {
            return None;
        }
        Some((
            wanted,
            contents(&image?, wanted, stored_name, section, &mut room).ok()?.into_owned(),
        ))
    })
}

/// The first section called `wanted`, or `.zdebug_…` for `.debug_…`, that has bytes in the file.
fn find<'s, 'a>(named: &'s [(&'a [u8], Section)], wanted: &str) -> Option<&'s (&'a [u8], Section)> {
    named.iter().find(|(name, section)| {
        let is_wanted = *name == wanted.as_bytes()
            || name.strip_prefix(b".z") == wanted.as_bytes().strip_prefix(b".");
        section.kind != SHT_NOBITS && is_wanted
    })
}

/// The bytes of a section, decompressed.
///
/// Source: the gABI, "Compressed Sections"; binutils' `.zdebug_` form is "ZLIB" and the size in
/// eight bytes, the highest first.
fn contents<'a>(
    image: &Image<'a>,
    section_name: &'static str,
    stored_name: &[u8],
    section: &Section,
    room: &mut Room,
) -> Result<Cow<'a, [u8]>, DebugError> {
    let damaged = |problem: String| DebugError::Section { section: section_name.into(), problem };
    let stored = image
        .part(section.offset, section.size_bytes, section_name)
        .map_err(|source| damaged(source.to_string()))?;
    let whole = stored
        .slice(0, section.size_bytes, section_name)
        .map_err(|source| damaged(source.to_string()))?;
    if stored_name.starts_with(b".z") {
        let header = whole.split_first_chunk::<12>().filter(|(head, _)| head.starts_with(b"ZLIB"));
        let Some((head, packed)) = header else {
            return Err(damaged("it does not begin with `ZLIB`".to_owned()));
        };
        let size = head[4..].iter().fold(0, |size, &byte| size << 8 | u64::from(byte));
        room.take(section_name, packed, size)?;
        return read_exactly(section_name, ZlibDecoder::new(packed), size).map(Cow::Owned);
    }
    if section.flags & SHF_COMPRESSED == 0 {
        return Ok(Cow::Borrowed(whole));
    }
    let method = stored.u32(0, section_name).map_err(|source| damaged(source.to_string()))?;
    let size = stored.field(4, 8, section_name).map_err(|source| damaged(source.to_string()))?;
    let header_bytes = if image.is_64() { 24 } else { 12 };
    let packed = whole.get(header_bytes..).unwrap_or_default();
    match method {
        1 => {
            room.take(section_name, packed, size)?;
            read_exactly(section_name, ZlibDecoder::new(packed), size).map(Cow::Owned)
        }
        2 => {
            room.take(section_name, packed, size)?;
            inflate_zstd(section_name, packed, size).map(Cow::Owned)
        }
        other => Err(DebugError::Compression {
            section: section_name.to_owned(),
            method: format!("method {other}"),
        }),
    }
}

/// How much may still be decompressed of one file.
struct Room {
    limit: u64,
    left: u64,
}

impl Room {
    fn for_file(bytes: &[u8]) -> Self {
        let limit = growth_limit(bytes.len() as u64);
        Self { limit, left: limit }
    }

    /// Takes room for a section of `size_bytes`, which were stored as `packed`.
    fn take(
        &mut self,
        section: &'static str,
        packed: &[u8],
        size_bytes: u64,
    ) -> Result<(), DebugError> {
        let stored_bytes = packed.len() as u64;
        let limit = growth_limit(stored_bytes);
        if size_bytes > limit {
            let section = section.to_owned();
            return Err(DebugError::TooLarge { section, size_bytes, stored_bytes, limit });
        }
        let left = self.left.checked_sub(size_bytes);
        self.left = left.ok_or(DebugError::TooLargeTogether { limit: self.limit })?;
        Ok(())
    }
}

/// What `stored_bytes` may become.
fn growth_limit(stored_bytes: u64) -> u64 {
    stored_bytes.saturating_mul(MOST_GROWTH).clamp(HARMLESS_BYTES, MOST_BYTES)
}

fn inflate_zstd(section: &'static str, packed: &[u8], size: u64) -> Result<Vec<u8>, DebugError> {
    let damaged = |problem: std::io::Error| DebugError::Section {
        section: section.to_owned(),
        problem: problem.to_string(),
    };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(damaged)?;
    // No match reaches further back than the section is long.
    let window = size.max(1024).ilog2() + 1;
    decoder.window_log_max(window).map_err(damaged)?;
    read_exactly(section, decoder, size)
}

/// Reads `size` bytes, which were checked to be in proportion, and no more.
fn read_exactly(section: &str, from: impl Read, size: u64) -> Result<Vec<u8>, DebugError> {
    let damaged = |problem| DebugError::Section { section: section.to_owned(), problem };
    let mut bytes = Vec::new();
    from.take(size.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|problem| damaged(problem.to_string()))?;
    if bytes.len() as u64 == size {
        return Ok(bytes);
    }
    Err(damaged(format!("it says it has {size} bytes when decompressed, and has others")))
}
