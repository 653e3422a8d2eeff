//! What a server answers.

use std::io::{Read, Write};

use super::{Command, PATH_HASHES};
use crate::wire::{ProtocolVersion, WireError, WireReader, WireWriter};
use crate::{Sha256Hash, StorePath};

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Paths; no order is promised.
    Paths(Vec<StorePath>),
    /// What is known of those paths that are valid.
    Infos(Vec<ServedPath>),
    /// The NAR follows, as it is.
    Nar,
    /// Whether it is done; a server that fails rather closes.
    Done(bool),
}

/// What a server knows of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedPath {
    /// The path.
    pub path: StorePath,
    /// The derivation that it is an output of.
    pub deriver: Option<StorePath>,
    /// The paths that it needs.
    pub references: Vec<StorePath>,
    /// How many bytes it takes to fetch it; 0 when that is not known.
    pub download_bytes: u64,
    /// Size of its NAR in bytes; 0 when that is not known.
    pub nar_size: u64,
    /// What its hash and who vouches for it, since 2.4.
    pub signed: Option<SignedContent>,
}

/// What a path contains, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedContent {
    /// SHA-256 of its NAR.
    pub nar_hash: Sha256Hash,
    /// Its content address.
    pub content_address: Option<String>,
    /// Signatures, each `KEY-NAME:BASE64`.
    pub signatures: Vec<String>,
}

impl Response {
    /// Reads the answer to `command`.
    ///
    /// # Errors
    ///
    /// [`WireError`] when it is not there or wrong.
    pub fn read(
        reader: &mut WireReader<impl Read>,
        command: Command,
        version: ProtocolVersion,
    ) -> Result<Self, WireError> {
        reader.begin_message();
        Ok(match command {
            Command::QueryValidPaths | Command::QueryClosure => Self::Paths(reader.paths("path")?),
            Command::QueryPathInfos => {
                let mut infos = Vec::new();
                while let Some(path) = reader.optional_path("path")? {
                    infos.push(ServedPath::read(reader, path, version)?);
                }
                Self::Infos(infos)
            }
            Command::DumpStorePath => Self::Nar,
            Command::ImportPaths | Command::AddToStoreNar => {
                Self::Done(reader.flag("whether it is done")?)
            }
        })
    }

    /// Writes the answer.
    ///
    /// # Errors
    ///
    /// [`WireError::Write`] when the writer below fails.
    pub fn write(
        &self,
        writer: &mut WireWriter<impl Write>,
        version: ProtocolVersion,
    ) -> Result<(), WireError> {
        match self {
            Self::Paths(paths) => writer.paths(paths),
            Self::Infos(infos) => {
                infos.iter().try_for_each(|info| info.write(writer, version))?;
                writer.optional_path(None)
            }
            Self::Nar => Ok(()),
            Self::Done(done) => writer.flag(*done),
        }
    }
}

impl ServedPath {
    fn read(
        reader: &mut WireReader<impl Read>,
        path: StorePath,
        version: ProtocolVersion,
    ) -> Result<Self, WireError> {
        Ok(Self {
            path,
            deriver: reader.optional_path("deriver")?,
            references: reader.paths("reference")?,
            download_bytes: reader.number()?,
            nar_size: reader.number()?,
            signed: if version >= PATH_HASHES { Some(SignedContent::read(reader)?) } else { None },
        })
    }

    fn write(
        &self,
        writer: &mut WireWriter<impl Write>,
        version: ProtocolVersion,
    ) -> Result<(), WireError> {
        writer.path(&self.path)?;
        writer.optional_path(self.deriver.as_ref())?;
        writer.paths(&self.references)?;
        writer.number(self.download_bytes)?;
        writer.number(self.nar_size)?;
        match &self.signed {
            Some(signed) if version >= PATH_HASHES => signed.write(writer),
            None if version >= PATH_HASHES => {
                Err(WireError::NotInVersion { operation: "a path without a hash", version })
            }
            _ => Ok(()),
        }
    }
}

impl SignedContent {
    /// Unlike anywhere else in the protocols, the hash is in Nix base32 here.
    fn read(reader: &mut WireReader<impl Read>) -> Result<Self, WireError> {
        let (offset, what) = (reader.offset(), "NAR hash");
        let text = reader.text(what)?;
        let nar_hash =
            Sha256Hash::parse(&text).map_err(|source| WireError::Hash { offset, what, source })?;
        if nar_hash.to_string() != text {
            let found = text.chars().count();
            let wanted = "`sha256:` and 52 digits of Nix base32".to_owned();
            let source = crate::HashError::Length { text, found, wanted };
            return Err(WireError::Hash { offset, what, source });
        }
        let content_address = reader.optional_text("content address")?;
        let signatures = reader.texts("signature")?;
        Ok(Self { nar_hash, content_address, signatures })
    }

    fn write(&self, writer: &mut WireWriter<impl Write>) -> Result<(), WireError> {
        writer.text(&self.nar_hash.to_string())?;
        writer.optional_text(self.content_address.as_deref())?;
        writer.texts(&self.signatures)
    }
}
