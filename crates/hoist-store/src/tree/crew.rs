//! Writing a tree on two threads.
//!
//! Creating a small file costs more than reading and hashing it. So the thread that takes the
//! pieces, the lead, makes the directories itself and hands out what goes into them: runs of small
//! files, and parts of large ones. It and a helper work on that, in whatever order; a directory
//! gets its final mode and time when all that goes into it is there. See ADR 16.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use rustix::fd::OwnedFd;

use super::nodes::{EndedDir, Folder, NewFile, Nodes};
use super::piece::{Piece, PieceStep};
use super::pipeline::{Lent, Link};
use super::write::{Place, TreeWriter};
use crate::{FileError, TreeError};

/// How many nodes are handed out at once: long enough that two threads rarely meet in one directory,
/// which only one of them can change at a time.
const RUN_MAX: usize = 64;

/// How many ended directories may wait, open, for what goes into them.
const ENDED_MAX: usize = 64;

/// Takes pieces from the ring and writes the tree that they hold.
pub(super) fn write_pieces(tree: &mut TreeWriter, link: &Link) -> Result<(), TreeError> {
    let crew = Crew { nodes: &tree.nodes, shared: Mutex::default(), news: Condvar::new() };
    thread::scope(|scope| {
        let _closing = Closing(&crew);
        // Without a helper, all is done here.
        let _ = thread::Builder::new().spawn_scoped(scope, || crew.help());
        let mut lead = Lead { crew: &crew, place: &mut tree.place, large: None, ended: Vec::new() };
        while let Some(piece) = link.take() {
            lead.take(&Arc::new(link.lend(piece)))?;
        }
        Ok(lead.end_directories()?)
    })
}

/// What two threads share.
#[derive(Debug)]
struct Crew<'a> {
    nodes: &'a Nodes,
    shared: Mutex<Shared>,
    /// Something was handed out, or done, or there will be nothing more.
    news: Condvar,
}

#[derive(Debug, Default)]
struct Shared {
    jobs: VecDeque<Job>,
    /// How many of the jobs are being worked on.
    running: usize,
    is_closed: bool,
    failure: Option<FileError>,
}

/// Something that can be done beside anything else that is handed out.
#[derive(Debug)]
enum Job {
    /// To create the files and symlinks of these steps of the piece, each of which is whole.
    Run { piece: Arc<Lent>, steps: Range<usize>, dir: Arc<OwnedFd>, path: PathBuf },
    /// To write these bytes of the piece to the file.
    Part { piece: Arc<Lent>, bytes: Range<usize>, file: Arc<NewFile>, offset: u64 },
}

impl Crew<'_> {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("nobody panics while holding it")
    }

    fn hand_out(&self, job: Job) {
        self.shared().jobs.push_back(job);
        self.news.notify_all();
    }

    /// Works on what is handed out until there will be nothing more.
    fn help(&self) {
        let mut shared = self.shared();
        loop {
            if let Some(job) = shared.jobs.pop_front() {
                shared = self.work(job, shared);
            } else if shared.is_closed {
                return;
            } else {
                shared = self.news.wait(shared).expect("nobody panics while holding it");
            }
        }
    }

    /// Works on what is handed out and not begun.
    fn work_off(&self) -> Result<(), FileError> {
        let mut shared = self.shared();
        while let Some(job) = shared.jobs.pop_front() {
            shared = self.work(job, shared);
        }
        shared.failure.take().map_or(Ok(()), Err)
    }

    /// Works on all that is handed out, and waits for the helper.
    fn work_off_all(&self) -> Result<(), FileError> {
        self.work_off()?;
        let mut shared = self.shared();
        while shared.running > 0 {
            shared = self.news.wait(shared).expect("nobody panics while holding it");
        }
        shared.failure.take().map_or(Ok(()), Err)
    }

    fn work<'s>(&'s self, job: Job, mut shared: MutexGuard<'s, Shared>) -> MutexGuard<'s, Shared> {
        shared.running += 1;
        drop(shared);
        let running = Running(self);
        let done = job.run(self.nodes);
        let mut shared = self.shared();
        if let Err(error) = done {
            shared.jobs.clear();
            shared.failure.get_or_insert(error);
        }
        drop(shared);
        drop(running);
        self.shared()
    }
}

/// Says that a job is done, whatever ended it.
struct Running<'a>(&'a Crew<'a>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.shared().running -= 1;
        self.0.news.notify_all();
    }
}

/// Lets the helper end, whatever ends the lead.
struct Closing<'a>(&'a Crew<'a>);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.shared().is_closed = true;
        self.0.news.notify_all();
    }
}

impl Job {
    fn run(self, nodes: &Nodes) -> Result<(), FileError> {
        match self {
            Self::Run { piece, steps, dir, path } => {
                create(nodes, &piece, &piece.steps[steps], Folder { fd: &dir, path: &path })
            }
            Self::Part { piece, bytes, file, offset } => {
                nodes.contents(&file, &piece.bytes.as_slice()[bytes], offset)?;
                end_if_last(nodes, file)
            }
        }
    }
}

/// Creates nodes that are whole.
fn create(
    nodes: &Nodes,
    piece: &Piece,
    steps: &[PieceStep],
    folder: Folder<'_>,
) -> Result<(), FileError> {
    let mut open: Option<(NewFile, u64)> = None;
    for step in steps {
        match step {
            PieceStep::File { name, executable, size } => {
                let name = piece.name(name.as_ref());
                open = Some((nodes.file(folder, name, *executable, *size)?, 0));
            }
            PieceStep::Contents(range) => {
                let (file, len) = open.as_mut().expect("a file was begun");
                nodes.contents(file, &piece.bytes.as_slice()[range.clone()], *len)?;
                *len += range.len() as u64;
            }
            PieceStep::EndFile => {
                nodes.end_file(open.take().expect("a file was begun").0)?;
            }
            PieceStep::Symlink { name, target } => {
                nodes.symlink(folder, piece.name(name.as_ref()), piece.text(target))?;
            }
            PieceStep::Directory { .. } | PieceStep::EndDirectory => {
                unreachable!("a run is of one directory")
            }
        }
    }
    Ok(())
}

/// Completes a file when nobody else writes to it any more.
fn end_if_last(nodes: &Nodes, file: Arc<NewFile>) -> Result<(), FileError> {
    Arc::into_inner(file).map_or(Ok(()), |file| nodes.end_file(file))
}

/// The thread that takes the pieces.
struct Lead<'a> {
    crew: &'a Crew<'a>,
    place: &'a mut Place,
    /// The file that goes on in the next piece, and how much of it was handed out.
    large: Option<(Arc<NewFile>, u64)>,
    ended: Vec<EndedDir>,
}

impl Lead<'_> {
    fn take(&mut self, piece: &Arc<Lent>) -> Result<(), FileError> {
        let steps = &piece.steps;
        let mut at = 0;
        while let Some(step) = steps.get(at) {
            let run = run_at(steps, at);
            if !run.is_empty() {
                at = run.end;
                let (dir, path) = self.place.shared_folder();
                self.crew.hand_out(Job::Run { piece: piece.clone(), steps: run, dir, path });
                continue;
            }
            at += 1;
            match step {
                PieceStep::File { name, executable, size } => {
                    let (name, folder) = (piece.name(name.as_ref()), self.place.folder());
                    let file = self.crew.nodes.file(folder, name, *executable, *size)?;
                    self.large = Some((Arc::new(file), 0));
                }
                PieceStep::Contents(bytes) => {
                    let (file, len) = self.large.as_mut().expect("a file was begun");
                    let (file, offset, bytes) = (file.clone(), *len, bytes.clone());
                    *len += bytes.len() as u64;
                    self.crew.hand_out(Job::Part { piece: piece.clone(), bytes, file, offset });
                }
                PieceStep::EndFile => {
                    let (file, _) = self.large.take().expect("a file was begun");
                    end_if_last(self.crew.nodes, file)?;
                }
                PieceStep::Directory { name } => {
                    self.place.enter(self.crew.nodes, piece.name(name.as_ref()))?;
                }
                PieceStep::EndDirectory => {
                    self.ended.push(self.place.leave()?);
                    if self.ended.len() == ENDED_MAX {
                        self.end_directories()?;
                    }
                }
                PieceStep::Symlink { .. } => unreachable!("a symlink is whole"),
            }
        }
        self.crew.work_off()
    }

    /// Completes the directories that ended, when all is done that goes into them.
    fn end_directories(&mut self) -> Result<(), FileError> {
        self.crew.work_off_all()?;
        self.ended.drain(..).try_for_each(|ended| self.crew.nodes.end_directory(ended))
    }
}

/// The nodes from `start` on that are whole, and go into the same directory.
fn run_at(steps: &[PieceStep], start: usize) -> Range<usize> {
    let mut end = start;
    for _ in 0..RUN_MAX {
        match steps.get(end) {
            Some(PieceStep::Symlink { .. }) => end += 1,
            Some(PieceStep::File { .. }) => {
                let is_inside = |step: &&PieceStep| matches!(step, PieceStep::Contents(_));
                let behind = end + 1 + steps[end + 1..].iter().take_while(is_inside).count();
                if steps.get(behind) != Some(&PieceStep::EndFile) {
                    break;
                }
                end = behind + 1;
            }
            _ => break,
        }
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: PieceStep = PieceStep::File { name: None, executable: false, size: 1 };
    const CONTENTS: PieceStep = PieceStep::Contents(0..1);
    const LINK: PieceStep = PieceStep::Symlink { name: None, target: 0..1 };

    #[test]
    fn a_run_is_of_whole_nodes_in_one_directory() {
        let steps = [
            FILE,
            CONTENTS,
            PieceStep::EndFile,
            LINK,
            FILE,
            PieceStep::EndFile,
            PieceStep::EndDirectory,
            LINK,
            // It goes on in the next piece.
            FILE,
            CONTENTS,
        ];
        assert_eq!(run_at(&steps, 0), 0..6);
        assert_eq!(run_at(&steps, 6), 6..6);
        assert_eq!(run_at(&steps, 7), 7..8);
        assert_eq!(run_at(&steps, 8), 8..8);
        // The end of one that began in the piece before.
        assert_eq!(run_at(&[CONTENTS, PieceStep::EndFile], 0), 0..0);
        assert_eq!(run_at(&vec![LINK; RUN_MAX + 1], 0), 0..RUN_MAX);
    }
}
