//! What a client asks.

use std::io::{Read, Write};

use crate::StorePath;
use crate::wire::{PathInfo, ProtocolVersion, WireError, WireReader, WireWriter};

/// What a client can ask of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are Nix's; `Request` tells what they do")]
pub enum Command {
    QueryValidPaths = 1,
    QueryPathInfos = 2,
    DumpStorePath = 3,
    ImportPaths = 4,
    QueryClosure = 7,
    AddToStoreNar = 9,
}

/// One question or order of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Which of these paths are valid.
    QueryValidPaths {
        /// Whether to keep those that are as long as the connection lasts.
        lock: bool,
        /// Whether to fetch those that are not.
        substitute: bool,
        /// The paths.
        paths: Vec<StorePath>,
    },
    /// What is known of these paths.
    QueryPathInfos(Vec<StorePath>),
    /// Send a path as a NAR.
    DumpStorePath(StorePath),
    /// Add the paths of the export that follows.
    ImportPaths,
    /// All paths that these need.
    QueryClosure {
        /// Whether outputs of derivations belong to it.
        include_outputs: bool,
        /// The paths.
        paths: Vec<StorePath>,
    },
    /// Add the path whose NAR follows.
    AddToStoreNar {
        /// The path.
        path: StorePath,
        /// What is said of it.
        info: PathInfo,
    },
}

impl Request {
    /// Which command it is.
    #[must_use]
    pub fn command(&self) -> Command {
        match self {
            Self::QueryValidPaths { .. } => Command::QueryValidPaths,
            Self::QueryPathInfos(_) => Command::QueryPathInfos,
            Self::DumpStorePath(_) => Command::DumpStorePath,
            Self::ImportPaths => Command::ImportPaths,
            Self::QueryClosure { .. } => Command::QueryClosure,
            Self::AddToStoreNar { .. } => Command::AddToStoreNar,
        }
    }

    /// Reads the next request; `None` where the client closed the connection before it.
    ///
    /// # Errors
    ///
    /// [`WireError::Operation`] and [`WireError::NotInVersion`] for what hoist does not know, and
    /// those of reading. A server closes the connection then.
    pub fn read(
        reader: &mut WireReader<impl Read>,
        version: ProtocolVersion,
    ) -> Result<Option<Self>, WireError> {
        let offset = reader.offset();
        let Some(number) = reader.first_number()? else { return Ok(None) };
        Ok(Some(match number {
            1 => Self::QueryValidPaths {
                lock: reader.flag("`lock`")?,
                substitute: reader.flag("`substitute`")?,
                paths: reader.paths("path")?,
            },
            2 => Self::QueryPathInfos(reader.paths("path")?),
            3 => Self::DumpStorePath(reader.path("path")?),
            4 => Self::ImportPaths,
            7 => Self::QueryClosure {
                include_outputs: reader.flag("`include-outputs`")?,
                paths: reader.paths("path")?,
            },
            9 => {
                Command::AddToStoreNar.check(version)?;
                Self::AddToStoreNar { path: reader.path("path")?, info: PathInfo::read(reader)? }
            }
            found => return Err(WireError::Operation { offset, found }),
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
        let command = self.command();
        command.check(version)?;
        writer.number(command as u64)?;
        match self {
            Self::QueryValidPaths { lock, substitute, paths } => {
                writer.flag(*lock)?;
                writer.flag(*substitute)?;
                writer.paths(paths)
            }
            Self::QueryPathInfos(paths) => writer.paths(paths),
            Self::DumpStorePath(path) => writer.path(path),
            Self::ImportPaths => Ok(()),
            Self::QueryClosure { include_outputs, paths } => {
                writer.flag(*include_outputs)?;
                writer.paths(paths)
            }
            Self::AddToStoreNar { path, info } => {
                writer.path(path)?;
                info.write(writer)
            }
        }
    }
}

impl Command {
    fn check(self, version: ProtocolVersion) -> Result<(), WireError> {
        if self == Self::AddToStoreNar && version < ProtocolVersion::new(2, 5) {
            return Err(WireError::NotInVersion { operation: "AddToStoreNar", version });
        }
        Ok(())
    }
}
