//! Where the symlinks of an artifact lead.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Most links that one path may lead through: Linux follows no more.
const MOST_LINKS: usize = 40;

/// Whether `path`, relative to `root`, leads out of `root`: through `..`, or through a symlink that
/// is absolute. What is not there leads where its name says.
pub(crate) fn leads_out(root: &Path, path: &Path) -> bool {
    let mut here = PathBuf::new();
    let mut ahead = parts(path);
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        match part {
            Part::Root => return true,
            Part::Up => {
                if !here.pop() {
                    return true;
                }
            }
            Part::Name(name) => {
                here.push(name);
                if let Ok(target) = fs::read_link(root.join(&here)) {
                    links += 1;
                    if links > MOST_LINKS {
                        return false; // it leads nowhere
                    }
                    here.pop();
                    ahead.append(&mut parts(&target));
                }
            }
        }
    }
    false
}

enum Part {
    Root,
    Up,
    Name(OsString),
}

/// The parts of a path, the first one last.
fn parts(path: &Path) -> Vec<Part> {
    let part = |part| match part {
        Component::Prefix(_) | Component::RootDir => Some(Part::Root),
        Component::CurDir => None,
        Component::ParentDir => Some(Part::Up),
        Component::Normal(name) => Some(Part::Name(name.to_owned())),
    };
    path.components().rev().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_as_the_kernel_does() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        fs::create_dir_all(root.join("lib/deep")).unwrap();
        for (target, link) in [
            ("libx.so.1", "lib/libx.so"),
            ("../lib/deep", "lib/round"),
            ("lib/deep", "deep"),
            ("../../..", "lib/deep/out"),
            ("../../etc", "lib/near"),
            // By its text it stays inside: `up` is the root, though, not a folder in `deep`.
            ("../..", "lib/deep/up"),
            ("up/../etc", "lib/deep/hidden"),
            ("/etc/hostname", "absolute"),
            ("self", "self"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        for inside in ["lib/libx.so", "lib/round", "deep/nothing", "lib/deep/up", "self", "gone"] {
            assert!(!leads_out(root, Path::new(inside)), "{inside}");
        }
        for outside in
            ["lib/deep/out", "lib/near", "lib/deep/hidden", "absolute", "deep/out/x", "../x", "/x"]
        {
            assert!(leads_out(root, Path::new(outside)), "{outside}");
        }
    }
}
