//! `cargo xtask bench pack`: adding, hashing, verifying and switching, beside Nix and `cp`.
//!
//! Every comparison runs its ways in turn, each round in another order, and ratios are of the same
//! round. Whatever is written goes into folders that are new, because ext4 creates files more
//! slowly where as many were deleted; so all is removed at the very end. Before each measurement
//! the file system is synced, so that nobody pays for what another wrote.

mod inputs;
mod sections;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::measure::{Cost, measure};
use super::{BenchArgs, Subject, has_nix, nix};
use crate::run::quiet;
use crate::{Result, root};
use table::{Row, Section, table};

/// Rounds of what takes seconds.
const LARGE_ROUNDS: u32 = 3;

/// What a store of many paths takes, with room to spare.
const MANY_BYTES: u64 = 600_000_000;

pub(super) fn run(subject: &Subject, args: &BenchArgs) -> Result<ExitCode> {
    let home = Home::create()?;
    let bench = Bench { subject, home: &home.0, rounds: args.rounds, has_nix: has_nix() };
    if !bench.has_nix {
        eprintln!("NOT MEASURED: no Nix on PATH (Debian package nix-bin), hoist is compared to cp");
    }
    let inputs = Inputs::make(&home.0, args.tree.as_deref())?;
    let rounds = u64::from(args.rounds.min(LARGE_ROUNDS));
    let wanted =
        (inputs.large_bytes + inputs::disk_bytes(&inputs.small)?) * (5 * rounds + 4) + MANY_BYTES;
    let free = inputs::free_bytes(&home.0)?;
    if free < wanted {
        let (wanted, free) = (wanted / 1_000_000, free / 1_000_000);
        let home = home.0.display();
        return Err(format!("{home}: {free} MB are free, and the bench writes {wanted} MB").into());
    }
    let sections = bench.all(&inputs)?;
    if args.json {
        for record in sections.iter().flat_map(Section::records) {
            println!("{record}");
        }
    } else {
        println!("{}", table(&sections));
    }
    let is_whole = bench.has_nix && inputs.large.is_some();
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The folder of one run, removed with all in it when this is dropped.
struct Home(PathBuf);

impl Home {
    fn create() -> Result<Self> {
        let folder = root().join("target/xtask/bench");
        let home = folder.join(format!("pack-{}", std::process::id()));
        fs::create_dir_all(&home)?;
        for entry in fs::read_dir(&folder)? {
            let other = entry?.path();
            let is_left = other != home
                && other
                    .file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with("pack-"));
            if is_left {
                eprintln!("{} is of a run that was interrupted; remove it", other.display());
            }
        }
        Ok(Self(home))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        eprintln!("removing {}", self.0.display());
        let remove = || Command::new("rm").args(["-r", "-f"]).arg(&self.0).status();
        if !remove().is_ok_and(|ended| ended.success()) {
            // Nobody but root removes from the folders of a store. What stays is told of next time.
            let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&self.0).status();
            let _ = remove();
        }
    }
}

/// What is packed.
struct Inputs {
    small: PathBuf,
    /// None where it could not be had.
    large: Option<PathBuf>,
    /// What it takes on disk.
    large_bytes: u64,
}

impl Inputs {
    fn make(home: &Path, tree: Option<&Path>) -> Result<Self> {
        let small = home.join("input/small-files");
        inputs::small_files(&small)?;
        let large = match tree {
            Some(tree) => Some(tree.canonicalize()?),
            None => toolchain(home),
        };
        for tree in [Some(&small), large.as_ref()].into_iter().flatten() {
            inputs::warm(tree)?;
        }
        let large_bytes = large.as_deref().map_or(Ok(0), inputs::disk_bytes)?;
        Ok(Self { small, large, large_bytes })
    }
}

/// The toolchain, unpacked below `home`; none, said aloud, where it is not to be had.
fn toolchain(home: &Path) -> Option<PathBuf> {
    let folder = home.join("input/toolchain");
    match inputs::toolchain(&root().join("target/xtask/wheels"), &folder) {
        Ok(()) => Some(folder),
        Err(error) => {
            eprintln!("NOT MEASURED: the large tree: {error}");
            None
        }
    }
}

/// What all sections share.
struct Bench<'a> {
    subject: &'a Subject,
    home: &'a Path,
    /// Of what takes milliseconds.
    rounds: u32,
    has_nix: bool,
}

/// One way to do something.
struct Way<'a> {
    name: String,
    work: Work<'a>,
    /// What this way leaves in memory only is synced in a second row.
    then_sync: bool,
}

enum Work<'a> {
    /// Prepares a round and returns the command to measure.
    Process(Box<dyn FnMut(u32) -> Result<Command> + 'a>),
    /// Done by this process, which measures itself.
    Here(Box<dyn Fn() -> Cost + 'a>),
}

impl<'a> Way<'a> {
    fn new(name: &str, command: impl FnMut(u32) -> Result<Command> + 'a) -> Self {
        let work = Work::Process(Box::new(command));
        Self { name: name.to_owned(), work, then_sync: false }
    }

    fn here(name: &str, work: impl Fn() -> Cost + 'a) -> Self {
        Self { name: name.to_owned(), work: Work::Here(Box::new(work)), then_sync: false }
    }

    fn then_sync(mut self) -> Self {
        self.then_sync = true;
        self
    }
}

/// The name of the row of a way and the sync behind it.
fn synced(way: &str) -> String {
    format!("{way}, `sync -f`")
}

impl Bench<'_> {
    /// Runs all ways, interleaved, and returns a row for each.
    fn compare(&self, what: &str, rounds: u32, mut ways: Vec<Way<'_>>) -> Result<Section> {
        eprintln!("measuring: {what}, {rounds} rounds");
        let mut rows: Vec<(Row, Option<Row>)> = ways
            .iter()
            .map(|way| (Row::new(&way.name), way.then_sync.then(|| Row::new(&synced(&way.name)))))
            .collect();
        for round in 0..rounds {
            for turn in 0..ways.len() {
                let index = (turn + round as usize) % ways.len();
                let cost = match &mut ways[index].work {
                    Work::Here(work) => work(),
                    Work::Process(prepare) => {
                        let mut command = prepare(round)?;
                        self.sync().status()?;
                        measure(&mut command, self.home)?
                    }
                };
                rows[index].0.costs.push(cost);
                if let Some(row) = &mut rows[index].1 {
                    row.costs.push(cost + measure(&mut self.sync(), self.home)?);
                }
            }
        }
        let rows = rows.into_iter().flat_map(|(row, synced)| [Some(row), synced]).flatten();
        Ok(Section::new(what, rows.collect()))
    }

    fn sync(&self) -> Command {
        let mut sync = Command::new("sync");
        sync.arg("-f").arg(self.home);
        sync
    }

    /// A fresh store of hoist's own, its database there already.
    fn hoist_store(&self, name: &str) -> Result<PathBuf> {
        let store = self.home.join("stores").join(name);
        quiet(&mut self.pack(&store, &self.seedling()?))?;
        Ok(store)
    }

    /// A fresh store of Nix's, its database there already.
    fn nix_store(&self, name: &str) -> Result<PathBuf> {
        let store = self.home.join("stores").join(name);
        quiet(in_nix(&store, "nix-store").arg("--add").arg(self.seedling()?))?;
        Ok(store)
    }

    /// A file of a few bytes.
    fn seedling(&self) -> Result<PathBuf> {
        let file = self.home.join("seedling");
        fs::write(&file, "a store is not made by what is measured\n")?;
        Ok(file)
    }

    fn pack(&self, store: &Path, tree: &Path) -> Command {
        let mut pack = self.subject.hoist(store);
        pack.arg("pack").arg(tree).args(["--name", "packed"]);
        pack
    }
}

/// A program of Nix on the store below `store`.
fn in_nix(store: &Path, program: &str) -> Command {
    let mut command = nix(program);
    command.arg("--store").arg(format!("local?root={}", store.display()));
    command
}
