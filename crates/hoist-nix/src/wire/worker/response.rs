//! What a daemon answers.

use std::io::{Read, Write};

use super::BuildResult;
use super::operation::Operation;
use crate::StorePath;
use crate::wire::{PathInfo, ProtocolVersion, WireError, WireReader, WireWriter};

/// What follows [`Message::Last`](super::Message::Last).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Nothing: settings are set, archives added.
    Nothing,
    /// A 1: it is done.
    Done,
    /// Whether a path is valid, or whether a store has damage.
    Flag(bool),
    /// What is known of a path; nothing of one that is not valid.
    Info(Option<PathInfo>),
    /// Paths; no order is promised.
    Paths(Vec<StorePath>),
    /// A path, if there is one.
    Path(Option<StorePath>),
    /// The path that was added, and what is known of it.
    Added {
        /// The path.
        path: StorePath,
        /// What is known of it.
        info: PathInfo,
    },
    /// What is missing.
    Missing(Missing),
    /// The roots: where each link lies, and the path that it keeps.
    Roots(Vec<(Vec<u8>, StorePath)>),
    /// What garbage was found or deleted.
    Collected {
        /// Files of the store directory, as absolute paths; not all are store paths.
        paths: Vec<Vec<u8>>,
        /// How many bytes that freed.
        freed_bytes: u64,
    },
    /// How builds went.
    Built(Vec<BuildResult>),
    /// The NAR follows, as it is.
    Nar,
}

/// What it would take to make some paths valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Derivations that would be built.
    pub will_build: Vec<StorePath>,
    /// Paths that would be fetched.
    pub will_substitute: Vec<StorePath>,
    /// Paths that cannot be had.
    pub unknown: Vec<StorePath>,
    /// How many bytes would be fetched.
    pub download_bytes: u64,
    /// How large the NARs of what is fetched are.
    pub nar_bytes: u64,
}

impl Response {
    /// Reads the answer to `operation`.
    ///
    /// # Errors
    ///
    /// [`WireError`] when it is not there or wrong.
    pub fn read(
        reader: &mut WireReader<impl Read>,
        operation: Operation,
        version: ProtocolVersion,
    ) -> Result<Self, WireError> {
        reader.begin_message();
        Ok(match operation {
            Operation::SetOptions | Operation::AddToStoreNar | Operation::AddMultipleToStore => {
                Self::Nothing
            }
            Operation::EnsurePath
            | Operation::AddTempRoot
            | Operation::AddIndirectRoot
            | Operation::OptimiseStore
            | Operation::AddSignatures => read_done(reader)?,
            Operation::IsValidPath => Self::Flag(reader.flag("whether a path is valid")?),
            Operation::VerifyStore => Self::Flag(reader.flag("whether there is damage")?),
            Operation::QueryPathInfo => Self::Info(if reader.flag("whether a path is valid")? {
                Some(PathInfo::read(reader)?)
            } else {
                None
            }),
            Operation::QueryReferrers
            | Operation::QueryAllValidPaths
            | Operation::QueryValidPaths
            | Operation::QueryValidDerivers => Self::Paths(reader.paths("path")?),
            Operation::QueryPathFromHashPart => Self::Path(reader.optional_path("path")?),
            Operation::AddToStore => {
                Self::Added { path: reader.path("path")?, info: PathInfo::read(reader)? }
            }
            Operation::QueryMissing => Self::Missing(Missing {
                will_build: reader.paths("derivation")?,
                will_substitute: reader.paths("path")?,
                unknown: reader.paths("path")?,
                download_bytes: reader.number()?,
                nar_bytes: reader.number()?,
            }),
            Operation::FindRoots => Self::Roots(reader.list("root", |reader| {
                Ok((reader.string("link of a root")?, reader.path("path of a root")?))
            })?),
            Operation::CollectGarbage => {
                let paths = reader.list("path", |reader| reader.string("path"))?;
                let freed_bytes = reader.number()?;
                reader.number()?; // blocks, which Nix counts no more
                Self::Collected { paths, freed_bytes }
            }
            Operation::BuildPathsWithResults => Self::Built(
                reader.list("result of a build", |reader| BuildResult::read(reader, version))?,
            ),
            Operation::NarFromPath => Self::Nar,
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
            Self::Nothing | Self::Nar => Ok(()),
            Self::Done => writer.number(1),
            Self::Flag(flag) => writer.flag(*flag),
            Self::Info(None) => writer.flag(false),
            Self::Info(Some(info)) => {
                writer.flag(true)?;
                info.write(writer)
            }
            Self::Paths(paths) => writer.paths(paths),
            Self::Path(path) => writer.optional_path(path.as_ref()),
            Self::Added { path, info } => {
                writer.path(path)?;
                info.write(writer)
            }
            Self::Missing(missing) => {
                writer.paths(&missing.will_build)?;
                writer.paths(&missing.will_substitute)?;
                writer.paths(&missing.unknown)?;
                writer.number(missing.download_bytes)?;
                writer.number(missing.nar_bytes)
            }
            Self::Roots(roots) => writer.list(roots, |writer, (link, path)| {
                writer.string(link)?;
                writer.path(path)
            }),
            Self::Collected { paths, freed_bytes } => {
                writer.list(paths, |writer, path| writer.string(path))?;
                writer.number(*freed_bytes)?;
                writer.number(0)
            }
            Self::Built(results) => {
                writer.list(results, |writer, result| result.write(writer, version))
            }
        }
    }
}

fn read_done(reader: &mut WireReader<impl Read>) -> Result<Response, WireError> {
    let offset = reader.offset();
    match reader.number()? {
        1 => Ok(Response::Done),
        found => Err(WireError::Number { offset, what: "the answer", found, wanted: "1" }),
    }
}
