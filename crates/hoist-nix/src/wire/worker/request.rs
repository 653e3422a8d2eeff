//! What a client asks.

use std::io::{Read, Write};

use super::operation::Operation;
use super::{ClientSettings, DerivedPath};
use crate::wire::{PathInfo, ProtocolVersion, WireError, WireReader, WireWriter};
use crate::{StorePath, StorePathName};

/// From here on a client says whether paths may be fetched to become valid.
const SUBSTITUTE_FLAG: ProtocolVersion = ProtocolVersion::new(1, 27);

/// One question or order of a client; [`Operation`] without the data that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Whether a path is valid.
    IsValidPath(StorePath),
    /// Which valid paths refer to one.
    QueryReferrers(StorePath),
    /// Add the data that follows, and name it by its content.
    AddToStore {
        /// The name part of its path.
        name: StorePathName,
        /// How its content is hashed, such as `fixed:r:sha256`.
        method: String,
        /// The paths that it needs.
        references: Vec<StorePath>,
        /// Whether to replace what is there.
        repair: bool,
    },
    /// Make a path valid, by fetching it if need be.
    EnsurePath(StorePath),
    /// Keep a path as long as the connection lasts.
    AddTempRoot(StorePath),
    /// Keep what the link at this path points to.
    AddIndirectRoot(Vec<u8>),
    /// List the roots.
    FindRoots,
    /// Change settings of the connection.
    SetOptions(ClientSettings),
    /// Collect garbage, or say what would be collected.
    CollectGarbage(Collect),
    /// List the valid paths.
    QueryAllValidPaths,
    /// What is known of a path.
    QueryPathInfo(StorePath),
    /// The path with this hash part.
    QueryPathFromHashPart(String),
    /// Which of these paths are valid.
    QueryValidPaths {
        /// The paths.
        paths: Vec<StorePath>,
        /// Whether to fetch those that are not; since 1.27.
        substitute: bool,
    },
    /// Which derivations a path is an output of.
    QueryValidDerivers(StorePath),
    /// Link equal files to each other.
    OptimiseStore,
    /// Hold the store against its database.
    VerifyStore {
        /// Whether to hash every path.
        check_contents: bool,
        /// Whether to fetch damaged paths anew.
        repair: bool,
    },
    /// Add signatures to those of a path.
    AddSignatures {
        /// The path.
        path: StorePath,
        /// The signatures, each `KEY-NAME:BASE64`.
        signatures: Vec<String>,
    },
    /// Send a path as a NAR.
    NarFromPath(StorePath),
    /// Add the path whose NAR follows.
    AddToStoreNar {
        /// The path.
        path: StorePath,
        /// What is said of it.
        info: PathInfo,
        /// Whether to replace what is there.
        repair: bool,
        /// Whether the word of the client is enough, if the daemon trusts it.
        dont_check_signatures: bool,
    },
    /// What would be built, fetched or cannot be had.
    QueryMissing(Vec<DerivedPath>),
    /// Add many paths: a number follows, and for each path its text, its [`PathInfo`], its NAR.
    AddMultipleToStore {
        /// Whether to replace what is there.
        repair: bool,
        /// Whether the word of the client is enough, if the daemon trusts it.
        dont_check_signatures: bool,
    },
    /// Build or fetch what is missing, and say how each went.
    BuildPathsWithResults {
        /// What is wanted.
        targets: Vec<DerivedPath>,
        /// 0 as usual, 1 to repair, 2 to build again and compare.
        mode: u64,
    },
}

/// What garbage to collect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collect {
    /// What to do.
    pub action: CollectAction,
    /// The paths of [`CollectAction::DeleteSpecific`].
    pub paths: Vec<StorePath>,
    /// Whether to delete even what roots need.
    pub ignore_liveness: bool,
    /// After how many bytes to stop; `u64::MAX` for never.
    pub max_freed_bytes: u64,
}

/// What to do about garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectAction {
    /// List what roots need.
    ReturnLive = 0,
    /// List what no root needs.
    ReturnDead = 1,
    /// Delete what no root needs.
    DeleteDead = 2,
    /// Delete some of what no root needs.
    DeleteSpecific = 3,
}

impl Request {
    /// Which operation it asks for.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::IsValidPath(_) => Operation::IsValidPath,
            Self::QueryReferrers(_) => Operation::QueryReferrers,
            Self::AddToStore { .. } => Operation::AddToStore,
            Self::EnsurePath(_) => Operation::EnsurePath,
            Self::AddTempRoot(_) => Operation::AddTempRoot,
            Self::AddIndirectRoot(_) => Operation::AddIndirectRoot,
            Self::FindRoots => Operation::FindRoots,
            Self::SetOptions(_) => Operation::SetOptions,
            Self::CollectGarbage(_) => Operation::CollectGarbage,
            Self::QueryAllValidPaths => Operation::QueryAllValidPaths,
            Self::QueryPathInfo(_) => Operation::QueryPathInfo,
            Self::QueryPathFromHashPart(_) => Operation::QueryPathFromHashPart,
            Self::QueryValidPaths { .. } => Operation::QueryValidPaths,
            Self::QueryValidDerivers(_) => Operation::QueryValidDerivers,
            Self::OptimiseStore => Operation::OptimiseStore,
            Self::VerifyStore { .. } => Operation::VerifyStore,
            Self::AddSignatures { .. } => Operation::AddSignatures,
            Self::NarFromPath(_) => Operation::NarFromPath,
            Self::AddToStoreNar { .. } => Operation::AddToStoreNar,
            Self::QueryMissing(_) => Operation::QueryMissing,
            Self::AddMultipleToStore { .. } => Operation::AddMultipleToStore,
            Self::BuildPathsWithResults { .. } => Operation::BuildPathsWithResults,
        }
    }

    /// Reads the next request; `None` where the client closed the connection before it.
    ///
    /// # Errors
    ///
    /// [`WireError::Operation`] and [`WireError::NotInVersion`] for what hoist does not know, and
    /// those of reading. A daemon closes the connection then: it cannot know where the next begins.
    pub fn read(
        reader: &mut WireReader<impl Read>,
        version: ProtocolVersion,
    ) -> Result<Option<Self>, WireError> {
        let offset = reader.offset();
        let Some(number) = reader.first_number()? else { return Ok(None) };
        let operation = Operation::parse(number, offset)?;
        operation.check(version)?;
        Ok(Some(match operation {
            Operation::IsValidPath => Self::IsValidPath(reader.path("path")?),
            Operation::QueryReferrers => Self::QueryReferrers(reader.path("path")?),
            Operation::AddToStore => Self::AddToStore {
                name: read_name(reader)?,
                method: reader.text("method")?,
                references: reader.paths("reference")?,
                repair: reader.flag("`repair`")?,
            },
            Operation::EnsurePath => Self::EnsurePath(reader.path("path")?),
            Operation::AddTempRoot => Self::AddTempRoot(reader.path("path")?),
            Operation::AddIndirectRoot => Self::AddIndirectRoot(reader.string("link")?),
            Operation::FindRoots => Self::FindRoots,
            Operation::SetOptions => Self::SetOptions(ClientSettings::read(reader)?),
            Operation::CollectGarbage => Self::CollectGarbage(Collect::read(reader)?),
            Operation::QueryAllValidPaths => Self::QueryAllValidPaths,
            Operation::QueryPathInfo => Self::QueryPathInfo(reader.path("path")?),
            Operation::QueryPathFromHashPart => {
                Self::QueryPathFromHashPart(reader.text("hash part")?)
            }
            Operation::QueryValidPaths => Self::QueryValidPaths {
                paths: reader.paths("path")?,
                substitute: version >= SUBSTITUTE_FLAG && reader.flag("`substitute`")?,
            },
            Operation::QueryValidDerivers => Self::QueryValidDerivers(reader.path("path")?),
            Operation::OptimiseStore => Self::OptimiseStore,
            Operation::VerifyStore => Self::VerifyStore {
                check_contents: reader.flag("`check-contents`")?,
                repair: reader.flag("`repair`")?,
            },
            Operation::AddSignatures => Self::AddSignatures {
                path: reader.path("path")?,
                signatures: reader.texts("signature")?,
            },
            Operation::NarFromPath => Self::NarFromPath(reader.path("path")?),
            Operation::AddToStoreNar => Self::AddToStoreNar {
                path: reader.path("path")?,
                info: PathInfo::read(reader)?,
                repair: reader.flag("`repair`")?,
                dont_check_signatures: reader.flag("`dont-check-sigs`")?,
            },
            Operation::QueryMissing => {
                Self::QueryMissing(reader.list("what to build", DerivedPath::read)?)
            }
            Operation::AddMultipleToStore => Self::AddMultipleToStore {
                repair: reader.flag("`repair`")?,
                dont_check_signatures: reader.flag("`dont-check-sigs`")?,
            },
            Operation::BuildPathsWithResults => Self::BuildPathsWithResults {
                targets: reader.list("what to build", DerivedPath::read)?,
                mode: reader.number()?,
            },
        }))
    }

    /// Writes the request.
    ///
    /// # Errors
    ///
    /// [`WireError::NotInVersion`] when `version` does not have it, [`WireError::Write`] when the
    /// writer below fails.
    pub fn write(
        &self,
        writer: &mut WireWriter<impl Write>,
        version: ProtocolVersion,
    ) -> Result<(), WireError> {
        let operation = self.operation();
        operation.check(version)?;
        writer.number(operation.number())?;
        match self {
            Self::IsValidPath(path)
            | Self::QueryReferrers(path)
            | Self::EnsurePath(path)
            | Self::AddTempRoot(path)
            | Self::QueryPathInfo(path)
            | Self::QueryValidDerivers(path)
            | Self::NarFromPath(path) => writer.path(path),
            Self::AddToStore { name, method, references, repair } => {
                writer.text(name.as_str())?;
                writer.text(method)?;
                writer.paths(references)?;
                writer.flag(*repair)
            }
            Self::AddIndirectRoot(link) => writer.string(link),
            Self::FindRoots | Self::QueryAllValidPaths | Self::OptimiseStore => Ok(()),
            Self::SetOptions(settings) => settings.write(writer),
            Self::CollectGarbage(collect) => collect.write(writer),
            Self::QueryPathFromHashPart(hash_part) => writer.text(hash_part),
            Self::QueryValidPaths { paths, substitute } => {
                writer.paths(paths)?;
                if version >= SUBSTITUTE_FLAG {
                    writer.flag(*substitute)?;
                }
                Ok(())
            }
            Self::VerifyStore { check_contents, repair } => {
                writer.flag(*check_contents)?;
                writer.flag(*repair)
            }
            Self::AddSignatures { path, signatures } => {
                writer.path(path)?;
                writer.texts(signatures)
            }
            Self::AddToStoreNar { path, info, repair, dont_check_signatures } => {
                writer.path(path)?;
                info.write(writer)?;
                writer.flag(*repair)?;
                writer.flag(*dont_check_signatures)
            }
            Self::QueryMissing(targets) => writer.list(targets, DerivedPath::write),
            Self::AddMultipleToStore { repair, dont_check_signatures } => {
                writer.flag(*repair)?;
                writer.flag(*dont_check_signatures)
            }
            Self::BuildPathsWithResults { targets, mode } => {
                writer.list(targets, DerivedPath::write)?;
                writer.number(*mode)
            }
        }
    }
}

impl Collect {
    fn read(reader: &mut WireReader<impl Read>) -> Result<Self, WireError> {
        let offset = reader.offset();
        let action = match reader.number()? {
            0 => CollectAction::ReturnLive,
            1 => CollectAction::ReturnDead,
            2 => CollectAction::DeleteDead,
            3 => CollectAction::DeleteSpecific,
            found => {
                let what = "what to do about garbage";
                return Err(WireError::Number { offset, what, found, wanted: "0 to 3" });
            }
        };
        let paths = reader.paths("path")?;
        let ignore_liveness = reader.flag("whether to ignore roots")?;
        let max_freed_bytes = reader.number()?;
        for _ in 0..3 {
            reader.number()?; // limits that Nix has no more
        }
        Ok(Self { action, paths, ignore_liveness, max_freed_bytes })
    }

    fn write(&self, writer: &mut WireWriter<impl Write>) -> Result<(), WireError> {
        writer.number(self.action as u64)?;
        writer.paths(&self.paths)?;
        writer.flag(self.ignore_liveness)?;
        writer.number(self.max_freed_bytes)?;
        (0..3).try_for_each(|_| writer.number(0))
    }
}

fn read_name(reader: &mut WireReader<impl Read>) -> Result<StorePathName, WireError> {
    let (offset, what) = (reader.offset(), "name");
    let name = reader.text(what)?;
    StorePathName::parse(&name).map_err(|source| WireError::StorePath { offset, what, source })
}
