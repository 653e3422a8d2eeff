//! What is compared, and the goals.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hoist_nix::Sha256Hasher;

use super::table::{Of, Section};
use super::{Bench, Cost, Inputs, LARGE_ROUNDS, Way, in_nix, inputs, synced};
use crate::Result;
use crate::bench::nix;
use crate::run::quiet;

const PACK: &str = "`hoist pack`";
const ADD: &str = "`nix-store --add`";
const ADD_FIXED: &str = "`nix-store --add-fixed --recursive sha256`";
const ADD_PATH: &str = "`nix store add-path`";
const COPY: &str = "`cp -a`";
const VERIFY: &str = "`nix-store --verify --check-contents`";
const VERIFY_ALL: &str = "`nix store verify --all --no-trust`";
const VERSION: &str = "`nix-store --version`";
const HASHING: &str = "SHA-256 alone, one thread, in memory";

const HASHING_LARGEST: &str = "SHA-256 alone of the largest path, one thread, in memory";

/// How many paths a store has that is not mostly one.
const MANY_PATHS: u32 = 30;

/// The piece that is hashed again and again for [`HASHING`]: it stays in the processor's cache, and
/// small in the memory of this process, which its children begin with.
const HASHED_LEN: usize = 128 * 1024;

/// What the sections leave behind for those after them.
struct Stores {
    hoist: PathBuf,
    /// None without Nix.
    nix: Option<PathBuf>,
}

impl Bench<'_> {
    /// Everything, in an order in which nothing creates files after Nix deleted many.
    pub(super) fn all(&self, inputs: &Inputs) -> Result<Vec<Section>> {
        let stores = Stores {
            hoist: self.hoist_store("hoist")?,
            nix: self.has_nix.then(|| self.nix_store("nix")).transpose()?,
        };
        let large_rounds = self.rounds.min(LARGE_ROUNDS);
        let small = inputs.small.as_path();
        let large_name = format!("add a large tree, {} MB", inputs.large_bytes / 1_000_000);
        let mut sections = vec![
            self.add_library(&stores)?,
            self.add_tree("add 10,000 files, 40 MB", "small", small, large_rounds)?
                .goal(ADD_PATH, Of::Wall, 0.5)
                .goal(COPY, Of::Wall, 1.2),
        ];
        if let Some(large) = &inputs.large {
            sections.push(
                self.add_tree(&large_name, "large", large, large_rounds)?
                    .goal(ADD, Of::Wall, 0.4)
                    .goal(ADD_PATH, Of::Wall, 0.2),
            );
        }
        sections.push(self.hash("hash 10,000 files", small)?);
        if let Some(large) = &inputs.large {
            let rate = 1.0 / 0.85;
            sections.push(self.hash("hash the large tree", large)?.goal(HASHING, Of::Wall, rate));
        }
        for (what, args) in [("do nothing", &["--version"][..]), ("list", &["store", "ls"])] {
            sections.push(self.nothing(what, args, &stores)?);
        }
        sections.extend(self.generations(&stores)?);
        let trees: Vec<&Path> =
            [Some(small), inputs.large.as_deref()].into_iter().flatten().collect();
        for tree in &trees {
            quiet(&mut self.pack(&stores.hoist, tree))?;
            if let Some(store) = &stores.nix {
                quiet(in_nix(store, "nix-store").arg("--add").arg(tree))?;
            }
        }
        let of_one = "verify a store, most of it one path";
        let mut one = self.verify(of_one, &stores.hoist, inputs.large.as_deref())?;
        if inputs.large.is_some() {
            one = one.goal(VERIFY, Of::Wall, 0.5);
        }
        sections.push(one);
        let many = self.store_of_many()?;
        let of_many = format!("verify a store of {MANY_PATHS} paths of 1 to 60 MB");
        sections.push(self.verify(&of_many, &many, None)?.goal(VERIFY, Of::Wall, 0.5));
        sections.push(self.add_again(
            "add a library again",
            &self.library(0)?,
            &stores,
            self.rounds,
        )?);
        for (what, tree) in [("add 10,000 files again", 0), ("add the large tree again", 1)] {
            if let Some(tree) = trees.get(tree) {
                sections.push(self.add_again(what, tree, &stores, large_rounds)?);
            }
        }
        Ok(sections)
    }

    /// A library that no store has seen.
    fn library(&self, round: u32) -> Result<PathBuf> {
        let folder = self.home.join(format!("input/library-{round}"));
        if !folder.exists() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
            inputs::library(&folder, now.as_secs() << 20 | u64::from(round))?;
        }
        Ok(folder)
    }

    fn add_library(&self, stores: &Stores) -> Result<Section> {
        let pack = |round| Ok(self.pack(&stores.hoist, &self.library(round)?));
        let mut ways = vec![Way::new(PACK, pack)];
        if let Some(store) = &stores.nix {
            // Each its own content, or the second would find it there.
            let tree = move |kind: u32, round| self.library(kind * 1_000_000 + round);
            ways.push(Way::new(ADD, move |round| Ok(add(store, &tree(1, round)?))).then_sync());
            ways.push(
                Way::new(ADD_FIXED, move |round| Ok(add_fixed(store, &tree(2, round)?)))
                    .then_sync(),
            );
            ways.push(
                Way::new(ADD_PATH, move |round| Ok(add_path(store, &tree(3, round)?))).then_sync(),
            );
        }
        let copies = self.home.join("library-copies");
        fs::create_dir_all(&copies)?;
        let copy =
            move |round: u32| Ok(copy(&self.library(round)?, &copies.join(round.to_string())));
        ways.push(Way::new(COPY, copy).then_sync());
        let section = self.compare("add a library, 15 KB", self.rounds, ways)?;
        Ok([ADD_FIXED, ADD_PATH].iter().fold(section, |section, way| {
            section.goal(way, Of::Cpu, 0.2).goal(&synced(way), Of::Wall, 0.5)
        }))
    }

    /// Adds `tree` to stores that are new in each round.
    fn add_tree(&self, what: &str, name: &str, tree: &Path, rounds: u32) -> Result<Section> {
        let fresh = |kind: &str, round: u32| format!("{name}-{kind}-{round}");
        let pack = |round| Ok(self.pack(&self.hoist_store(&fresh("pack", round))?, tree));
        let mut ways = vec![Way::new(PACK, pack)];
        if self.has_nix {
            let store = |kind, round| self.nix_store(&fresh(kind, round));
            ways.push(Way::new(ADD, move |round| Ok(add(&store("add", round)?, tree))).then_sync());
            ways.push(
                Way::new(ADD_FIXED, move |round| Ok(add_fixed(&store("fixed", round)?, tree)))
                    .then_sync(),
            );
            ways.push(
                Way::new(ADD_PATH, move |round| Ok(add_path(&store("path", round)?, tree)))
                    .then_sync(),
            );
        }
        let copies = self.home.join(format!("{name}-copies"));
        fs::create_dir_all(&copies)?;
        let copy = move |round: u32| Ok(copy(tree, &copies.join(round.to_string())));
        ways.push(Way::new(COPY, copy).then_sync());
        self.compare(what, rounds, ways)
    }

    /// Adds what is there, in a store of each that has it.
    fn add_again(&self, what: &str, tree: &Path, stores: &Stores, rounds: u32) -> Result<Section> {
        quiet(&mut self.pack(&stores.hoist, tree))?;
        let mut ways = vec![Way::new(PACK, |_| Ok(self.pack(&stores.hoist, tree)))];
        if let Some(store) = &stores.nix {
            quiet(&mut add(store, tree))?;
            ways.push(Way::new(ADD, move |_| Ok(add(store, tree))));
            ways.push(Way::new(ADD_PATH, move |_| Ok(add_path(store, tree))));
        }
        Ok(self.compare(what, rounds, ways)?.goal(ADD, Of::Wall, 0.04))
    }

    fn hash(&self, what: &str, tree: &Path) -> Result<Section> {
        let hash = |_| {
            let mut hash = self.subject.hoist(self.home);
            hash.args(["store", "hash"]).arg(tree);
            Ok(hash)
        };
        let nar_size = self.nar_size(tree)?;
        let mut ways = vec![Way::new("`hoist store hash`", hash)];
        if self.has_nix {
            ways.push(Way::new("`nix-hash --type sha256`", |_| {
                let mut hash = nix("nix-hash");
                hash.args(["--type", "sha256"]).arg(tree);
                Ok(hash)
            }));
        }
        // In the same rounds as the others: what the processor can do changes with its neighbours.
        ways.push(Way::here(HASHING, move || hash_in_memory(nar_size)));
        self.compare(what, self.rounds, ways)
    }

    /// The size of the NAR of `tree` in bytes.
    fn nar_size(&self, tree: &Path) -> Result<u64> {
        let mut hash = self.subject.hoist(self.home);
        let told = quiet(hash.args(["store", "hash", "--json"]).arg(tree))?;
        let nar_size = serde_json::from_str::<serde_json::Value>(&told)?["nar_size_bytes"].as_u64();
        Ok(nar_size.ok_or_else(|| format!("no size of the NAR in {told}"))?)
    }

    fn nothing(&self, what: &str, args: &[&str], stores: &Stores) -> Result<Section> {
        let name = format!("`hoist {}`", args.join(" "));
        let mut ways = vec![Way::new(&name, |_| {
            let mut hoist = self.subject.hoist(&stores.hoist);
            hoist.args(args);
            Ok(hoist)
        })];
        if self.has_nix {
            ways.push(Way::new(VERSION, |_| {
                let mut version = nix("nix-store");
                version.arg("--version");
                Ok(version)
            }));
        }
        Ok(self.compare(what, self.rounds * 3, ways)?.goal(VERSION, Of::Wall, 0.15))
    }

    /// Switching to a path, and back again.
    fn generations(&self, stores: &Stores) -> Result<Vec<Section>> {
        let added = |round| -> Result<String> {
            let told = quiet(&mut self.pack(&stores.hoist, &self.library(round)?))?;
            Ok(told.lines().last().unwrap_or_default().to_owned())
        };
        let paths = [added(0)?, added(1)?];
        let path = |round: u32| paths[round as usize % 2].as_str();
        let switch = |round| {
            let mut switch = self.subject.hoist(&stores.hoist);
            switch.args(["switch", "packed", path(round)]);
            Ok(switch)
        };
        let rollback = |round| {
            quiet(&mut switch(round)?)?;
            quiet(&mut switch(round + 1)?)?;
            let mut rollback = self.subject.hoist(&stores.hoist);
            rollback.args(["rollback", "packed"]);
            Ok(rollback)
        };
        let (set_name, back_name) = ("`nix-env --set`", "`nix-env --rollback`");
        let profile = stores.hoist.join("root/nix/var/nix/profiles/of-nix");
        let env = |args: &[&str]| {
            let mut env = in_nix(&stores.hoist.join("root"), "nix-env");
            env.arg("--profile").arg(&profile).args(args);
            env
        };
        let set = |round| Ok(env(&["--set", path(round)]));
        let back = |round| {
            quiet(&mut set(round)?)?;
            quiet(&mut set(round + 1)?)?;
            Ok(env(&["--rollback"]))
        };
        let mut switching = vec![Way::new("`hoist switch`", switch)];
        let mut returning = vec![Way::new("`hoist rollback`", rollback)];
        if self.has_nix {
            switching.push(Way::new(set_name, set));
            returning.push(Way::new(back_name, back));
        }
        let third = 1.0 / 3.0;
        Ok(vec![
            self.compare("switch a profile", self.rounds, switching)?.goal(
                set_name,
                Of::Cpu,
                third,
            ),
            self.compare("roll it back", self.rounds, returning)?.goal(back_name, Of::Cpu, third),
        ])
    }

    /// A store with many paths of several sizes, as a store has that is used.
    fn store_of_many(&self) -> Result<PathBuf> {
        let store = self.hoist_store("many")?;
        let file = self.home.join("input/one-of-many");
        for index in 0..MANY_PATHS {
            inputs::one_of_many(&file, index, MANY_PATHS)?;
            quiet(&mut self.pack(&store, &file))?;
        }
        Ok(store)
    }

    /// The same store, hoist's own, for all.
    ///
    /// - `largest`: the tree that takes longer to hash than all others together, if there is one;
    ///   it cannot be hashed by two threads.
    fn verify(&self, what: &str, store: &Path, largest: Option<&Path>) -> Result<Section> {
        let root = store.join("root");
        let mut ways = vec![Way::new("`hoist store verify`", |_| {
            let mut verify = self.subject.hoist(store);
            verify.args(["store", "verify"]);
            Ok(verify)
        })];
        if self.has_nix {
            ways.push(Way::new(VERIFY, |_| {
                let mut verify = in_nix(&root, "nix-store");
                verify.args(["--verify", "--check-contents"]);
                Ok(verify)
            }));
            ways.push(Way::new(VERIFY_ALL, |_| {
                let mut verify = in_nix(&root, "nix");
                verify.args(["store", "verify", "--all", "--no-trust"]);
                Ok(verify)
            }));
        }
        if let Some(largest) = largest {
            let nar_size = self.nar_size(largest)?;
            ways.push(Way::here(HASHING_LARGEST, move || hash_in_memory(nar_size)));
        }
        self.compare(what, self.rounds, ways)
    }
}

fn add(store: &Path, tree: &Path) -> Command {
    let mut add = in_nix(store, "nix-store");
    add.arg("--add").arg(tree);
    add
}

fn add_fixed(store: &Path, tree: &Path) -> Command {
    let mut add = in_nix(store, "nix-store");
    add.args(["--add-fixed", "--recursive", "sha256"]).arg(tree);
    add
}

fn add_path(store: &Path, tree: &Path) -> Command {
    let mut add = in_nix(store, "nix");
    add.args(["store", "add-path"]).arg(tree);
    add
}

fn copy(tree: &Path, to: &Path) -> Command {
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(tree).arg(to);
    copy
}

/// Hashes as many bytes as a NAR has, without reading or archiving any.
fn hash_in_memory(nar_size: u64) -> Cost {
    let piece = vec![7; HASHED_LEN];
    let mut hasher = Sha256Hasher::new();
    let start = Instant::now();
    for _ in 0..nar_size / HASHED_LEN as u64 {
        hasher.update(&piece);
    }
    let (hash, _) = hasher.finish();
    let wall = start.elapsed();
    std::hint::black_box(hash);
    Cost { wall, cpu: wall, rss_bytes: 0 }
}
