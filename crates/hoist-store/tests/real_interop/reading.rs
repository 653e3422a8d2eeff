//! Nix on a store that hoist made, and on one that both use.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use crate::closure::{add, check, closure, print, signed};
use crate::with_each_nix;

#[test]
fn nix_finds_nothing_wrong_with_a_closure_that_we_registered() {
    with_each_nix(|world| {
        let items = closure();
        add(&world.open("ours"), &items);
        world.verify("ours");
        check(&world.open("ours"), &items);
    });
}

#[test]
fn nix_reads_everything_that_we_registered() {
    with_each_nix(|world| {
        let items = closure();
        add(&world.open("ours"), &items);
        let (json, _) = world.run("ours", "nix", &["path-info", "--json", "--all"]);
        let json: Value = serde_json::from_str(&json).unwrap();
        for item in &items {
            let path = print(&item.new.path);
            // A list of objects up to Nix 2.18, an object by path since.
            let listed = json.as_array().into_iter().flatten();
            let said =
                json.get(&path).or_else(|| listed.into_iter().find(|it| it["path"] == *path));
            let said = said.unwrap();
            assert_eq!(said["narHash"], item.new.nar_hash.sri());
            assert_eq!(said["narSize"], item.new.nar_size);
            let references: BTreeSet<_> = item.new.references.iter().map(print).collect();
            let theirs = said["references"].as_array().unwrap().iter();
            assert_eq!(
                theirs.map(|it| it.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(),
                references
            );
            let address = item.new.content_address.as_ref().map(ToString::to_string);
            assert_eq!(said.get("ca").and_then(Value::as_str), address.as_deref());
            assert_eq!(
                said.get("deriver").and_then(Value::as_str),
                item.new.deriver.as_ref().map(print).as_deref()
            );
            let signatures: Vec<_> = item.new.signatures.iter().map(ToString::to_string).collect();
            let theirs = said.get("signatures").and_then(Value::as_array).cloned();
            assert_eq!(theirs.unwrap_or_default(), signatures);
        }
        let top = print(&items.last().unwrap().new.path);
        let (requisites, _) = world.run("ours", "nix-store", &["--query", "--requisites", &top]);
        let requisites: BTreeSet<_> = requisites.lines().map(str::to_owned).collect();
        assert_eq!(requisites, items.iter().map(|item| print(&item.new.path)).collect());
    });
}

#[test]
fn a_store_that_nix_made_takes_our_closure() {
    with_each_nix(|world| {
        fs::write(world.path("file"), "theirs").unwrap();
        let file = world.path("file");
        let (added, _) = world.run("theirs", "nix-store", &["--add", file.to_str().unwrap()]);
        let items = closure();
        let store = world.open("theirs");
        add(&store, &items);
        check(&store, &items);
        drop(store);
        world.verify("theirs");
        let (all, _) = world.run("theirs", "nix-store", &["--query", "--hash", &added]);
        assert!(all.starts_with("sha256:"));
    });
}

/// Equal files become one; they are as they were.
#[test]
fn what_nix_optimises_is_still_whole() {
    with_each_nix(|world| {
        let mut items = closure();
        let store = world.open("ours");
        add(&store, &items);
        drop(store);
        world.run("ours", "nix-store", &["--optimise"]);
        let store = world.open("ours");
        check(&store, &items);
        let same = store.physical(&items[2].new.path).join("same");
        assert!(fs::metadata(same).unwrap().nlink() > 1, "files were linked");
        // What comes after that, too.
        items.push(signed("later", &[]));
        add(&store, &items[5..]);
        drop(store);
        world.verify("ours");
        check(&world.open("ours"), &items);
    });
}

#[test]
fn a_database_that_nix_dumps_is_the_one_that_it_would_have_made() {
    with_each_nix(|world| {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/database.json");
        let vectors: Value = serde_json::from_str(&fs::read_to_string(fixtures).unwrap()).unwrap();
        let stream = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../hoist-nix/tests/fixtures/export/closure-full.export"
        );
        let stream = fs::File::open(stream).unwrap();
        world.open("ours").import(stream, hoist_store::Trust::Caller).unwrap();
        let (dumped, _) = world.run("ours", "nix-store", &["--dump-db"]);
        let wanted = vectors["both"]["dump_db"].as_str().unwrap();
        assert_eq!(sections(&dumped), sections(wanted), "{}", world.nix);
        println!("dump-db: {} vectors", sections(wanted).len());
    });
}

/// What `--dump-db` says of each path: five lines and one for each reference. The order is that of
/// Nix's set of paths.
fn sections(dumped: &str) -> BTreeSet<Vec<String>> {
    let mut lines = dumped.lines().map(str::to_owned);
    let mut sections = BTreeSet::new();
    while let Some(path) = lines.next() {
        let mut section = vec![path];
        section.extend(lines.by_ref().take(4));
        let references: usize = section[4].parse().unwrap();
        section.extend(lines.by_ref().take(references));
        sections.insert(section);
    }
    sections
}
