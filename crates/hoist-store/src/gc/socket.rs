//! Where a collection of garbage is told of new roots, in Nix's protocol.

use std::fs::{self, File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use crate::FileError;
use crate::layout::{Layout, create_dir_all, is_absent};

/// The socket of a collection that holds the lock alone, and answers nobody.
///
/// Nix asks a running collection to keep what it adds, and waits for the answer; when the socket
/// is closed instead, it looks at the lock again. hoist holds the lock for so short a time that all
/// may wait for its end. Without a socket, Nix 2.8 fails.
///
/// Source: `addTempRoot` in `gc.cc` of Nix 2.8 and 2.26.
#[derive(Debug)]
pub(super) struct DeafSocket {
    _listener: UnixListener,
}

impl DeafSocket {
    /// Opens the socket. The caller holds the lock alone, and lets go of it first, so that whoever
    /// is woken by the end of the socket finds the lock free.
    pub(super) fn open(layout: &Layout) -> Result<Self, FileError> {
        let path = layout.gc_socket();
        let dir = path.parent().expect("the socket is in a folder");
        create_dir_all(dir)?;
        let failed = || FileError::at("create", &path);
        match fs::remove_file(&path) {
            Err(error) if !is_absent(&error) => return Err(failed()(error)),
            _ => {}
        }
        // A socket's address is short, which the store's root need not be.
        let opened = File::open(dir).map_err(failed())?;
        let address = format!("/proc/self/fd/{}/socket", opened.as_raw_fd());
        let listener = UnixListener::bind(address).map_err(failed())?;
        let for_all = Permissions::from_mode(0o666); // as Nix makes it
        fs::set_permissions(&path, for_all).map_err(failed())?;
        Ok(Self { _listener: listener })
    }
}
