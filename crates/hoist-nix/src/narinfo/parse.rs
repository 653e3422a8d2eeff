//! Reading a narinfo.

use super::{Compression, NarInfo, NarInfoError, NarUrl};
use crate::{ContentAddress, Hash, Sha256Hash, Signature, StoreDir, StorePath};

/// The keys that are given at most once; `Sig` may be repeated, and all others are passed over.
const SINGLE_KEYS: [&str; 10] = [
    "StorePath",
    "URL",
    "Compression",
    "FileHash",
    "FileSize",
    "NarHash",
    "NarSize",
    "References",
    "Deriver",
    "CA",
];

/// Longest value that is understood, `References` aside, of which each counts.
const VALUE_MAX_LEN: usize = 1100;

/// What Nix once wrote for a path whose derivation is not known.
const UNKNOWN_DERIVER: &str = "unknown-deriver";

pub(super) fn parse(dir: &StoreDir, bytes: &[u8]) -> Result<NarInfo, NarInfoError> {
    let fields = Fields::split(text(bytes)?)?;
    let optional = |key| fields.get(key);
    let deriver = optional("Deriver").filter(|field| field.value != UNKNOWN_DERIVER);
    Ok(NarInfo {
        store_path: fields.required("StorePath")?.absolute_path(dir)?,
        url: fields.required("URL")?.url()?,
        compression: optional("Compression").map_or(Ok(Compression::Bzip2), Field::compression)?,
        file_hash: optional("FileHash").map(Field::hash).transpose()?,
        file_size: optional("FileSize").map(Field::size).transpose()?.filter(|&size| size != 0),
        nar_hash: fields.required("NarHash")?.hash()?,
        nar_size: fields.required("NarSize")?.nar_size()?,
        references: optional("References").map_or(Ok(Vec::new()), Field::references)?,
        deriver: deriver.map(Field::base_name).transpose()?,
        signatures: signatures(&fields.signatures)?,
        content_address: optional("CA").map(Field::content_address).transpose()?,
    })
}

/// Checks what holds for every line: UTF-8, no control characters but tabs, a line break at the
/// end.
fn text(bytes: &[u8]) -> Result<&str, NarInfoError> {
    if bytes.len() > NarInfo::MAX_LEN {
        return Err(NarInfoError::TooLong { found: bytes.len(), limit: NarInfo::MAX_LEN });
    }
    let line_at = |index: usize| bytes[..index].split(|&byte| byte == b'\n').count();
    let is_control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t');
    if let Some(index) = bytes.iter().position(is_control) {
        let (line, found) = (line_at(index), bytes[index]);
        return Err(NarInfoError::ControlCharacter { line, found });
    }
    let text = str::from_utf8(bytes)
        .map_err(|error| NarInfoError::NotUtf8 { line: line_at(error.valid_up_to()) })?;
    if !text.ends_with('\n') {
        return Err(NarInfoError::NoLineBreak { line: line_at(bytes.len()) });
    }
    Ok(text)
}

/// The understood lines of a narinfo.
#[derive(Default)]
struct Fields<'a> {
    single: [Option<Field<'a>>; SINGLE_KEYS.len()],
    signatures: Vec<Field<'a>>,
}

#[derive(Clone, Copy)]
struct Field<'a> {
    line: usize,
    key: &'static str,
    value: &'a str,
}

impl<'a> Fields<'a> {
    fn split(text: &'a str) -> Result<Self, NarInfoError> {
        let mut fields = Self::default();
        for (index, text) in text.split_terminator('\n').enumerate() {
            let line = index + 1;
            let split = text.split_once(": ").filter(|(key, _)| is_key(key));
            let Some((key, value)) = split else { return Err(NarInfoError::NotAField { line }) };
            if key == "Sig" {
                fields.signatures.push(Field { line, key: "Sig", value });
                continue;
            }
            let Some(index) = SINGLE_KEYS.iter().position(|&single| single == key) else {
                continue; // a later release's, or another tool's
            };
            let key = SINGLE_KEYS[index];
            if let Some(Field { line: first, .. }) = fields.single[index] {
                return Err(NarInfoError::Duplicate { line, key, first });
            }
            fields.single[index] = Some(Field { line, key, value });
        }
        Ok(fields)
    }

    fn get(&self, key: &'static str) -> Option<Field<'a>> {
        self.single.iter().flatten().find(|field| field.key == key).copied()
    }

    fn required(&self, key: &'static str) -> Result<Field<'a>, NarInfoError> {
        self.get(key).ok_or(NarInfoError::Missing { key })
    }
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && !key.contains([' ', '\t', ':'])
}

impl<'a> Field<'a> {
    fn absolute_path(self, dir: &StoreDir) -> Result<StorePath, NarInfoError> {
        let Self { line, key, value } = self.of_bounded_length()?;
        dir.parse_path(value).map_err(|source| NarInfoError::StorePath { line, key, source })
    }

    fn base_name(self) -> Result<StorePath, NarInfoError> {
        let Self { line, key, value } = self.of_bounded_length()?;
        StorePath::parse(value).map_err(|source| NarInfoError::StorePath { line, key, source })
    }

    fn references(self) -> Result<Vec<StorePath>, NarInfoError> {
        if self.value.is_empty() {
            return Ok(Vec::new());
        }
        let one = |value: &'a str| Field { value, ..self }.base_name();
        let mut references: Vec<StorePath> =
            self.value.split(' ').map(one).collect::<Result<_, _>>()?;
        references.sort_unstable();
        match references.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(references),
            Some(pair) => {
                let reference = pair[0].clone();
                Err(NarInfoError::DuplicateReference { line: self.line, reference })
            }
        }
    }

    fn url(self) -> Result<NarUrl, NarInfoError> {
        NarUrl::parse(self.value).map_err(|source| NarInfoError::Url { line: self.line, source })
    }

    fn compression(self) -> Result<Compression, NarInfoError> {
        let Self { line, value, .. } = self.of_bounded_length()?;
        let known = Compression::ALL.into_iter().find(|known| known.name() == value);
        known.ok_or_else(|| NarInfoError::Compression { line, found: value.to_owned() })
    }

    /// The kind of the hash must be said, as Nix wants it.
    fn hash(self) -> Result<Sha256Hash, NarInfoError> {
        let Self { line, key, value } = self.of_bounded_length()?;
        Hash::parse(value)
            .and_then(|_| Sha256Hash::parse(value))
            .map_err(|source| NarInfoError::Hash { line, key, source })
    }

    fn size(self) -> Result<u64, NarInfoError> {
        let Self { line, key, value } = self.of_bounded_length()?;
        let size = value.parse().ok().filter(|size: &i64| size.to_string() == value);
        let refused = || NarInfoError::Size { line, key, found: value.to_owned() };
        size.and_then(|size| u64::try_from(size).ok()).ok_or_else(refused)
    }

    fn nar_size(self) -> Result<u64, NarInfoError> {
        match self.size()? {
            0 => Err(NarInfoError::NarSizeZero { line: self.line }),
            size => Ok(size),
        }
    }

    fn signature(self) -> Result<Signature, NarInfoError> {
        let Self { line, value, .. } = self.of_bounded_length()?;
        Signature::parse(value).map_err(|source| NarInfoError::Signature { line, source })
    }

    fn content_address(self) -> Result<ContentAddress, NarInfoError> {
        let Self { line, value, .. } = self.of_bounded_length()?;
        ContentAddress::parse(value).map_err(|source| NarInfoError::ContentAddress { line, source })
    }

    /// Errors quote values; none is quoted that fills a screen.
    fn of_bounded_length(self) -> Result<Self, NarInfoError> {
        let Self { line, key, value } = self;
        if value.len() > VALUE_MAX_LEN {
            let (found, limit) = (value.len(), VALUE_MAX_LEN);
            return Err(NarInfoError::ValueTooLong { line, key, found, limit });
        }
        Ok(self)
    }
}

fn signatures(fields: &[Field<'_>]) -> Result<Vec<Signature>, NarInfoError> {
    let parsed: Result<Vec<_>, _> = fields.iter().copied().map(Field::signature).collect();
    let mut signatures = parsed?;
    signatures.sort_by_cached_key(ToString::to_string);
    signatures.dedup();
    Ok(signatures)
}
