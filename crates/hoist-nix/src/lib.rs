//! Nix's formats as pure code: hashes and their texts, store paths, NAR.
//!
//! Nothing here opens a file, reads a clock or looks at the environment: input arrives as bytes,
//! `&str` or [`std::io::Read`], limits arrive as arguments, and every length read from input is
//! checked before anything is allocated for it. Where Nix 2.8 and 2.26 differ, or both are lax,
//! reading is strict and writing stays within what both accept.
//!
//! ```
//! use hoist_nix::{NarWriter, Sha256Hasher, StoreDir, StorePathName, fixed_recursive_sha256};
//!
//! let mut nar = NarWriter::new(Sha256Hasher::new())?;
//! nar.file(false, 12, &mut &b"hello world\n"[..])?;
//! let (nar_hash, nar_size) = nar.finish().finish();
//!
//! let name = StorePathName::parse("hello.txt")?;
//! let path = fixed_recursive_sha256(&StoreDir::default(), &name, &nar_hash);
//! assert_eq!(nar_size, 128);
//! assert_eq!(path.to_string(), "z45ailnkm27lnvhimqkhy08f6sh5m17d-hello.txt");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod base32;
mod base64;
mod cache_info;
mod content_address;
mod derivation;
mod error;
mod export;
mod hash;
mod hasher;
mod key;
mod listing;
mod nar;
mod narinfo;
mod refscan;
mod signature;
mod store_path;
pub mod wire;

pub use cache_info::{CacheInfo, CacheInfoError};
pub use content_address::{ContentAddress, fixed_recursive_sha256};
pub use derivation::{
    Derivation, DerivationError, DerivationJson, DerivationOutput, OutputMethod, OutputName,
    OutputPaths,
};
pub use error::{HashError, NarError, NarWriteError, StorePathError};
pub use export::{ExportError, ExportReader, ExportWriter, ExportedPath};
pub use hash::{Hash, HashAlgorithm, HashingWriter, Sha256Hash, Sha256Hasher};
pub use hasher::Hasher;
pub use key::{PublicKey, SecretKey};
pub use listing::{ListingError, write_listing};
pub use nar::{NarCopyError, NarEvent, NarLimits, NarNode, NarReader, NarWriter, copy_nar};
pub use narinfo::{
    Compression, NarInfo, NarInfoError, NarUrl, NarUrlError, OfferError, Voucher, fingerprint,
};
pub use refscan::{FoundReferences, OwnPlaces, RefScanner};
pub use signature::{Signature, SignatureError};
pub use store_path::{StoreDir, StorePath, StorePathName};
