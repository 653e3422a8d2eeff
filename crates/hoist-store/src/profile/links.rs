//! The links of one profile.
//!
//! Source: `profiles.cc` of Nix.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::ProfileName;
use crate::layout::is_absent;
use crate::tree::sync_dir;
use crate::{FileError, ProfileError};

/// The links of one profile, in the folder of all profiles.
#[derive(Debug)]
pub(super) struct Links<'n> {
    dir: PathBuf,
    name: &'n ProfileName,
}

/// A link that Nix takes for a generation.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) target: String,
    pub(super) modified_unix: u64,
    is_canonical: bool,
}

impl Link {
    /// Whether it has the name that its number gives; Nix also counts `NAME-007-link` and
    /// `NAME-9-link.tmp`, which hoist only keeps from being overtaken.
    pub(super) fn is_canonical(&self) -> bool {
        self.is_canonical
    }
}

impl<'n> Links<'n> {
    pub(super) fn new(dir: PathBuf, name: &'n ProfileName) -> Self {
        Self { dir, name }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The link that people use.
    pub(super) fn profile(&self) -> PathBuf {
        self.dir.join(self.name.as_str())
    }

    /// The number of the generation that the profile points to.
    pub(super) fn current(&self) -> Result<Option<u64>, ProfileError> {
        let profile = self.profile();
        match fs::read_link(&profile) {
            Ok(target) => {
                let number = target.to_str().and_then(|target| self.parse(target));
                Ok(number.filter(|&number| target == Path::new(&self.file_name(number))))
            }
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Err(ProfileError::NotALink { path: profile, wanted: "generation" })
            }
            Err(error) => Err(FileError::at("read", profile)(error).into()),
        }
    }

    /// Everything that Nix takes for a generation, by number; the canonical one of a number last.
    pub(super) fn list(&self) -> Result<Vec<Link>, ProfileError> {
        let listed = || FileError::at("list", &self.dir);
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            entries => entries.map_err(listed())?,
        };
        let mut links = Vec::new();
        for entry in entries {
            let name = entry.map_err(listed())?.file_name();
            let Some(number) = name.to_str().and_then(|name| self.parse(name)) else { continue };
            links.extend(self.read(&name, number)?);
        }
        links.sort_unstable_by_key(|link| (link.number, link.is_canonical));
        Ok(links)
    }

    /// The generation of a number, by its canonical name.
    pub(super) fn get(&self, number: u64) -> Result<Option<Link>, ProfileError> {
        self.read(self.file_name(number).as_ref(), number)
    }

    /// Where the link of a generation is.
    pub(super) fn path(&self, number: u64) -> PathBuf {
        self.dir.join(self.file_name(number))
    }

    /// Makes the link of a generation.
    pub(super) fn create(&self, number: u64, target: &str) -> Result<(), ProfileError> {
        let path = self.path(number);
        symlink(target, &path).map_err(FileError::at("create", path))?;
        Ok(sync_dir(&self.dir)?)
    }

    /// Makes a generation current by one rename. The caller holds the profile's lock.
    pub(super) fn point_to(&self, number: u64) -> Result<(), ProfileError> {
        let profile = self.profile();
        if fs::symlink_metadata(&profile).is_ok_and(|found| !found.is_symlink()) {
            return Err(ProfileError::NotALink { path: profile, wanted: "generation" });
        }
        if self.current()? == Some(number) {
            return Ok(());
        }
        let new = self.dir.join(format!(".{}.new", self.name));
        match fs::remove_file(&new) {
            Err(error) if !is_absent(&error) => {
                return Err(FileError::at("remove", new)(error).into());
            }
            _ => {}
        }
        symlink(self.file_name(number), &new)
            .and_then(|()| fs::rename(&new, &profile))
            .map_err(FileError::at("switch", &profile))?;
        Ok(sync_dir(&self.dir)?)
    }

    fn read(&self, name: &std::ffi::OsStr, number: u64) -> Result<Option<Link>, ProfileError> {
        let path = self.dir.join(name);
        let target = match fs::read_link(&path) {
            Ok(target) => target.to_string_lossy().into_owned(),
            Err(error) if is_absent(&error) => return Ok(None),
            // Nix counts it all the same, so that its number is not given again.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => String::new(),
            Err(error) => return Err(FileError::at("read", path)(error).into()),
        };
        let metadata = match fs::symlink_metadata(&path) {
            Err(error) if is_absent(&error) => return Ok(None), // collected in between
            metadata => metadata.map_err(FileError::at("read", &path))?,
        };
        let modified_unix = u64::try_from(metadata.mtime()).unwrap_or(0);
        let is_canonical = name == self.file_name(number).as_str();
        Ok(Some(Link { number, target, modified_unix, is_canonical }))
    }

    fn file_name(&self, number: u64) -> String {
        format!("{}-{number}-link", self.name)
    }

    /// The number that Nix reads from a file's name.
    fn parse(&self, file_name: &str) -> Option<u64> {
        let rest = file_name.strip_prefix(self.name.as_str())?.strip_prefix('-')?;
        let (number, _) = rest.split_once("-link")?;
        number.parse().ok().filter(|&number| number < u64::MAX)
    }
}
