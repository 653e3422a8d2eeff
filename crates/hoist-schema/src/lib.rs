//! The stable surface of hoist: the manifest `hoist.toml`, the lock file `hoist.lock`, the ABI file
//! that is packed with an artifact, findings, the records that `--json` prints, and exit codes.
//!
//! Types and texts only: nothing here opens a file.

pub mod abi;
pub mod exit;
pub mod finding;
pub mod lock;
pub mod manifest;
pub mod python;
pub mod record;
pub mod repair;

pub use exit::Exit;
pub use finding::{Finding, Severity, Waived};
pub use lock::{Lock, LockError};
pub use manifest::{Manifest, ManifestError};
pub use repair::Repair;
