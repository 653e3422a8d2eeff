//! `hoist store` and `hoist pack` beside real Nix, in every release that is installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hoist_testkit::{Hoist, NixRelease, Run, nix_releases};

fn hoist() -> Hoist {
    Hoist::new(env!("CARGO_BIN_EXE_hoist"))
}

/// Packs a tree and returns its store path.
fn packed(hoist: &Hoist) -> String {
    hoist.write("tree/lib/a", "alpha");
    hoist.write("tree/lib/b", "beta");
    hoist.stdout(["pack", "tree", "--name", "small-1"])
}

/// A program of Nix on the store below `root`.
fn on_store(nix: &NixRelease, program: &str, root: &Path) -> std::process::Command {
    let mut command = nix.command(program);
    command.arg("--store").arg(format!("local?root={}", root.display()));
    command
}

#[test]
fn what_was_lost_is_repaired_from_a_cache_that_nix_wrote() {
    for nix in nix_releases() {
        for compression in ["none", "xz", "zstd", "bzip2"] {
            let hoist = hoist();
            let path = packed(&hoist);
            let cache = hoist.dir().join("cache");
            let mut copy = nix.command("nix");
            copy.args(["copy", "--no-check-sigs", "--from"]);
            copy.arg(format!("local?root={}", hoist.root().display())).arg("--to");
            copy.arg(format!("file://{}?compression={compression}", cache.display())).arg(&path);
            let _ = Run::of(&mut copy).ended(0);

            let physical = hoist.dir().join(format!("root{path}"));
            for folder in [physical.clone(), physical.join("lib")] {
                fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
            }
            fs::remove_file(physical.join("lib/a")).unwrap();
            fs::write(physical.join("lib/c"), "new").unwrap();
            let from = format!("file://{}", cache.display());
            let repair = ["store", "verify", "--json", "--repair", "--from", &from];
            let records = hoist.run(repair).ended(0).records();
            assert_eq!(records[0]["repaired_from"], *from, "{} {compression}", nix.version());
            assert_eq!(hoist.stdout(["store", "verify"]), "1 store path, all as registered");
            let mut verify = on_store(&nix, "nix-store", &hoist.root());
            let verified = Run::of(verify.args(["--verify", "--check-contents"])).ended(0);
            assert!(!verified.stderr.contains("modified"), "{}", verified.stderr);
        }
    }
}

#[test]
fn exports_go_both_ways() {
    for nix in nix_releases() {
        let (ours, theirs) = (hoist(), hoist());
        let path = packed(&ours);
        let stream = ours.command(["store", "export", &path]).output().unwrap().stdout;
        let file = theirs.write("x.export", stream);
        let mut import = on_store(&nix, "nix-store", &theirs.root());
        import.arg("--import").stdin(fs::File::open(&file).unwrap());
        assert_eq!(Run::of(&mut import).ended(0).stdout.trim_end(), path);

        let mut export = on_store(&nix, "nix-store", &theirs.root());
        let again = export.args(["--export", &path]).output().unwrap().stdout;
        assert!(again == fs::read(&file).unwrap(), "{}: the streams differ", nix.version());
        let back = hoist();
        back.write("x.export", again);
        assert_eq!(back.stdout(["store", "import", "--from", "x.export"]), path);
    }
}

#[test]
fn a_daemon_takes_what_is_packed() {
    for nix in nix_releases() {
        let program = nix.command("nix-daemon").get_program().to_owned();
        if !program.as_encoded_bytes().ends_with(b"nix-daemon") {
            continue; // in a chroot; hoist starts the daemon of its own machine only
        }
        let bin = Path::new(&program).parent().unwrap();
        let hoist = hoist();
        hoist.write("tree/lib/a", "alpha");
        let remote = format!("local?root={}", hoist.dir().join("theirs").display());
        let run = |args: &[&str]| {
            let mut command = hoist.command(["--store", "daemon"]);
            command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
            command.env("NIX_REMOTE", &remote).env("NIX_DAEMON_SOCKET_PATH", "/nowhere/socket");
            Run::of(command.args(args)).ended(0).stdout
        };
        let path = run(&["pack", "tree", "--name", "small-1"]);
        assert_eq!(run(&["store", "ls"]), path);
        assert_eq!(hoist.stdout(["pack", "tree", "--name", "small-1"]), path.trim_end());
        let info = run(&["store", "info", path.trim_end()]);
        let ours = hoist.stdout(["store", "info", path.trim_end()]);
        let nar = |info: &str| info.lines().find(|line| line.starts_with("NAR")).map(str::to_owned);
        assert_eq!(nar(&info), nar(&ours));
        let dumped = run(&["store", "dump", path.trim_end()]);
        assert!(dumped == hoist.run(["store", "dump", path.trim_end()]).ended(0).stdout);
    }
}
