//! What both protocols say of a valid path.

use std::io::{Read, Write};

use super::{WireError, WireReader, WireWriter};
use crate::{Sha256Hash, StorePath};

/// What a store knows of a path, apart from its name.
///
/// Signatures and content address are texts: a store may have any, and it is for whoever relies on
/// one to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
    /// The derivation that it is an output of.
    pub deriver: Option<StorePath>,
    /// SHA-256 of its NAR.
    pub nar_hash: Sha256Hash,
    /// The paths that it needs, in the order of the message; Nix sorts them.
    pub references: Vec<StorePath>,
    /// When it was added, in seconds since 1970; 0 in what is to be added.
    pub registered_unix: u64,
    /// Size of its NAR in bytes; 0 when it is not known.
    pub nar_size: u64,
    /// Whether it was built where it is.
    pub ultimate: bool,
    /// Signatures, each `KEY-NAME:BASE64`.
    pub signatures: Vec<String>,
    /// Its content address.
    pub content_address: Option<String>,
}

impl PathInfo {
    /// Reads it behind its path.
    ///
    /// # Errors
    ///
    /// [`WireError`] when it is not there or wrong.
    pub fn read(reader: &mut WireReader<impl Read>) -> Result<Self, WireError> {
        Ok(Self {
            deriver: reader.optional_path("deriver")?,
            nar_hash: reader.sha256("NAR hash")?,
            references: reader.paths("reference")?,
            registered_unix: reader.number()?,
            nar_size: reader.number()?,
            ultimate: reader.flag("`ultimate`")?,
            signatures: reader.texts("signature")?,
            content_address: reader.optional_text("content address")?,
        })
    }

    /// Writes it behind its path.
    ///
    /// # Errors
    ///
    /// [`WireError::Write`] when the writer below fails.
    pub fn write(&self, writer: &mut WireWriter<impl Write>) -> Result<(), WireError> {
        writer.optional_path(self.deriver.as_ref())?;
        writer.sha256(&self.nar_hash)?;
        writer.paths(&self.references)?;
        writer.number(self.registered_unix)?;
        writer.number(self.nar_size)?;
        writer.flag(self.ultimate)?;
        writer.texts(&self.signatures)?;
        writer.optional_text(self.content_address.as_deref())
    }
}
