//! A binary cache and what it says of store paths.

use std::time::Duration;

use hoist_nix::{CacheInfo, NarInfo, PublicKey, StoreDir, StorePath};

use crate::nar_stream::file_limit;
use crate::place::Place;
use crate::{CacheError, FetchError, NarStream};

/// Whom a reader of a cache trusts, and how long and how much it takes.
#[derive(Debug, Clone)]
pub struct CacheOptions {
    /// The directory of the store that the paths are for.
    pub store_dir: StoreDir,
    /// The keys that may vouch for paths; what is named by its content needs none.
    pub trusted_keys: Vec<PublicKey>,
    /// Largest NAR that is taken, in bytes.
    pub nar_size_limit: u64,
    /// Longest time to find and reach a server.
    pub connect_timeout: Duration,
    /// Longest time without a byte from a server.
    pub stall_timeout: Duration,
}

/// `/nix/store`, no keys, NARs of up to 64 GiB, 10 s to connect, 60 s without a byte.
impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            store_dir: StoreDir::default(),
            trusted_keys: Vec::new(),
            nar_size_limit: 64 << 30,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_mins(1),
        }
    }
}

/// A binary cache that is read.
#[derive(Debug)]
pub struct BinaryCache {
    url: String,
    place: Place,
    options: CacheOptions,
}

impl BinaryCache {
    /// Opens the cache at `file:///FOLDER`, in a folder, or at `http://…` or `https://…`.
    ///
    /// A folder without `nix-cache-info` is a cache all the same, as for Nix; a server must have
    /// it.
    ///
    /// # Errors
    ///
    /// [`CacheError`] when the address is none, the cache cannot be reached, or it is for another
    /// store directory.
    pub fn open(url: &str, options: CacheOptions) -> Result<Self, CacheError> {
        const NAME: &str = "nix-cache-info";
        let place = Place::parse(url, &options)?;
        let cache = Self { url: url.to_owned(), place, options };
        let Some(bytes) = cache.place.read(NAME, CacheInfo::MAX_LEN)? else {
            cache.place.check_without_info()?;
            return Ok(cache);
        };
        let info = CacheInfo::parse(&bytes);
        let info =
            info.map_err(|source| CacheError::CacheInfo { url: cache.place.url_of(NAME), source })?;
        match info.store_dir {
            Some(found) if found != cache.options.store_dir => {
                let wanted = cache.options.store_dir;
                Err(CacheError::OtherStoreDir { url: cache.url, found, wanted })
            }
            _ => Ok(cache),
        }
    }

    /// Where it lies, as it was opened.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns what the cache says of `path`, once it is clear that someone vouches for it (see
    /// [`NarInfo::accept`]); `None` when it does not have the path.
    ///
    /// # Errors
    ///
    /// [`CacheError`] when it cannot be asked, or its answer is not taken.
    pub fn info(&self, path: &StorePath) -> Result<Option<NarInfo>, CacheError> {
        let name = format!("{}.narinfo", path.hash_part());
        let Some(bytes) = self.place.read(&name, NarInfo::MAX_LEN)? else { return Ok(None) };
        let CacheOptions { store_dir, trusted_keys, .. } = &self.options;
        let info = NarInfo::parse(store_dir, &bytes);
        let info = info.map_err(|source| CacheError::NarInfo {
            url: self.place.url_of(&name),
            source: Box::new(source),
        })?;
        match info.accept(store_dir, path, trusted_keys) {
            Ok(_) => Ok(Some(info)),
            Err(source) => {
                Err(CacheError::Offer { url: self.url.clone(), source: Box::new(source) })
            }
        }
    }

    /// Begins to read the NAR that `info` describes; see [`NarStream`] for what is checked.
    ///
    /// # Errors
    ///
    /// [`CacheError`] when the file is missing, larger than was said or than is allowed, or cannot
    /// be begun.
    pub fn nar(&self, info: &NarInfo) -> Result<NarStream, CacheError> {
        let name = info.url.as_str();
        let url = || self.place.url_of(name);
        let limit = self.options.nar_size_limit;
        if info.nar_size > limit {
            return Err(CacheError::NarTooLarge { url: url(), found: info.nar_size, limit });
        }
        let Some(found) = self.place.find(name, file_limit(info))? else {
            return Err(CacheError::NarMissing { url: url() });
        };
        if let (Some(found), Some(wanted)) = (found.size, info.file_size)
            && found != wanted
        {
            let source = FetchError::FileSize { found, wanted };
            return Err(CacheError::Nar { url: url(), source });
        }
        NarStream::new(info, found.body).map_err(|source| CacheError::Nar { url: url(), source })
    }
}
