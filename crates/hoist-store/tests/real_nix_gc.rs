//! Collecting garbage in a store that Nix uses as well, held against every release of Nix.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the runner shows it beside the name of the test")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hoist_nix::{StorePath, StorePathName};
use hoist_store::{Collected, GcEvent, NewGeneration, Policy, Profile, Store, hash_tree};
use hoist_testkit::{NixRelease, nix_releases};
use tempfile::TempDir;

/// A store below a root, used by one release of Nix and by hoist.
struct World {
    nix: NixRelease,
    dir: TempDir,
}

impl World {
    fn new(nix: &NixRelease) -> Self {
        let world = Self { nix: nix.clone(), dir: tempfile::tempdir().unwrap() };
        fs::create_dir(world.path("home")).unwrap();
        world.nix_store(["--init"]);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.path("root")
    }

    fn store(&self) -> Store {
        Store::open_or_create(&self.root()).unwrap()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.nix.command(program);
        command.current_dir(self.dir.path()).env("HOME", self.path("home"));
        command.arg("--store").arg(format!("local?root={}", self.root().display()));
        command
    }

    /// Runs a program, which must succeed, and returns the lines that it printed.
    #[track_caller]
    fn run(command: &mut Command) -> Vec<String> {
        let output = command.output().unwrap();
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success(), "{command:?}: {stdout}{stderr}");
        stdout.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn nix_store<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        Self::run(self.command("nix-store").args(args))
    }

    /// Adds a file, as the only thing of that name, and returns its path.
    fn add(&self, name: &str) -> String {
        let file = self.path(name);
        fs::write(&file, format!("{name} of {}", file.display())).unwrap();
        self.nix_store(["--add", file.to_str().unwrap()]).remove(0)
    }

    /// Makes a derivation that needs a file, and what could be its output: a file that refers to
    /// `needed`. Returns both paths.
    fn derive(&self, name: &str, needed: &str) -> (String, String) {
        let expression = format!(
            r#"derivation {{ name = "{name}"; system = "x86_64-linux"; builder = "/bin/sh";
               args = [ (builtins.toFile "{name}-script" "{}") ]; }}"#,
            self.dir.path().display()
        );
        let mut instantiate = self.command("nix-instantiate");
        let drv = Self::run(instantiate.args(["--expr", &expression])).remove(0);
        let output = self.nix_store(["--query", "--outputs", &drv]).remove(0);
        let physical = self.root().join(&output[1..]);
        fs::write(&physical, needed).unwrap();
        fs::set_permissions(&physical, PermissionsExt::from_mode(0o444)).unwrap();
        let (hash, size) = hash_tree(&physical).unwrap();
        let validity = format!("{output}\n{}\n{size}\n{drv}\n1\n{needed}\n", hash.base16());
        let mut register = self.command("nix-store");
        let mut child = register.arg("--load-db").stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(validity.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        (drv, output)
    }

    /// What is valid and, by what Nix says, alive.
    fn alive_for_nix(&self) -> BTreeSet<String> {
        let alive: BTreeSet<String> =
            self.nix_store(["--gc", "--print-live"]).into_iter().collect();
        self.valid().intersection(&alive).cloned().collect()
    }

    fn valid(&self) -> BTreeSet<String> {
        let store = self.store();
        let print = |info: &hoist_store::PathInfo| store.dir().print(&info.path);
        store.list().unwrap().iter().map(print).collect()
    }

    fn collect(&self) -> Collected {
        let collected = self.store().collect_garbage(&Policy::at(0), &mut |_| ()).unwrap();
        assert_eq!(collected.stuck, [""; 0]);
        collected
    }

    /// Asserts that Nix finds the store in order, and nothing more to collect.
    #[track_caller]
    fn assert_clean(&self) {
        let verified =
            self.command("nix-store").args(["--verify", "--check-contents"]).output().unwrap();
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success(), "{said}");
        // Progress ends with dots; a complaint is another line, and does not fail the command.
        let complaints: Vec<_> = said
            .lines()
            .filter(|line| !line.ends_with("...") && !line.starts_with("warning: the group"))
            .collect();
        assert_eq!(complaints, [""; 0]);
        assert_eq!(self.nix_store(["--gc", "--print-dead"]), [""; 0]);
        assert_eq!(self.store().verify(true).unwrap(), []);
    }
}

fn for_each_release(test: impl Fn(&World)) {
    for nix in nix_releases() {
        println!("{nix}");
        test(&World::new(&nix));
    }
}

/// A store with roots of every kind; returns the names of all paths that must stay.
fn furnish(world: &World) -> BTreeSet<String> {
    let mut alive = BTreeSet::new();
    let gcroots = world.root().join("nix/var/nix/gcroots");

    // Built by Nix, by an indirect root: it keeps its derivation, and what that needs.
    let needed = world.add("needed");
    let (drv, output) = world.derive("built", &needed);
    let result = world.path("result");
    let realise = ["--realise", &output, "--add-root", result.to_str().unwrap(), "--indirect"];
    world.nix_store(realise);
    alive.extend(world.nix_store(["--query", "--requisites", &drv]));
    alive.extend([needed, output]);
    // Its derivation alone keeps no output, and neither does an output without a root.
    let (drv, _) = world.derive("not-built", &world.add("not-needed"));
    symlink(&drv, gcroots.join("drv")).unwrap();
    alive.extend(world.nix_store(["--query", "--requisites", &drv]));
    world.derive("garbage", &world.add("garbage-too"));

    // By a profile of Nix's, one of hoist's, a pin, and links of all sorts.
    let generations = ["first", "second"].map(|name| world.add(name));
    for generation in &generations {
        let mut set = world.command("nix-env");
        let profile = world.root().join("nix/var/nix/profiles/nix");
        World::run(set.arg("--profile").arg(profile).args(["--set", generation]));
    }
    alive.extend(generations);
    let store = world.store();
    let parse = |path: &str| store.dir().parse_path(path).unwrap();
    let ours = world.add("ours");
    let new = NewGeneration { created_unix: 0, action_key: None };
    Profile::open(&store, "app").unwrap().switch(&parse(&ours), &new).unwrap();
    let pinned = world.add("pinned");
    store.pin(&parse(&pinned), "fair").unwrap();
    let inside = world.add("inside");
    fs::create_dir_all(gcroots.join("per-user/me")).unwrap();
    symlink(format!("{inside}/lib"), gcroots.join("per-user/me/inside")).unwrap();
    let file = world.add("file");
    fs::write(gcroots.join(file.rsplit('/').next().unwrap()), "").unwrap();
    alive.extend([ours, pinned, inside, file]);

    // By none: a stale indirect root, and what nobody mentions.
    let stale = world.path("stale");
    let gone = world.add("gone");
    world.nix_store(["--realise", &gone, "--add-root", stale.to_str().unwrap(), "--indirect"]);
    fs::remove_file(stale).unwrap();
    world.add("garbage");
    alive
}

#[test]
fn what_stays_is_what_nix_keeps() {
    for_each_release(|world| {
        let alive = furnish(world);
        assert_eq!(world.alive_for_nix(), alive);
        let before = world.valid();
        let collected = world.collect();
        let gone: BTreeSet<String> =
            collected.paths.iter().map(|gone| world.store().dir().print(&gone.path)).collect();
        assert_eq!(gone, before.difference(&alive).cloned().collect());
        assert_eq!(gone.len(), 8, "{gone:?}");
        assert_eq!(world.valid(), alive);
        world.assert_clean();
        assert_eq!(world.alive_for_nix(), alive);
    });
}

#[test]
fn nix_lists_our_pins_and_generations_as_roots() {
    for_each_release(|world| {
        furnish(world);
        let theirs: BTreeSet<String> = world
            .nix_store(["--gc", "--print-roots"])
            .iter()
            .filter_map(|line| Some(line.split_once(" -> ")?.0.to_owned()))
            .filter(|root| root.starts_with('/') && !root.starts_with("/proc"))
            .collect();
        let ours = world.store().roots().unwrap().roots.into_iter();
        let link = |kind| match kind {
            hoist_store::RootKind::Profile { link }
            | hoist_store::RootKind::Link { link }
            | hoist_store::RootKind::Indirect { link, .. } => Some(link),
            hoist_store::RootKind::Pin { name } => {
                Some(world.root().join("nix/var/nix/gcroots/hoist").join(name))
            }
            _ => None,
        };
        let ours: BTreeSet<String> = ours
            .filter_map(|root| link(root.kind))
            .map(|link| link.display().to_string())
            .collect();
        assert_eq!(ours, theirs);
    });
}

#[test]
fn files_that_nix_shared_go_with_the_last_that_needs_them() {
    for_each_release(|world| {
        let twin = |name: &str| {
            let folder = world.path(name);
            fs::create_dir(&folder).unwrap();
            let contents = format!("shared in {}\n", world.dir.path().display());
            fs::write(folder.join("file"), contents.repeat(10_000)).unwrap();
            world.nix_store(["--add", folder.to_str().unwrap()]).remove(0)
        };
        let [kept, gone] = ["twin", "other-twin"].map(twin);
        let alone = world.add("alone");
        world.nix_store(["--optimise"]);
        let links = world.root().join("nix/store/.links");
        let count = || fs::read_dir(&links).unwrap().count();
        assert_eq!(count(), 2);
        let store = world.store();
        store.pin(&store.dir().parse_path(&kept).unwrap(), "kept").unwrap();
        drop(store);

        let collected = world.collect();
        assert_eq!(collected.paths.len(), 2, "{gone} and {alone}");
        assert!(collected.freed < 50_000, "the shared file is still there: {}", collected.freed);
        assert_eq!(count(), 1);
        world.assert_clean();
        world.store().unpin("kept").unwrap();
        assert!(world.collect().freed > 200_000);
        assert_eq!(count(), 0);
        world.assert_clean();
    });
}

#[test]
fn nix_waits_while_we_decide_and_then_adds() {
    for_each_release(|world| {
        let garbage = world.add("garbage");
        let file = world.path("added-meanwhile");
        fs::write(&file, file.display().to_string()).unwrap();
        let mut adding: Option<Child> = None;
        let mut watch = |event| {
            if event == GcEvent::Deciding {
                let mut add = world.command("nix-store");
                let mut child = add.arg("--add").arg(&file).stdout(Stdio::null()).spawn().unwrap();
                thread::sleep(Duration::from_millis(700));
                assert!(child.try_wait().unwrap().is_none(), "it waits for us");
                adding = Some(child);
            }
        };
        let collected = world.store().collect_garbage(&Policy::at(0), &mut watch).unwrap();
        assert!(adding.unwrap().wait().unwrap().success());
        assert_eq!(collected.paths.len(), 1, "{garbage}");
        let valid = world.valid();
        assert!(valid.len() == 1 && valid.iter().all(|path| path.ends_with("-added-meanwhile")));
        assert_eq!(world.store().verify(true).unwrap(), []);
    });
}

/// Ends a loop, also when the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Nix makes roots of what it adds, while hoist collects all the time.
#[test]
fn nix_keeps_what_it_made_a_root_of_while_we_collect() {
    for_each_release(|world| {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let end = Ends(&over);
            let collecting = scope.spawn(|| {
                let mut gone = 0;
                while !over.load(Ordering::SeqCst) {
                    gone += world.collect().paths.len();
                }
                gone
            });
            for round in 0..12 {
                // One command that adds and makes the root: in between, a temporary root keeps it.
                let expression = format!(
                    r#"derivation {{ name = "drv-{round}"; system = "x"; builder = "/bin/sh";
                       args = [ (builtins.toFile "script-{round}" "{}") ]; }}"#,
                    world.dir.path().display()
                );
                let link = world.path(&format!("drv-{}", round % 3));
                let mut instantiate = world.command("nix-instantiate");
                instantiate.args(["--expr", &expression, "--indirect", "--add-root"]).arg(&link);
                World::run(&mut instantiate);
                let drv = fs::read_link(&link).unwrap().display().to_string();
                let needs = world.nix_store(["--query", "--requisites", &drv]);
                assert_eq!(needs.len(), 2, "round {round}");
            }
            drop(end);
            println!("{} paths collected", collecting.join().unwrap());
        });
        world.collect();
        assert_eq!(world.valid().len(), 6);
        world.assert_clean();
    });
}

/// What Nix adds is on disk before it is registered.
#[test]
fn what_nix_has_yet_to_register_stays() {
    for_each_release(|world| {
        let folder = world.path("large");
        fs::create_dir(&folder).unwrap();
        for file in 0..3000 {
            fs::write(folder.join(file.to_string()), format!("{file} of {}", folder.display()))
                .unwrap();
        }
        let mut add = world.command("nix-store");
        let mut child = add.arg("--add").arg(&folder).stdout(Stdio::null()).spawn().unwrap();
        let mut runs = 0;
        while child.try_wait().unwrap().is_none() {
            let policy = Policy::at(0);
            let collected = world.store().collect_garbage(&policy, &mut |_| ()).unwrap();
            assert_eq!(collected.leftovers, [""; 0], "in run {runs}");
            runs += 1;
        }
        assert!(child.wait().unwrap().success());
        println!("{runs} collections meanwhile");
        assert_eq!(world.store().verify(true).unwrap(), []);
    });
}

#[test]
fn what_we_collected_nix_adds_again() {
    for_each_release(|world| {
        let path = world.add("again");
        assert_eq!(world.collect().paths.len(), 1);
        assert!(!Path::new(&world.root().join(&path[1..])).exists());
        assert_eq!(world.add("again"), path);
        assert_eq!(world.store().verify(true).unwrap(), []);
        let name = StorePathName::parse("again").unwrap();
        let added = world.store().add_tree(&name, &world.path("again")).unwrap();
        assert!(added.already_there);
        let physical = world.store().physical(&StorePath::parse(added.path.as_str()).unwrap());
        assert_eq!(fs::metadata(physical).unwrap().mtime(), 1);
    });
}
