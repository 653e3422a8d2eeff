//! `cargo xtask bench ship`: what the main job costs, stage by stage, and what packing costs beside
//! Nix doing the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Subject, has_nix, median, nix};
use crate::{Result, root};

const STAGES: [&str; 7] = ["build", "check", "pack", "store", "bench", "switch", "ship"];

pub(super) fn run(subject: &Subject, rounds: u32) -> Result<ExitCode> {
    let home = root().join("target/xtask/bench/ship");
    let _ = fs::remove_dir_all(&home); // of an earlier run
    fs::create_dir_all(&home)?;
    let mut artifact = None;
    for kernel in ["pattern-search", "message-router"] {
        artifact = Some(main_job(subject, kernel, &home, rounds)?);
    }
    if let Some(artifact) = artifact {
        packing(subject, &artifact, &home, rounds)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One `hoist ship`: the wall time of the process, and its records.
struct Shipped {
    wall: Duration,
    records: Vec<Value>,
}

impl Shipped {
    fn stage(&self, stage: &str, key: &str) -> Option<&Value> {
        self.records.iter().find(|record| record["stage"] == stage)?.get(key)
    }

    fn stage_ms(&self, stage: &str) -> f64 {
        self.stage(stage, "ms").and_then(Value::as_f64).unwrap_or_default()
    }
}

fn ship(subject: &Subject, home: &Path, project: &Path, flags: &[&str]) -> Result<Shipped> {
    let mut command = subject.hoist(home);
    command.args(["ship", "--json"]).args(flags).arg(project);
    let start = Instant::now();
    let output = command.output()?;
    let wall = start.elapsed();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let lines = String::from_utf8(output.stdout)?;
    let records = lines.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?;
    Ok(Shipped { wall, records })
}

/// Ships a copy of a kernel cold, after a change, and unchanged; returns the artifact's folder.
fn main_job(subject: &Subject, kernel: &str, home: &Path, rounds: u32) -> Result<PathBuf> {
    let home = home.join(kernel);
    let project = home.join("project");
    copy_project(&root().join("kernels").join(kernel), &project)?;
    // Whatever is downloaded or hashed once is not the job: the first run is not counted.
    ship(subject, &home, &project, &[])?;

    let cold = repeat(rounds.min(3), |_| ship(subject, &home, &project, &["--cold", "--bench"]))?;
    let source = project.join("src/ffi.rs");
    let text = fs::read_to_string(&source)?;
    let changed = repeat(rounds, |round| {
        let line = format!("pub extern \"C\" fn bench_round() -> u32 {{ {round} }}");
        fs::write(&source, format!("{text}\n/// Round.\n#[unsafe(no_mangle)]\n{line}\n"))?;
        ship(subject, &home, &project, &["--no-bench"])
    })?;
    ship(subject, &home, &project, &[])?;
    let unchanged = repeat(rounds.max(20), |_| ship(subject, &home, &project, &[]))?;

    println!(
        "\n{kernel}, median ms of {} / {} / {} runs",
        cold.len(),
        changed.len(),
        unchanged.len()
    );
    println!(
        "\n| stage | cold | one function changed, no bench | unchanged |\n|---|---:|---:|---:|"
    );
    for stage in STAGES {
        let of = |runs: &[Shipped]| median(runs.iter().map(|run| run.stage_ms(stage)));
        println!("| {stage} | {:.1} | {:.1} | {:.2} |", of(&cold), of(&changed), of(&unchanged));
    }
    let wall = |runs: &[Shipped]| median(runs.iter().map(|run| run.wall.as_secs_f64() * 1e3));
    println!(
        "| whole process | {:.1} | {:.1} | {:.2} |",
        wall(&cold),
        wall(&changed),
        wall(&unchanged)
    );
    let speedups =
        cold.iter().filter_map(|run| run.stage("bench", "measured")?["speedup"].as_f64());
    println!(
        "\nspeed-up over the Python baseline, median of {}: {:.1}x",
        cold.len(),
        median(speedups)
    );
    let path = unchanged.last().and_then(|run| run.stage("store", "path")?.as_str());
    Ok(PathBuf::from(path.ok_or("the last ship told no path")?))
}

/// Packs the same prebuilt library with hoist and with Nix, in turn, fresh content each time.
fn packing(subject: &Subject, artifact: &Path, home: &Path, rounds: u32) -> Result<()> {
    let home = home.join("packing");
    fs::create_dir_all(&home)?;
    let has_nix = has_nix();
    let mut rows: Vec<(&str, Vec<f64>)> =
        ["hoist pack", "nix-store --add", "nix build of a flake", "cp -a"]
            .map(|name| (name, Vec::new()))
            .into();
    let mut unchanged: Vec<(&str, Vec<f64>)> =
        ["hoist pack, there already", "nix-store --add, there already", "nix build, unchanged"]
            .map(|name| (name, Vec::new()))
            .into();
    for round in 0..rounds {
        let tree = home.join(format!("tree-{round}"));
        copy_tree(artifact, &tree)?;
        fs::write(tree.join("round"), format!("{round} {:?}", Instant::now()))?;
        let flake = write_flake(&tree, &home.join(format!("flake-{round}")))?;
        let mut pack = subject.hoist(&home);
        pack.arg("pack").arg(&tree).args(["--name", "packed"]);
        let mut add = nix("nix-store");
        add.arg("--add").arg(&tree);
        let mut build = nix("nix");
        build.args(["build", "--no-link"]).arg(format!("path:{}", flake.display()));
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(&tree).arg(home.join(format!("copy-{round}")));

        rows[0].1.push(timed(&mut pack)?);
        unchanged[0].1.push(timed(&mut pack)?);
        rows[3].1.push(timed(&mut copy)?);
        if has_nix {
            rows[1].1.push(timed(&mut add)?);
            rows[2].1.push(timed(&mut build)?);
            unchanged[1].1.push(timed(&mut add)?);
            unchanged[2].1.push(timed(&mut build)?);
        }
    }
    println!(
        "\nOne prebuilt library, whole process, median wall ms of {rounds} interleaved rounds"
    );
    println!("\n| way | ms | over hoist |\n|---|---:|---:|");
    for table in [rows, unchanged] {
        let ours = median(table[0].1.iter().copied());
        for (name, times) in table {
            if times.is_empty() {
                println!("| {name} | not measured: no Nix on PATH | |");
            } else {
                let time = median(times.into_iter());
                println!("| {name} | {time:.1} | {:.2}x |", time / ours);
            }
        }
    }
    Ok(())
}

/// A flake as one writes it by hand for a prebuilt library: it checks that the file is there and
/// copies it. No nixpkgs.
fn write_flake(tree: &Path, folder: &Path) -> Result<PathBuf> {
    copy_tree(tree, &folder.join("prebuilt"))?;
    let text = r#"{
  outputs = { self }: {
    packages.x86_64-linux.default = derivation {
      name = "packed";
      system = "x86_64-linux";
      builder = "/bin/sh";
      PATH = "/usr/bin:/bin";
      prebuilt = ./prebuilt;
      args = [ "-ec" "cp -r $prebuilt $out; for f in $out/lib/*.so; do test -f $f; done" ];
    };
  };
}
"#;
    fs::write(folder.join("flake.nix"), text)?;
    Ok(folder.to_owned())
}

fn timed(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    let output = command.output()?;
    let wall = start.elapsed();
    if output.status.success() {
        Ok(wall.as_secs_f64() * 1e3)
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

fn repeat<T>(times: u32, mut run: impl FnMut(u32) -> Result<T>) -> Result<Vec<T>> {
    (0..times).map(&mut run).collect()
}

/// Copies a project without what builds leave in it.
fn copy_project(from: &Path, to: &Path) -> Result<()> {
    copy_tree(from, to)?;
    let _ = fs::remove_dir_all(to.join("target")); // there may be none
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    let mut copy = Command::new("cp");
    copy.args(["-r", "--no-preserve=mode"]).arg(from).arg(to);
    timed(&mut copy).map(drop)
}
