//! What git tracks: a flake in a git work tree sees nothing else.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Those of `files`, relative to `project`, that git does not track; none where `project` is in no
/// git work tree, or there is no git to ask, without which Nix cannot read a work tree either.
pub(super) fn untracked(project: &Path, files: &[String]) -> Vec<String> {
    let Some(tracked) = tracked(project, files) else { return Vec::new() };
    files.iter().filter(|file| !tracked.contains(file.as_bytes())).cloned().collect()
}

fn tracked(project: &Path, files: &[String]) -> Option<HashSet<Vec<u8>>> {
    let names = files.iter().map(|file| OsStr::from_bytes(file.as_bytes()));
    let output = Command::new("git")
        .args(["--literal-pathspecs", "ls-files", "-z", "--cached", "--"])
        .args(names)
        .current_dir(project)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
}
