//! Restoring, held against every real Nix that is here.
//!
//! What hoist restores every Nix restores, too, to the same tree; what Nix makes the same archive
//! of again hoist restores. So the only difference is that hoist refuses more of what is no
//! archive of any tree.
//!
//! The first byte says whether the rest is an archive or decisions that make one.
#![no_main]

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use hoist_fuzz::daemon::Judge;
use hoist_fuzz::tree::archive;
use hoist_store::{dump, restore};
use libfuzzer_sys::fuzz_target;

/// The judges and a folder, which is in memory where the machine has such a place.
struct Court {
    home: PathBuf,
    judges: Vec<Judge>,
    round: u64,
}

thread_local! {
    static COURT: RefCell<Court> = RefCell::new(Court::convene());
}

/// Before the number of the process in the name of its folder.
const PREFIX: &str = "hoist-fuzz-";

/// Removes the folders of fuzzers that have ended: libFuzzer lets none of them do so itself.
fn remove_leftovers(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_dir_all(entry.path()); // another fuzzer may be at it
        }
    }
}

impl Court {
    fn convene() -> Self {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        remove_leftovers(&base);
        let home = base.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir_all(&home).expect("the folder is ours");
        let releases = hoist_testkit::nix_releases();
        assert!(!releases.is_empty(), "there is no Nix to hold hoist against");
        let judges = releases.into_iter().map(|release| Judge::new(release, home.clone()));
        Self { judges: judges.collect(), home, round: 0 }
    }

    fn judge(&mut self, nar: &[u8]) {
        self.round += 1;
        let dest = self.home.join(format!("hoist-{}", self.round));
        let ours = restore(nar, &dest);
        match &ours {
            Ok(()) => {
                let mut again = Vec::new();
                dump(&dest, &mut again).expect("what was restored can be archived");
                assert!(again == nar, "hoist accepts it, and restores another tree");
            }
            Err(_) => assert!(dest.symlink_metadata().is_err(), "refused, and something is left"),
        }
        remove(&dest);
        for judge in &mut self.judges {
            let theirs = judge.restore(nar);
            let is_doubtful = ours.is_ok() && theirs.is_none();
            let theirs = if is_doubtful { judge.restore_afresh(nar) } else { theirs };
            match (&ours, theirs) {
                (Ok(()), None) => panic!("Nix {} refuses what hoist accepts", judge.version()),
                (Ok(()), Some(again)) => {
                    assert!(again == nar, "Nix {} restores another tree", judge.version());
                }
                (Err(error), Some(again)) if again == nar => {
                    panic!("Nix {} writes what hoist refuses: {error}", judge.version());
                }
                (Err(_), _) => {}
            }
        }
    }
}

fn remove(dest: &Path) {
    let is_dir = dest.symlink_metadata().is_ok_and(|it| it.is_dir());
    let _ = if is_dir { fs::remove_dir_all(dest) } else { fs::remove_file(dest) };
}

fuzz_target!(|bytes: &[u8]| {
    let Some((form, rest)) = bytes.split_first() else { return };
    let made;
    let nar = if form % 2 == 0 {
        rest
    } else {
        made = archive(rest);
        &made
    };
    COURT.with_borrow_mut(|court| court.judge(nar));
});
