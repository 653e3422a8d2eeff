//! `hoist ship`, killed at any moment: the next one works, the store verifies, the profile points
//! at a whole generation.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use hoist_testkit::{Hoist, Run, tool};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

/// Kills at moments spread evenly over a whole ship.
const KILLS: u32 = 200;

/// Kills on top of them, spread evenly over what comes after the build, which is short.
const LATE_KILLS: u32 = 40;

const SEED: u64 = 0x0068_6f69_7374; // "hoist"

/// One in this many kills hits hoist's whole process group, as a closed terminal does.
const GROUP_SHARE: u32 = 4;

/// Where a ship was when it was killed: in the stage after the last that it had recorded.
const STAGES: [&str; 8] = ["build", "check", "pack", "store", "bench", "switch", "ship", "end"];

#[test]
fn a_killed_ship_leaves_the_old_generation_or_the_new_one() {
    let world = World::new();
    let mut random = Random(SEED);
    let mut whole = Timing::of(&world);
    let mut hits: BTreeMap<usize, u32> = BTreeMap::new();
    let start = Instant::now();
    for kill in 0..KILLS + LATE_KILLS {
        world.hoist.adder_edition(1000 + kill);
        let mut ship = world.start();
        let moment = if kill < KILLS {
            whole.total.mul_f64(random.share())
        } else {
            world.wait_for_build(&mut ship);
            whole.after_build.mul_f64(random.share())
        };
        sleep(moment);
        let reached = world.kill(ship, kill % GROUP_SHARE == 0);
        *hits.entry(reached).or_default() += 1;

        world.assert_whole();
        let next = world.hoist.run(["ship", "--json"]).ended(0);
        whole.learn(&next.records());
        world.assert_current(next.records().last().unwrap());
    }
    let told: Vec<_> =
        hits.iter().map(|(&reached, times)| format!("{} {times}", STAGES[reached])).collect();
    println!(
        "seed {SEED:#x}: {} kills in {:.1?}: {}",
        KILLS + LATE_KILLS,
        start.elapsed(),
        told.join(", ")
    );
    assert!(hits.len() >= 5, "too few stages were hit");
    world.assert_nothing_is_left();
}

/// A home with a project whose every ship builds, checks, stores, measures and switches.
struct World {
    hoist: Hoist,
}

impl World {
    fn new() -> Self {
        let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
        hoist.adder();
        hoist.adder_bench("echo '{\"speedup\": 20}'\n");
        Self { hoist }
    }

    /// Starts a ship in a process group of its own, which records its stages in a file.
    fn start(&self) -> Child {
        let records = File::create(self.hoist.dir().join("records")).unwrap();
        let mut command = self.hoist.command(["ship", "--json"]);
        command.stdin(Stdio::null()).stdout(records).stderr(Stdio::null());
        command.process_group(0).spawn().unwrap()
    }

    /// What the ship recorded so far.
    fn records(&self) -> String {
        fs::read_to_string(self.hoist.dir().join("records")).unwrap()
    }

    fn wait_for_build(&self, ship: &mut Child) {
        while !self.records().contains("\"stage\":\"build\"") && ship.try_wait().unwrap().is_none()
        {
            sleep(Duration::from_micros(200));
        }
    }

    /// Kills a ship, or its whole group, and returns the place in [`STAGES`] that it had reached.
    fn kill(&self, mut ship: Child, group: bool) -> usize {
        if group {
            let id = Pid::from_child(&ship);
            let _ = kill_process_group(id, Signal::KILL); // fails when all of it has ended
        }
        ship.kill().unwrap();
        ship.wait().unwrap();
        self.records().matches("\"stage\":").count()
    }

    /// Asserts that all that is registered is whole, and that so is what the profile points to.
    #[track_caller]
    fn assert_whole(&self) {
        let verified = self.hoist.run(["store", "verify", "--json"]);
        assert!(
            verified.code <= 1 || verified.stderr.contains("holds no store"),
            "{}",
            verified.stderr
        );
        let unregistered = |record: &Value| {
            let problem = record["problem"].as_str()?;
            assert!(problem.ends_with("is there, but not registered"), "{problem}");
            record["path"].as_str().map(str::to_owned)
        };
        let unregistered: Vec<_> = verified.records().iter().filter_map(unregistered).collect();

        let profiles = self.hoist.root().join("nix/var/nix/profiles");
        let Ok(link) = fs::read_link(profiles.join("adder")) else { return };
        let path = fs::read_link(profiles.join(link)).expect("the generation has its link");
        let name = path.strip_prefix("/nix/store").unwrap().to_str().unwrap();
        assert!(!unregistered.iter().any(|found| found == name), "{name} is not registered");
        let physical = self.hoist.root().join("nix/store").join(name);
        assert!(physical.join("lib/libadder.so").is_file(), "{name} is not there");
    }

    /// Asserts that a ship switched to what it says.
    #[track_caller]
    fn assert_current(&self, ship: &Value) {
        assert_eq!(ship["stage"], "ship", "{ship}");
        let profiles = self.hoist.root().join("nix/var/nix/profiles");
        let link = fs::read_link(profiles.join("adder")).unwrap();
        assert_eq!(link, Path::new(&format!("adder-{}-link", ship["generation"])));
        assert_eq!(
            fs::read_link(profiles.join(link)).unwrap().to_str(),
            ship["store_path"].as_str()
        );
    }

    /// Asserts that no process and no work folder is left, and that Nix, too, finds all in order.
    fn assert_nothing_is_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.processes().is_empty() {
            assert!(Instant::now() < deadline, "still running: {:?}", self.processes());
            sleep(Duration::from_millis(20));
        }
        for (folder, expected) in [
            (self.hoist.dir().join("cache/work"), &[][..]),
            (self.hoist.root().join("nix/var/hoist/tmp"), &["lock"]),
        ] {
            let names: Vec<_> =
                fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.file_name()).collect();
            assert_eq!(names, expected, "in {}", folder.display());
        }
        let _ = self.hoist.run(["store", "verify"]).ended(0);
        if let Some(nix_store) = tool("nix-store", "nix-bin") {
            let mut verify = nix_store.command();
            verify.env("HOME", self.hoist.dir().join("home")).arg("--store");
            verify.arg(format!("local?root={}", self.hoist.root().display()));
            let run = Run::of(verify.args(["--verify", "--check-contents"])).ended(0);
            assert!(
                !run.stderr.contains("error") && !run.stderr.contains("modified"),
                "{}",
                run.stderr
            );
        }
    }

    /// The command lines of processes that name this world in their arguments or environment.
    fn processes(&self) -> Vec<String> {
        let ours = self.hoist.dir().to_str().unwrap().as_bytes();
        let names_us = |file: &Path| {
            let bytes = fs::read(file).unwrap_or_default();
            bytes.windows(ours.len()).any(|window| window == ours)
        };
        let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let is_ours = |entry: &std::path::PathBuf| {
            names_us(&entry.join("environ")) || names_us(&entry.join("cmdline"))
        };
        let line = |entry: std::path::PathBuf| {
            String::from_utf8_lossy(&fs::read(entry.join("cmdline")).unwrap_or_default())
                .into_owned()
        };
        entries.filter(is_ours).map(line).collect()
    }
}

/// How long a ship takes that nobody kills: medians of the last few, as the machine has other work.
struct Timing {
    totals: Vec<f64>,
    builds: Vec<f64>,
    total: Duration,
    after_build: Duration,
}

impl Timing {
    const SAMPLES: usize = 9;

    fn of(world: &World) -> Self {
        let zero = Duration::ZERO;
        let mut timing =
            Self { totals: Vec::new(), builds: Vec::new(), total: zero, after_build: zero };
        for edition in 1..=3 {
            world.hoist.adder_edition(edition);
            let run = world.hoist.run(["ship", "--json"]).ended(0);
            timing.learn(&run.records());
        }
        timing
    }

    /// Learns from the records of a ship, if it was a whole one.
    fn learn(&mut self, records: &[Value]) {
        let stage = |name: &str| records.iter().find(|record| record["stage"] == name).unwrap();
        if stage("build")["cached"] == true {
            return;
        }
        self.totals.push(stage("ship")["ms"].as_f64().unwrap());
        self.builds.push(stage("build")["ms"].as_f64().unwrap());
        let median = |all: &[f64]| {
            let mut last = all[all.len().saturating_sub(Self::SAMPLES)..].to_vec();
            last.sort_by(f64::total_cmp);
            Duration::from_secs_f64(last[last.len() / 2] / 1e3)
        };
        self.total = median(&self.totals);
        self.after_build = self.total.saturating_sub(median(&self.builds));
    }
}

/// A generator of pseudo-random numbers (`SplitMix64`).
struct Random(u64);

impl Random {
    /// A number from 0 to 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        f64::from(u32::try_from(mixed >> 32).expect("32 bits are left")) / f64::from(u32::MAX)
    }
}
