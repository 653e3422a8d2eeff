//! Pieces that go from thread to thread in a ring.

use std::mem;
use std::ops::Deref;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use hoist_nix::Sha256Hasher;

use super::piece::Piece;
use crate::{FileError, TreeError};

/// How many pieces go round. All memory that an archive takes, however long it is.
const PIECES: usize = 8;

/// Where pieces come from.
pub(super) trait Source {
    /// Fills a piece anew. Returns whether there is more to come.
    fn fill(&mut self, piece: &mut Piece) -> Result<bool, TreeError>;
}

/// Something that is done with every piece, in order.
pub(super) trait Stage: Send {
    fn take(&mut self, piece: &Piece) -> Result<(), TreeError>;
}

impl Stage for Sha256Hasher {
    fn take(&mut self, piece: &Piece) -> Result<(), TreeError> {
        self.update(piece.bytes.as_slice());
        Ok(())
    }
}

/// A part of the ring on a thread of its own.
pub(super) type Worker<'a> = Box<dyn FnOnce(Link) -> Result<(), TreeError> + Send + 'a>;

/// Makes a worker of a stage.
pub(super) fn worker(stage: &mut dyn Stage) -> Worker<'_> {
    Box::new(move |link| {
        while let Some(piece) = link.take() {
            stage.take(&piece)?;
            link.pass(piece);
        }
        Ok(())
    })
}

/// Takes all of `source` through the stages. What fits into one piece needs no threads; otherwise
/// each stage has one, and the source is asked on the caller's.
///
/// `path` says what it is about when the system gives no thread.
pub(super) fn pump(
    source: &mut dyn Source,
    stages: &mut [&mut dyn Stage],
    path: &Path,
) -> Result<(), TreeError> {
    let mut first = Piece::default();
    if !source.fill(&mut first)? {
        return stages.iter_mut().try_for_each(|stage| stage.take(&first));
    }
    let workers = stages.iter_mut().map(|stage| worker(*stage)).collect();
    run(workers, path, |link| feed(source, first, &link))
}

/// Takes all of `source`, which is asked on a thread of its own when there is more than one piece
/// of it, to a stage on the caller's.
pub(super) fn drain(
    source: &mut (dyn Source + Send),
    mut stage: impl FnMut(&Piece) -> Result<(), TreeError>,
    path: &Path,
) -> Result<(), TreeError> {
    let mut first = Piece::default();
    if !source.fill(&mut first)? {
        return stage(&first);
    }
    // The caller's part comes first in the ring, where the empty pieces are: it hands them on, and
    // what comes round is filled.
    let reader: Worker<'_> = Box::new(move |link| feed(source, first, &link));
    run(vec![reader], path, |link| {
        for _ in 1..PIECES {
            link.pass(link.take().expect("the ring starts with all pieces but one"));
        }
        while let Some(piece) = link.take() {
            stage(&piece)?;
            link.pass(piece);
        }
        Ok(())
    })
}

/// Runs the workers behind the caller's own part until all of them are at their end. The first
/// error in that order is the one to tell: a part whose neighbour ended just ends.
pub(super) fn run(
    workers: Vec<Worker<'_>>,
    path: &Path,
    own: impl FnOnce(Link) -> Result<(), TreeError>,
) -> Result<(), TreeError> {
    thread::scope(|scope| {
        let mut links = ring(workers.len() + 1).into_iter();
        let own_link = links.next().expect("a ring has at least the caller's part");
        let mut running = Vec::with_capacity(workers.len());
        for (work, link) in workers.into_iter().zip(links) {
            // When one cannot be had, dropping the other links ends those that run.
            let thread = thread::Builder::new().spawn_scoped(scope, move || work(link));
            running.push(thread.map_err(FileError::at("start a thread for", path))?);
        }
        let mut result = own(own_link);
        for thread in running {
            let ended = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(ended);
        }
        result
    })
}

/// Fills pieces until there is nothing more, or nobody wants more.
pub(super) fn feed(
    source: &mut (impl Source + ?Sized),
    first: Piece,
    link: &Link,
) -> Result<(), TreeError> {
    link.pass(first);
    while let Some(mut piece) = link.take() {
        let more = source.fill(&mut piece)?;
        link.pass(piece);
        if !more {
            break;
        }
    }
    Ok(())
}

/// One part's ends of the ring. Dropping it ends the neighbours, and so all.
#[derive(Debug)]
pub(super) struct Link {
    from: Receiver<Piece>,
    to: SyncSender<Piece>,
}

impl Link {
    /// Waits for a piece; none when the part before has ended.
    pub(super) fn take(&self) -> Option<Piece> {
        self.from.recv().ok()
    }

    /// Hands a piece on. When the part behind has ended, the piece is of no use any more.
    pub(super) fn pass(&self, piece: Piece) {
        let _ = self.to.send(piece);
    }

    /// Shares a piece before it is handed on.
    pub(super) fn lend(&self, piece: Piece) -> Lent {
        Lent { piece, to: self.to.clone() }
    }
}

/// A piece that several threads look at. It is handed on when the last of them is done with it.
#[derive(Debug)]
pub(super) struct Lent {
    piece: Piece,
    to: SyncSender<Piece>,
}

impl Deref for Lent {
    type Target = Piece;

    fn deref(&self) -> &Piece {
        &self.piece
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let _ = self.to.send(mem::take(&mut self.piece));
    }
}

/// The links of a ring. All pieces but the one that is filled already lie before the first part.
fn ring(parts: usize) -> Vec<Link> {
    // No channel ever holds more than all pieces, so that handing on does not wait.
    let (mut to, mut from): (Vec<_>, Vec<_>) =
        (0..parts).map(|_| sync_channel::<Piece>(PIECES)).unzip();
    for _ in 1..PIECES {
        to[0].send(Piece::default()).expect("its receiver is here");
    }
    to.rotate_left(1);
    from.drain(..).zip(to).map(|(from, to)| Link { from, to }).collect()
}
