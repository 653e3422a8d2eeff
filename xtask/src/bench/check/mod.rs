//! `cargo xtask bench check`: how many cases of the suite beside the project the check gets right,
//! and what it costs beside tools that do part of it.
//!
//! Costs are CPU seconds of whole processes: wall times of a busy machine say nothing, and no tool
//! here waits for anything. Ways of one row run in turn, each round in another order.

mod inputs;
mod suite;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use super::measure::measure_ended;
use super::{BenchArgs, Subject};
use crate::{Result, root};
use inputs::Wheel;
use table::{Row, Section, table};

/// Rounds of what takes seconds.
const LARGE_ROUNDS: u32 = 3;

/// Least share of what a peer takes by which hoist is to be faster.
const WHEELS_SHARE: f64 = 1.0 / 20.0;
const ABI_SHARE: f64 = 1.0 / 5.0;

pub(super) fn run(subject: &Subject, args: &BenchArgs) -> Result<ExitCode> {
    let home = root().join(format!("target/xtask/bench/check-{}", std::process::id()));
    fs::create_dir_all(&home)?;
    let bench = Bench { subject, home: &home, rounds: args.rounds };
    let score = suite::score(subject, &home)?;
    let measured = bench.all(&args.wheels());
    let removed = fs::remove_dir_all(&home);
    let (sections, missing) = measured?;
    removed?;
    if args.json {
        println!("{}", score.record());
        for record in sections.iter().flat_map(Section::records) {
            println!("{record}");
        }
    } else {
        println!("{score}\n\n{}", table(&sections));
    }
    for what in &missing {
        eprintln!("NOT MEASURED: {what}");
    }
    let is_good = score.is_full() && missing.is_empty();
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What all sections share.
struct Bench<'a> {
    subject: &'a Subject,
    home: &'a Path,
    rounds: u32,
}

/// One way to do something: its name, its command, and the exit codes that are answers.
struct Way {
    name: String,
    command: Command,
    answers: &'static [i32],
}

impl Bench<'_> {
    /// Every section whose inputs are there, and what could not be measured.
    fn all(&self, wheels: &Path) -> Result<(Vec<Section>, Vec<String>)> {
        let mut sections = Vec::new();
        let mut missing = Vec::new();
        let small = inputs::small_library(self.home)?;
        let one = vec![self.hoist("hoist check", &[&small])];
        sections
            .push(self.compare("one library of 15 KB", self.rounds.max(20), one)?.at_most(0.005));

        for wheel in Wheel::ALL {
            match wheel.unpacked(wheels, &self.home.join(wheel.name)) {
                Ok((file, folder)) => {
                    if let Some(library) = wheel.largest(&folder)? {
                        sections.extend(self.largest(&library, &mut missing)?);
                    }
                    sections.extend(self.wheel(wheel, &file, &folder, &mut missing)?);
                }
                Err(error) => missing.push(format!("the wheel of {}: {error}", wheel.name)),
            }
        }
        match inputs::llvm() {
            Some(library) => {
                let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let ways = vec![self.hoist("hoist check --isa", &[&library]).isa()];
                let section = self.compare(&name, self.rounds.min(LARGE_ROUNDS), ways)?;
                sections.push(section.at_most(10.0).memory_at_most(1_000_000_000));
            }
            None => missing.push("libLLVM (Debian package libllvm14)".to_owned()),
        }
        sections.extend(self.abi(&mut missing)?);
        Ok((sections, missing))
    }

    /// The static rules on a large library, without and with the disassembly.
    fn largest(&self, library: &Path, missing: &mut Vec<String>) -> Result<Vec<Section>> {
        let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let static_rules = vec![self.hoist("hoist check", &[library])];
        let mut disassembled = vec![self.hoist("hoist check --isa", &[library]).isa()];
        match program("objdump") {
            Some(objdump) => {
                let mut command = Command::new(objdump);
                command.arg("-d").arg(library);
                disassembled.push(Way { name: "objdump -d".to_owned(), command, answers: &[0] });
            }
            None => missing.push("objdump (Debian package binutils)".to_owned()),
        }
        Ok(vec![
            self.compare(&name, self.rounds, static_rules)?.at_most(0.1),
            self.compare(&format!("{name}, instructions"), self.rounds, disassembled)?.at_most(0.3),
        ])
    }

    /// All libraries of a wheel, beside `auditwheel show`.
    fn wheel(
        &self,
        wheel: Wheel,
        file: &Path,
        folder: &Path,
        missing: &mut Vec<String>,
    ) -> Result<Option<Section>> {
        let Some(auditwheel) = program("auditwheel") else {
            missing.push(format!("auditwheel on {} (a wheel of the same name)", wheel.name));
            return Ok(None);
        };
        let mut command = Command::new(auditwheel);
        command.arg("show").arg(file);
        let peer = "auditwheel show";
        let ways = vec![
            self.hoist("hoist check", &[folder]),
            Way { name: peer.to_owned(), command, answers: &[0] },
        ];
        let what = format!("all libraries of the wheel of {}", wheel.name);
        let section = self.compare(&what, self.rounds.min(LARGE_ROUNDS), ways)?;
        Ok(Some(section.share(peer, WHEELS_SHARE)))
    }

    /// Two builds of a library with debug information, which are one and the same.
    fn abi(&self, missing: &mut Vec<String>) -> Result<Option<Section>> {
        let (Some(library), Some(abidiff)) = (inputs::libstdcxx(), program("abidiff")) else {
            missing.push("ABI (Debian packages libstdc++6-12-dbg and abigail-tools)".to_owned());
            return Ok(None);
        };
        let help = Command::new(&self.subject.program).args(["check", "--help"]).output()?;
        if !String::from_utf8_lossy(&help.stdout).contains("--against") {
            missing.push("ABI: this hoist has no `hoist check --against`".to_owned());
            return Ok(None);
        }
        let mut ours = self.hoist("hoist check --against", &[&library]);
        ours.command.arg("--against").arg(&library);
        let mut command = Command::new(abidiff);
        command.arg(&library).arg(&library);
        let ways = vec![ours, Way { name: "abidiff".to_owned(), command, answers: &[0] }];
        let section =
            self.compare("libstdc++ with DWARF, two builds", self.rounds.min(LARGE_ROUNDS), ways)?;
        Ok(Some(section.share("abidiff", ABI_SHARE)))
    }

    fn hoist(&self, name: &str, paths: &[&Path]) -> Way {
        let mut command = self.subject.hoist(self.home);
        command.args(["check", "--quiet"]).args(paths);
        // 1 is an answer as well: the library has faults.
        Way { name: name.to_owned(), command, answers: &[0, 1] }
    }

    /// Runs all ways in turn, each round in another order.
    fn compare(&self, what: &str, rounds: u32, mut ways: Vec<Way>) -> Result<Section> {
        eprintln!("measuring: {what}, {rounds} rounds");
        for way in &mut ways {
            measure_ended(&mut way.command, self.home, way.answers)?; // files come into memory
        }
        let mut rows: Vec<Row> = ways.iter().map(|way| Row::new(&way.name)).collect();
        for round in 0..rounds as usize {
            for turn in 0..ways.len() {
                let index = (turn + round) % ways.len();
                let way = &mut ways[index];
                rows[index].costs.push(measure_ended(&mut way.command, self.home, way.answers)?);
            }
        }
        Ok(Section::new(what, rows))
    }
}

impl Way {
    fn isa(mut self) -> Self {
        self.command.args(["--isa", "x86-64-v2"]);
        self
    }
}

/// A program on `PATH`, or among those that `cargo xtask test` installs.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([root().join("target/xtask/venv/bin")]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}
