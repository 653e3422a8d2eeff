//! Where a cache lies.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::http::Server;
use crate::{CacheError, CacheOptions};

/// The folder or the server of a cache.
#[derive(Debug)]
pub(crate) enum Place {
    Folder(PathBuf),
    Server(Server),
}

/// A file of a cache that was found and not read yet.
pub(crate) struct Found {
    pub(crate) body: Box<dyn Read + Send>,
    /// Its size in bytes, where known beforehand.
    pub(crate) size: Option<u64>,
}

impl Place {
    pub(crate) fn parse(url: &str, options: &CacheOptions) -> Result<Self, CacheError> {
        let refused = |why| CacheError::Url { url: url.to_owned(), why };
        if url.contains(['?', '#']) {
            return Err(refused("it has parameters"));
        }
        if let Some(path) = url.strip_prefix("file://") {
            if path.starts_with('/') {
                return Ok(Self::Folder(PathBuf::from(path)));
            }
            return Err(refused("a `file:` address has no host"));
        }
        match url.split_once("://") {
            Some(("http" | "https", rest)) if rest.starts_with('/') || rest.is_empty() => {
                Err(refused("it names no host"))
            }
            // The text with the secret is not quoted.
            Some((scheme @ ("http" | "https"), rest))
                if rest.split('/').next().is_some_and(|host| host.contains('@')) =>
            {
                let url = format!("{scheme}://…");
                Err(CacheError::Url { url, why: "it holds a user name or a password" })
            }
            Some(("http" | "https", _)) => Ok(Self::Server(Server::new(url, options))),
            Some(_) => Err(refused("its scheme is neither `file`, `http` nor `https`")),
            None if url.is_empty() => Err(refused("it is empty")),
            None => Ok(Self::Folder(PathBuf::from(url))),
        }
    }

    /// Checks that it can be a cache that does not say what it is.
    pub(crate) fn check_without_info(&self) -> Result<(), CacheError> {
        let (url, why) = match self {
            Self::Folder(dir) if dir.is_dir() => return Ok(()),
            Self::Folder(dir) => (dir.display().to_string(), "there is no such folder"),
            Self::Server(server) => (server.url_of(""), "it has no nix-cache-info"),
        };
        Err(CacheError::NotACache { url, why })
    }

    /// The address of one of its files.
    pub(crate) fn url_of(&self, name: &str) -> String {
        match self {
            Self::Folder(dir) => dir.join(name).display().to_string(),
            Self::Server(server) => server.url_of(name),
        }
    }

    /// Finds a file of at most `limit` bytes; `None` when there is none of that name.
    pub(crate) fn find(&self, name: &str, limit: u64) -> Result<Option<Found>, CacheError> {
        let found = match self {
            Self::Folder(dir) => {
                let path = dir.join(name);
                let failed = |source| CacheError::Read { url: self.url_of(name), source };
                find_file(&path).map_err(failed)?
            }
            Self::Server(server) => return server.find(name, limit),
        };
        let url = || self.url_of(name);
        match found {
            FileFound::Nothing => Ok(None),
            FileFound::Other => Err(CacheError::NotAFile { url: url() }),
            FileFound::File { size, .. } if size > limit => {
                Err(CacheError::TooLong { url: url(), limit })
            }
            FileFound::File { file, size } => {
                Ok(Some(Found { body: Box::new(file), size: Some(size) }))
            }
        }
    }

    /// Reads a small file whole.
    pub(crate) fn read(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, CacheError> {
        let limit = limit as u64;
        let Some(found) = self.find(name, limit)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = found.body.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|source| CacheError::Read { url: self.url_of(name), source })?;
        if bytes.len() as u64 > limit {
            return Err(CacheError::TooLong { url: self.url_of(name), limit });
        }
        Ok(Some(bytes))
    }
}

enum FileFound {
    Nothing,
    /// A folder, or a pipe that would block whoever opens it.
    Other,
    File {
        file: File,
        size: u64,
    },
}

fn find_file(path: &Path) -> io::Result<FileFound> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Ok(FileFound::Other),
        Ok(metadata) => Ok(FileFound::File { file: File::open(path)?, size: metadata.len() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(FileFound::Nothing),
        Err(error) => Err(error),
    }
}
