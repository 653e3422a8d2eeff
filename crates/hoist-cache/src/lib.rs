//! Binary caches: reading them from folders and over HTTP.
//!
//! A cache is Nix's: `nix-cache-info`, a narinfo for each store path, and NARs. Nothing that it
//! says is believed: a narinfo needs a trusted key or a content address that fits, and a NAR is
//! held against it, byte for byte, before the last of it is handed over.
//!
//! ```no_run
//! use hoist_cache::{BinaryCache, CacheOptions};
//! use hoist_nix::{PublicKey, StorePath};
//!
//! let trusted_keys = vec![PublicKey::parse(
//!     "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=",
//! )?];
//! let options = CacheOptions { trusted_keys, ..CacheOptions::default() };
//! let cache = BinaryCache::open("https://cache.nixos.org", options)?;
//! let path = StorePath::parse("z45ailnkm27lnvhimqkhy08f6sh5m17d-hello.txt")?;
//! if let Some(info) = cache.info(&path)? {
//!     std::io::copy(&mut cache.nar(&info)?, &mut std::io::stdout())?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod brotli;
mod cache;
mod decode;
mod error;
mod http;
mod meter;
mod nar_stream;
mod place;

pub use cache::{BinaryCache, CacheOptions};
pub use error::{CacheError, FetchError};
pub use nar_stream::NarStream;
