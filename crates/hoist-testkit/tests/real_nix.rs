//! The releases of Nix against what the tests rely on.

use std::fs;
use std::process::Stdio;

use hoist_testkit::nix_releases;

#[test]
fn every_release_tells_its_own_version() {
    let releases = nix_releases();
    for release in &releases {
        let told = release.stdout("nix", ["--version"]);
        assert!(told.ends_with(release.version()), "{release}: {told}");
        assert!(release.version().starts_with("2."), "{release}");
    }
    let versions: Vec<&str> = releases.iter().map(hoist_testkit::NixRelease::version).collect();
    assert!(versions.windows(2).all(|pair| pair[0] != pair[1]), "{versions:?}");
}

/// A store made by one is read by the other, in a folder that all see under one name.
#[test]
fn releases_share_the_folders_of_a_test() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("payload"), "shared\n").unwrap();
    let store = format!("local?root={}", dir.path().join("root").display());
    let mut paths = Vec::new();
    for release in nix_releases() {
        let mut add = release.command("nix-store");
        let add = add.args(["--store", &store, "--add", "payload"]).current_dir(dir.path());
        let output = add.output().unwrap();
        assert!(output.status.success(), "{release}: {}", String::from_utf8_lossy(&output.stderr));
        paths.push(String::from_utf8(output.stdout).unwrap());
        let below_root = dir.path().join("root").join(paths[0].trim().trim_start_matches('/'));
        assert_eq!(fs::read_to_string(below_root).unwrap(), "shared\n");
    }
    paths.dedup();
    assert!(paths.len() <= 1, "they disagree: {paths:?}");
}

#[test]
fn input_output_and_the_end_of_a_program_pass_through() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("payload"), "through a pipe\n").unwrap();
    for release in nix_releases() {
        let mut dump = release.command("nix-store");
        let dump = dump.args(["--dump", "payload"]).current_dir(dir.path()).stdout(Stdio::piped());
        let dump = dump.spawn().unwrap().stdout.unwrap();
        let restored = dir.path().join(release.version());
        let mut restore = release.command("nix-store");
        let ended = restore.arg("--restore").arg(&restored).stdin(dump).status().unwrap();
        assert!(ended.success(), "{release}");
        assert_eq!(fs::read_to_string(&restored).unwrap(), "through a pipe\n", "{release}");

        let failed = release.command("nix-hash").arg("--no-such-flag").output().unwrap();
        assert_eq!(failed.status.code(), Some(1), "{release}");
        assert!(String::from_utf8_lossy(&failed.stderr).contains("no-such-flag"), "{release}");
    }
}

/// The mounts of a release end with it.
#[test]
fn nothing_stays_mounted() {
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    let before = mounts();
    for release in nix_releases() {
        release.stdout("nix-store", ["--version"]);
    }
    assert_eq!(mounts(), before);
}
