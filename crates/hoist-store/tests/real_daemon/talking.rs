//! What is added is what real Nix finds, and what it has is what is told.

use std::fs;
use std::sync::{Arc, Mutex};

use hoist_nix::wire::ProtocolVersion;
use hoist_nix::wire::worker::DaemonTrust;
use hoist_nix::{SecretKey, Sha256Hash, StorePathName};
use hoist_store::{Backend, StoreError};
use serde_json::Value;

use crate::archives::{add, file, library, offer, path, read};
use crate::with_each;
use crate::world::added;

#[test]
fn both_sides_settle_on_a_version() {
    with_each(|world| {
        let store = world.store();
        let version = world.release.version();
        assert_eq!(store.daemon_version().as_deref(), Some(version));
        let old = version.starts_with("2.8.");
        let (minor, trust) =
            if old { (34, DaemonTrust::Unknown) } else { (38, DaemonTrust::Trusted) };
        assert_eq!((store.version(), store.trust()), (ProtocolVersion::new(1, minor), trust));
    });
}

#[test]
fn nix_finds_what_was_added() {
    with_each(|world| {
        let store = world.store();
        let key = SecretKey::from_seed("test-1", &[7; 32]).unwrap();
        let needed = added(&store, "needed", &file(b"needed")).unwrap();
        let nar = library(&vec![3; 300_000]);
        let mut new = offer(path("libx-1"), &nar);
        new.references = vec![new.path.clone(), needed.clone()];
        new.deriver = Some(path("libx-1.drv"));
        assert!(!add(&store, &new, &nar).unwrap());
        let signature = key.sign(b"whatever: a daemon takes the word of root");
        store.add_signatures(&new.path, std::slice::from_ref(&signature)).unwrap();

        let text = store.dir().print(&new.path);
        let (printed, _) = world.nix("nix", &["path-info", "--json", &text]);
        let printed: Value = serde_json::from_slice(&printed).unwrap();
        // A list in 2.8, a map by path since.
        let info = if printed.is_array() { &printed[0] } else { &printed[&text] };
        assert_eq!(info["narHash"], new.nar_hash.sri());
        assert_eq!(info["narSize"], new.nar_size);
        assert_eq!(info["deriver"], store.dir().print(&path("libx-1.drv")));
        assert_eq!(info["signatures"], Value::from(vec![signature.to_string()]));
        let mut references = [&new.path, &needed].map(|path| store.dir().print(path));
        references.sort();
        assert_eq!(info["references"], Value::from(references.to_vec()));

        let (dumped, _) =
            world.nix("nix-store", &["--dump", &world.root().join(&text[1..]).to_string_lossy()]);
        assert!(dumped == nar);
        assert!(read(&store, &new.path).unwrap() == nar);
        let (_, said) = world.nix("nix-store", &["--verify", "--check-contents"]);
        assert!(said.lines().all(|line| line.ends_with("...")), "{said}");
    });
}

#[test]
fn a_tree_gets_the_path_that_nix_gives_it() {
    with_each(|world| {
        let tree = world.tree(b"contents");
        let tree_text = tree.to_str().unwrap();
        let (printed, _) =
            world.nix("nix-store", &["--add-fixed", "--recursive", "sha256", tree_text]);
        let store = world.store();
        let name = StorePathName::parse("tree").unwrap();
        let ours = store.add_tree(&name, &tree).unwrap();
        assert_eq!(store.dir().print(&ours.path), String::from_utf8_lossy(&printed).trim());
        assert!(ours.already_there);

        fs::write(tree.join("lib/libx.so.1"), "other contents").unwrap();
        let ours = store.add_tree(&name, &tree).unwrap();
        assert!(!ours.already_there);
        let (printed, _) =
            world.nix("nix-store", &["--add-fixed", "--recursive", "sha256", tree_text]);
        assert_eq!(store.dir().print(&ours.path), String::from_utf8_lossy(&printed).trim());
        let info = store.path_info(&ours.path).unwrap().unwrap();
        assert_eq!((info.nar_hash, info.nar_size), (ours.nar_hash, Some(ours.nar_size)));
    });
}

#[test]
fn what_changed_on_disk_is_noticed_when_it_is_read() {
    with_each(|world| {
        let store = world.store();
        let nar = file(b"contents");
        let path = added(&store, "x-1", &nar).unwrap();
        let on_disk = world.root().join("nix/store").join(path.as_str());
        // Longer and shorter: only the archive itself says where it ends.
        for changed in [&b"other contents, and more"[..], b""] {
            fs::remove_file(&on_disk).unwrap();
            fs::write(&on_disk, changed).unwrap();
            let refusal = read(&store, &path).unwrap_err();
            assert!(
                matches!(&refusal, StoreError::Modified { found, expected, .. }
                    if *found == Sha256Hash::of(&file(changed)) && *expected == Sha256Hash::of(&nar)),
                "{refusal}"
            );
        }
        assert!(store.is_valid(&path).unwrap(), "the connection goes on");
    });
}

#[test]
fn what_a_daemon_logs_is_heard() {
    with_each(|world| {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        let store =
            world.store().with_log(move |line| hearing.lock().unwrap().push(line.to_owned()));
        added(&store, "x-1", &file(b"contents")).unwrap();
        drop(store);
        world.collect_garbage();
        let hearing = Arc::clone(&heard);
        let store =
            world.store().with_log(move |line| hearing.lock().unwrap().push(line.to_owned()));
        let collect = hoist_nix::wire::worker::Collect {
            action: hoist_nix::wire::worker::CollectAction::DeleteDead,
            paths: Vec::new(),
            ignore_liveness: false,
            max_freed_bytes: u64::MAX,
        };
        store.collect(&collect).unwrap();
        let heard = heard.lock().unwrap().join("\n");
        assert!(heard.contains("garbage") || heard.contains("finding"), "{heard}");
        assert!(!heard.contains('\x1b'), "{heard}");
    });
}
