//! Being alone with the store, as Nix's collector is: the lock, and the socket that goes with it.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::net::shutdown;

use crate::FileError;
use crate::layout::{Layout, create_dir_all};
use crate::lock::FileLock;

/// How long to wait until a process has noticed that it was hung up on.
const PATIENCE: Duration = Duration::from_secs(1);

/// The store's lock, held alone: nobody makes a new root meanwhile.
///
/// Nix asks a running collection, over a socket, to keep what it adds, and waits for the answer;
/// when it is refused, or hung up on, it looks at the lock again. hoist holds the lock for so short
/// a time that all may wait for its end. Nix 2.8 adds unprotected where there is no socket.
///
/// Source: `addTempRoot` in `gc.cc` of Nix 2.26; what Nix 2.8.0 was seen to do.
#[derive(Debug)]
pub(super) struct Alone {
    lock: Option<FileLock>,
    /// None where nothing can be written.
    listener: Option<UnixListener>,
}

impl Alone {
    /// Waits for the lock; `waiting` is called when somebody holds it.
    ///
    /// - `reads_only`: whether it is enough to read the store.
    pub(super) fn wait_for(
        layout: &Layout,
        reads_only: bool,
        waiting: impl FnOnce(),
    ) -> Result<Self, FileError> {
        let socket = layout.gc_socket();
        if fs::symlink_metadata(&socket).is_err() && !reads_only {
            // One that refuses, until there is one that listens.
            drop(listen(&socket, |new| fs::hard_link(new, &socket)));
        }
        let path = layout.gc_lock();
        let lock = if let Some(lock) = FileLock::try_exclusive(&path)? {
            lock
        } else {
            waiting();
            FileLock::exclusive(&path)?
        };
        let listener = match listen(&socket, |new| fs::rename(new, &socket)) {
            Err(_) if reads_only => None,
            listener => Some(listener?),
        };
        Ok(Self { lock: Some(lock), listener })
    }
}

/// Lets go of the lock, and sends those who asked to look at it.
///
/// Nix 2.8 goes on unprotected when its connection is reset, and looks at the lock when it ends.
/// So each is ended from this side, and stays until the other side closes it as well.
impl Drop for Alone {
    fn drop(&mut self) {
        let asked = self.listener.as_ref().map(stop_listening).unwrap_or_default();
        drop(self.lock.take());
        for stream in &asked {
            let _ = stream.shutdown(Shutdown::Write);
        }
        for mut stream in asked {
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let mut said = [0; 512];
            while stream.read(&mut said).is_ok_and(|len| len > 0) {}
        }
    }
}

/// Opens a socket beside `path`, and lets `place` give it that name: at no time there is none.
fn listen(
    path: &Path,
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<UnixListener, FileError> {
    let dir = path.parent().expect("the socket is in a folder");
    create_dir_all(dir)?;
    let listen = || {
        // A socket's address is short, which the store's root need not be.
        let opened = File::open(dir)?;
        let in_dir = format!("/proc/self/fd/{}", opened.as_raw_fd());
        let bind = |path: &Path| UnixListener::bind(path);
        let new = tempfile::Builder::new().prefix(".hoist-").make_in(in_dir, bind)?;
        fs::set_permissions(&new, Permissions::from_mode(0o666))?; // as Nix makes it
        place(new.path())?;
        Ok(new.into_parts().0) // what is left of the first name goes
    };
    listen().map_err(|error: io::Error| FileError::at("create", path)(error))
}

/// Returns those who asked. Who comes later is refused, as by the socket of a collection that ended.
fn stop_listening(listener: &UnixListener) -> Vec<UnixStream> {
    let _ = shutdown(listener, rustix::net::Shutdown::Both);
    let _ = listener.set_nonblocking(true);
    std::iter::from_fn(|| listener.accept().ok()).map(|(stream, _)| stream).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn connect(layout: &Layout) -> std::io::Result<UnixStream> {
        UnixStream::connect(layout.gc_socket())
    }

    fn alone(root: &Path) -> (Layout, Alone) {
        let layout = Layout::new(root).unwrap();
        create_dir_all(layout.gc_lock().parent().unwrap()).unwrap();
        let alone = Alone::wait_for(&layout, false, || panic!("nobody holds it")).unwrap();
        (layout, alone)
    }

    #[test]
    fn who_asks_hears_the_end_and_no_reset() {
        let root = tempfile::tempdir().unwrap();
        let (layout, alone) = alone(root.path());
        let (heard, answers) = mpsc::channel();
        let asking: Vec<_> = (0..20)
            .map(|asker| {
                let mut stream = connect(&layout).unwrap();
                let (heard, lock) = (heard.clone(), layout.gc_lock());
                thread::spawn(move || {
                    if asker % 2 == 0 {
                        stream.write_all(b"/nix/store/x\n").unwrap();
                    }
                    let answer = stream.read(&mut [0]).map_err(|error| error.kind());
                    let is_free = FileLock::try_shared(&lock).unwrap().is_some();
                    heard.send((answer, is_free)).unwrap();
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(20));
        assert!(answers.try_recv().is_err(), "nobody is answered while the lock is held");
        drop(alone);
        for asker in asking {
            asker.join().unwrap();
        }
        drop(heard);
        assert_eq!(answers.iter().collect::<Vec<_>>(), [(Ok(0), true); 20]);
    }

    #[test]
    fn who_comes_before_the_first_collection_listens_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path()).unwrap();
        create_dir_all(layout.gc_lock().parent().unwrap()).unwrap();
        let lock = FileLock::shared(&layout.gc_lock()).unwrap();
        let waiting = || {
            let refusal = connect(&layout).unwrap_err();
            assert_eq!(refusal.kind(), std::io::ErrorKind::ConnectionRefused);
            drop(lock);
        };
        Alone::wait_for(&layout, false, waiting).unwrap();
    }

    #[test]
    fn the_socket_that_is_left_refuses_as_that_of_nix_does() {
        let root = tempfile::tempdir().unwrap();
        let (layout, first) = alone(root.path());
        drop(first);
        let refusal = connect(&layout).unwrap_err();
        assert_eq!(refusal.kind(), std::io::ErrorKind::ConnectionRefused);
        let dir = layout.gc_socket();
        assert_eq!(fs::read_dir(dir.parent().unwrap()).unwrap().count(), 1);
        let (_, _second) = alone(root.path());
        connect(&layout).unwrap();
    }
}
