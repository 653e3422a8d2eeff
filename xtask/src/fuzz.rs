//! `cargo xtask fuzz`: every format against bytes that nobody wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::run::{command, find, quiet};
use crate::{Result, root};

#[expect(unreachable_pub, reason = "the fuzz targets and the tests of hoist-nix use it, too")]
#[path = "../../fuzz/src/seeds.rs"]
mod seeds;

/// The targets, and the longest input of each in bytes: what a seed of average size has, and room.
const TARGETS: [(&str, u32); 11] = [
    ("nar", 8192),
    ("narinfo", 4096),
    ("aterm", 4096),
    ("export", 8192),
    ("wire", 4096),
    ("text", 1024),
    ("restore", 4096),
    ("dwarf", 8192),
    ("header", 1024),
    ("dependencies", 64),
    ("rewrite", 16384),
];

/// Targets whose inputs hold archives.
const OF_ARCHIVES: [&str; 3] = ["nar", "export", "restore"];

/// What no input may make a target do: hold more memory, ask for more at once, take longer.
const LIMITS: [&str; 3] = ["-rss_limit_mb=256", "-malloc_limit_mb=32", "-timeout=10"];

/// Keeps the sanitizer's own memory out of the limit.
const SANITIZER: &str = "detect_leaks=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=64";

/// Feed the parsers with bytes that nobody wrote
///
/// Takes a nightly toolchain and cargo-fuzz. What was found interesting is kept in
/// `target/xtask/fuzz/corpus` and is where the next run begins; a finding is kept in
/// `target/xtask/fuzz/findings`.
#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// What to fuzz [default: all, one after the other]
    #[arg(value_parser = TARGETS.map(|(name, _)| name))]
    target: Option<String>,
    /// How long each takes
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

pub(crate) fn run(args: &FuzzArgs) -> Result<ExitCode> {
    let home = root().join("target/xtask/fuzz");
    let chosen = |name: &str| args.target.as_deref().is_none_or(|target| target == name);
    build()?;
    let mut findings = 0;
    for (name, max_len) in TARGETS.into_iter().filter(|(name, _)| chosen(name)) {
        println!("{name}: {} s", args.seconds);
        let output = Work::prepare(&home, name)?.command(max_len, args.seconds).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        println!("{name}: {}", summary(&said));
        if !output.status.success() {
            println!("{name}: FINDING\n{}", report(&said));
            findings += 1;
        }
    }
    if findings > 0 {
        println!("see {}", home.join("findings").display());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// How often the target ran, and what it reached, out of libFuzzer's last words.
fn summary(said: &str) -> String {
    let runs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units: "));
    let reached = said.lines().rev().find_map(|line| Some(line.split_once("cov: ")?.1));
    let places = reached.and_then(|rest| rest.split(' ').next());
    let or_none = |found: Option<&str>| found.map_or("?", str::trim).to_owned();
    format!("{} executions, {} places of the code", or_none(runs), or_none(places))
}

/// From the panic, or what else ended it, on.
fn report(said: &str) -> &str {
    let starts = ["panicked at", "ERROR: libFuzzer", "ERROR: AddressSanitizer"];
    let start = starts.iter().filter_map(|start| said.find(start)).min().unwrap_or(0);
    &said[start..]
}

/// Where a target's programs and files are.
struct Work {
    program: PathBuf,
    dictionary: Option<PathBuf>,
    seeds: PathBuf,
    corpus: PathBuf,
    findings: PathBuf,
}

impl Work {
    /// Makes the folders and writes the seeds.
    fn prepare(home: &Path, name: &str) -> Result<Self> {
        let seeds = home.join("seeds").join(name);
        let corpus = home.join("corpus").join(name);
        let findings = home.join("findings").join(name);
        for folder in [&seeds, &corpus, &findings] {
            fs::create_dir_all(folder)?;
        }
        let fixtures = root().join("crates/hoist-nix/tests/fixtures");
        for (index, seed) in seeds::seeds(&fixtures, name)?.into_iter().enumerate() {
            fs::write(seeds.join(format!("{index:05}")), seed)?;
        }
        let dictionary =
            OF_ARCHIVES.contains(&name).then(|| root().join("fuzz/dictionaries/nar.dict"));
        let program = built().join(name);
        Ok(Self { program, dictionary, seeds, corpus, findings })
    }

    fn command(&self, max_len: u32, seconds: u32) -> Command {
        let mut fuzz = command(&self.program, &LIMITS);
        fuzz.arg(format!("-max_len={max_len}"))
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", self.findings.display()))
            .arg("-print_final_stats=1")
            .env("ASAN_OPTIONS", SANITIZER);
        if let Some(dictionary) = &self.dictionary {
            fuzz.arg(format!("-dict={}", dictionary.display()));
        }
        // The first folder is where new inputs are kept.
        fuzz.arg(&self.corpus).arg(&self.seeds);
        fuzz
    }
}

/// Where cargo-fuzz leaves the programs.
fn built() -> PathBuf {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    root().join("fuzz/target").join(triple).join("release")
}

fn build() -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if find("cargo-fuzz", &path).is_none() {
        return Err("no cargo-fuzz on PATH: `cargo install --locked cargo-fuzz`, and \
                    `rustup toolchain install nightly --profile minimal`"
            .into());
    }
    println!("building the fuzz targets (takes minutes the first time)");
    quiet(&mut command("rustup", &["run", "nightly", "cargo", "fuzz", "build"]))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_tell_executions_and_coverage() {
        let said = "#12\tNEW    cov: 700 ft: 1\n#9038\tDONE   cov: 893 ft: 3040 corp: 1/1b\n\
                    stat::number_of_executed_units: 9038\n";
        assert_eq!(summary(said), "9038 executions, 893 places of the code");
        assert_eq!(summary(""), "? executions, ? places of the code");
        assert_eq!(report("INFO\nthread panicked at x\nthere"), "panicked at x\nthere");
    }

    #[test]
    fn every_target_is_in_the_manifest_and_has_seeds() {
        let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
        let fixtures = root().join("crates/hoist-nix/tests/fixtures");
        for (name, max_len) in TARGETS {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
            let seeds = seeds::seeds(&fixtures, name).unwrap();
            let short = seeds.iter().filter(|seed| seed.len() <= max_len as usize).count();
            assert!(short > 10, "{name}: {short} of {} seeds are short enough", seeds.len());
        }
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
    }
}
