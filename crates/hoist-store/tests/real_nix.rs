//! The store held against real Nix, in both directions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use hoist_nix::{StorePath, StorePathName};
use hoist_store::{NewGeneration, Profile, Store};
use hoist_testkit::{Tool, tool};
use tempfile::TempDir;

/// A root, trees to add, and a home for Nix.
struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("home")).unwrap();
        Self { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// Trees of every kind, each with its name.
    fn trees(&self) -> Vec<PathBuf> {
        let at = |name: &str| self.dir.path().join(name);
        let file = at("file.txt");
        fs::write(&file, "contents\n").unwrap();
        let tool = at("tool");
        fs::write(&tool, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&tool, PermissionsExt::from_mode(0o700)).unwrap();
        let link = at("link");
        symlink("nowhere/at all", &link).unwrap();
        let library = at("libdemo-1.2.3");
        for sub in ["lib/empty", "share/a/b/c", "share/a.b", "share/a-b"] {
            fs::create_dir_all(library.join(sub)).unwrap();
        }
        fs::write(library.join("lib/libdemo.so.1"), vec![0x7f; 300_001]).unwrap();
        symlink("libdemo.so.1", library.join("lib/libdemo.so")).unwrap();
        fs::write(library.join("share/a/Z"), "").unwrap();
        fs::write(library.join("share/a/\u{e9}"), "e").unwrap();
        fs::copy(&tool, library.join("share/a/b/tool")).unwrap();
        for number in 0..100 {
            fs::write(library.join(format!("share/a/b/c/{number}")), number.to_string()).unwrap();
        }
        vec![file, tool, link, library]
    }

    /// A program of Nix on the store below the root.
    fn on_store(&self, tool: &Tool) -> Command {
        let mut command = tool.command();
        command.env("HOME", self.dir.path().join("home")).arg("--store");
        command.arg(format!("local?root={}", self.root().display()));
        command
    }
}

/// Runs a command that must succeed, and returns both of its outputs.
fn run(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{command:?}: {stdout}{stderr}");
    (stdout.trim_end().to_owned(), stderr)
}

fn name(path: &Path) -> StorePathName {
    StorePathName::parse(path.file_name().unwrap().to_str().unwrap()).unwrap()
}

fn add_all(store: &Store, world: &World) -> Vec<StorePath> {
    let add = |tree: &PathBuf| store.add_tree(&name(tree), tree).unwrap().path;
    world.trees().iter().map(add).collect()
}

#[test]
fn nix_names_the_same_trees_the_same() {
    let Some(nix_store) = tool("nix-store", "nix-bin") else { return };
    let (ours, theirs) = (World::new(), World::new());
    let store = Store::open_or_create(&ours.root()).unwrap();
    for tree in ours.trees() {
        let path = store.add_tree(&name(&tree), &tree).unwrap().path;
        let mut add = theirs.on_store(&nix_store);
        let (printed, _) = run(add.args(["--add-fixed", "--recursive", "sha256"]).arg(&tree));
        assert_eq!(printed, store.dir().print(&path));
    }
}

#[test]
fn nix_finds_nothing_wrong_with_our_store() {
    let Some(nix_store) = tool("nix-store", "nix-bin") else { return };
    let world = World::new();
    let store = Store::open_or_create(&world.root()).unwrap();
    let paths = add_all(&store, &world);
    drop(store);
    let mut verify = world.on_store(&nix_store);
    let (_, said) = run(verify.args(["--verify", "--check-contents"]));
    // Progress ends with dots; a complaint is another line, and does not fail the command.
    assert!(said.lines().all(|line| line.ends_with("...")), "{said}");
    // Nix opened the store for writing; ours still agrees.
    let store = Store::open(&world.root()).unwrap();
    assert_eq!(store.verify(true).unwrap(), []);
    assert_eq!(store.list().unwrap().len(), paths.len());
}

#[test]
fn nix_reads_what_we_registered() {
    let Some(nix_store) = tool("nix-store", "nix-bin") else { return };
    let Some(nix) = tool("nix", "nix-bin") else { return };
    let world = World::new();
    let store = Store::open_or_create(&world.root()).unwrap();
    let paths = add_all(&store, &world);
    for path in &paths {
        let info = store.path_info(path).unwrap().unwrap();
        let text = store.dir().print(path);
        let (hash, _) = run(world.on_store(&nix_store).args(["--query", "--hash", &text]));
        assert_eq!(hash, info.nar_hash.to_string());
        let (size, _) = run(world.on_store(&nix_store).args(["--query", "--size", &text]));
        assert_eq!(Some(size), info.nar_size.map(|size| size.to_string()));
        let mut path_info = nix.command();
        let uri = format!("local?root={}", world.root().display());
        path_info.env("HOME", world.dir.path()).args([
            "path-info",
            "--json",
            "--store",
            &uri,
            &text,
        ]);
        let (json, _) = run(&mut path_info);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        // A list of objects up to Nix 2.18, an object by path since.
        let theirs = json.get(0).or_else(|| json.get(&text)).unwrap();
        assert_eq!(theirs["narHash"], info.nar_hash.sri());
        assert_eq!(theirs["ca"], info.content_address.unwrap());
    }
}

#[test]
fn a_store_that_nix_made_is_read_and_added_to() {
    let Some(nix_store) = tool("nix-store", "nix-bin") else { return };
    let world = World::new();
    let trees = world.trees();
    let (theirs, _) = run(world.on_store(&nix_store).arg("--add").args(&trees));
    let store = Store::open(&world.root()).unwrap();
    let listed = store.list().unwrap();
    let mut sorted: Vec<_> =
        theirs.lines().map(|line| store.dir().parse_path(line).unwrap()).collect();
    sorted.sort();
    assert_eq!(listed.iter().map(|info| info.path.clone()).collect::<Vec<_>>(), sorted);
    assert_eq!(store.verify(true).unwrap(), []);
    for tree in &trees {
        assert!(store.add_tree(&name(tree), tree).unwrap().already_there);
    }
    let added = store.add_tree(&StorePathName::parse("new").unwrap(), &trees[0]).unwrap();
    assert!(!added.already_there);
    drop(store);
    run(world.on_store(&nix_store).args(["--verify", "--check-contents"]));
}

#[test]
fn references_and_derivations_of_nix_are_read() {
    let Some(nix_store) = tool("nix-store", "nix-bin") else { return };
    let Some(nix_instantiate) = tool("nix-instantiate", "nix-bin") else { return };
    let world = World::new();
    let expression = r#"let dep = builtins.toFile "dep" "d"; in
        derivation { name = "x"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ dep ]; }"#;
    let (drv, _) = run(world.on_store(&nix_instantiate).args(["--expr", expression]));
    let store = Store::open(&world.root()).unwrap();
    let drv = store.dir().parse_path(drv.lines().next().unwrap()).unwrap();
    let info = store.path_info(&drv).unwrap().unwrap();
    let (references, _) = run(world
        .on_store(&nix_store)
        .args(["--query", "--references"])
        .arg(store.dir().print(&drv)));
    assert_eq!(
        references,
        info.references.iter().map(|path| store.dir().print(path)).collect::<Vec<_>>().join("\n")
    );
    assert_eq!(info.references.len(), 1);
    assert!(info.content_address.unwrap().starts_with("text:sha256:"));
}

#[test]
fn archives_are_those_of_nix() {
    let Some(nix_store) = tool("nix-store", "nix-bin") else { return };
    let world = World::new();
    for tree in world.trees() {
        let mut ours = Vec::new();
        hoist_store::dump(&tree, &mut ours).unwrap();
        let theirs = nix_store.command().arg("--dump").arg(&tree).output().unwrap().stdout;
        assert!(ours == theirs, "{}: the archives differ", tree.display());
        let restored = world.dir.path().join("restored");
        hoist_store::restore(theirs.as_slice(), &restored).unwrap();
        let again = nix_store.command().arg("--dump").arg(&restored).output().unwrap().stdout;
        assert!(again == theirs, "{}: the restored tree differs", tree.display());
        fs::remove_file(&restored).or_else(|_| fs::remove_dir_all(&restored)).unwrap();
    }
}

#[test]
fn nix_lists_our_generations_and_switches_them() {
    let Some(nix_env) = tool("nix-env", "nix-bin") else { return };
    let world = World::new();
    let store = Store::open_or_create(&world.root()).unwrap();
    let paths = add_all(&store, &world);
    let profile = Profile::open(&store, "app").unwrap();
    for path in &paths {
        let new = NewGeneration { created_unix: 1_700_000_000, action_key: None };
        profile.switch(path, &new).unwrap();
    }
    profile.rollback(Some(2)).unwrap();
    let link = world.root().join("nix/var/nix/profiles/app");
    let on_profile = || {
        let mut command = world.on_store(&nix_env);
        command.arg("--profile").arg(&link);
        command
    };
    let (listed, _) = run(on_profile().arg("--list-generations"));
    let numbers: Vec<_> =
        listed.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(numbers, ["1", "2", "3", "4"]);
    assert!(listed.lines().nth(1).unwrap().ends_with("(current)"), "{listed}");

    run(on_profile().args(["--switch-generation", "4"]));
    assert_eq!(profile.current().unwrap().unwrap().path, paths[3]);
    run(on_profile().arg("--rollback"));
    assert_eq!(profile.current().unwrap().unwrap().number, 3);
    run(on_profile().arg("--set").arg(store.dir().print(&paths[0])));
    let generations = profile.generations().unwrap();
    assert_eq!(generations.len(), 5);
    assert_eq!((&generations[4].path, generations[4].is_current), (&paths[0], true));
}

#[test]
fn nix_keeps_every_generation_and_collects_the_rest() {
    let Some(nix_store) = tool("nix-store", "nix-bin") else { return };
    let world = World::new();
    let store = Store::open_or_create(&world.root()).unwrap();
    let paths = add_all(&store, &world);
    let profile = Profile::open(&store, "app").unwrap();
    for path in &paths[..2] {
        let new = NewGeneration { created_unix: 0, action_key: None };
        profile.switch(path, &new).unwrap();
    }
    drop(store);
    run(world.on_store(&nix_store).arg("--gc"));
    let store = Store::open(&world.root()).unwrap();
    let mut left: Vec<_> = store.list().unwrap().into_iter().map(|info| info.path).collect();
    left.sort_by_key(|left| paths.iter().position(|path| path == left));
    assert_eq!(left, paths[..2]);
    assert_eq!(store.verify(true).unwrap(), []);
}

/// What was added and is no root yet must not be collected.
#[test]
fn nix_collects_nothing_while_a_store_is_adding() {
    let Some(nix_store) = tool("nix-store", "nix-bin") else { return };
    let world = World::new();
    let store = Store::open_or_create(&world.root()).unwrap();
    let paths = add_all(&store, &world);
    let mut collect = world.on_store(&nix_store).arg("--gc").spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert!(collect.try_wait().unwrap().is_none(), "it waits for the lock");
    assert!(store.physical(&paths[0]).exists());
    drop(store);
    assert!(collect.wait().unwrap().success());
}
