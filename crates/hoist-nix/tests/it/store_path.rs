//! Store paths, their names, and the content they follow from.

use std::fs;

use hoist_nix::{
    ContentAddress, Hash, HashAlgorithm, RefScanner, Sha256Hash, StoreDir, StorePath,
    StorePathError, StorePathName, fixed_recursive_sha256,
};
use serde_json::Value;

use crate::{archive, contents, each_of, fixture, json, list, text};

/// Checks that path and content address of `result` belong together.
fn check(dir: &StoreDir, result: &Value) {
    let path = dir.parse_path(text(result, "path")).unwrap();
    let address = ContentAddress::parse(text(result, "ca")).unwrap();
    assert_eq!(address.to_string(), text(result, "ca"));
    let reference = |value: &Value| dir.parse_path(value.as_str().unwrap()).unwrap();
    let references: Vec<StorePath> = list(result, "references").iter().map(reference).collect();
    let name = StorePathName::parse(path.name()).unwrap();
    assert_eq!(address.store_path(dir, &name, &references), Ok(path));
}

#[test]
fn added_trees_get_the_paths_that_nix_gives_them() {
    let vectors = json("store-paths.json");
    let dir = StoreDir::default();
    for case in each_of(&vectors, "add") {
        let result = &case["result"];
        check(&dir, result);
        let tree = &vectors["inputs"][text(case, "input")];
        let nar_hash = Sha256Hash::of(&archive(tree));
        assert_eq!(nar_hash.sri(), text(result, "narHash"));
        assert_eq!(result["narSize"], archive(tree).len());
        if text(case, "algo") != "sha256" {
            continue;
        }
        let path = dir.parse_path(text(result, "path")).unwrap();
        let name = StorePathName::parse(path.name()).unwrap();
        if text(case, "method") == "nar" {
            assert_eq!(fixed_recursive_sha256(&dir, &name, &nar_hash), path);
        } else {
            let address = ContentAddress::Flat(Sha256Hash::of(&contents(tree)).into());
            assert_eq!(address.store_path(&dir, &name, &[]), Ok(path));
        }
    }
    println!("{} additions", list(&vectors, "add").len());
}

#[test]
fn fixed_paths_follow_from_hashes_of_every_kind() {
    let vectors = json("store-paths.json");
    for case in each_of(&vectors, "print_fixed_path") {
        let algorithm = match text(case, "algo") {
            "md5" => HashAlgorithm::Md5,
            "sha1" => HashAlgorithm::Sha1,
            "sha256" => HashAlgorithm::Sha256,
            _ => HashAlgorithm::Sha512,
        };
        let hash = Hash::parse_as(algorithm, text(case, "hash")).unwrap();
        let recursive = case["recursive"].as_bool().unwrap();
        let address =
            if recursive { ContentAddress::Recursive(hash) } else { ContentAddress::Flat(hash) };
        let dir = StoreDir::default();
        let name = StorePathName::parse(text(case, "name")).unwrap();
        let path = address.store_path(&dir, &name, &[]).unwrap();
        assert_eq!(dir.print(&path), text(&case["result"], "path"));
    }
    println!("{} paths", list(&vectors, "print_fixed_path").len());
}

#[test]
fn texts_with_references_and_other_store_directories_agree() {
    let vectors = json("store-paths.json");
    for case in each_of(&vectors, "to_file") {
        check(&StoreDir::default(), &case["result"]);
        let address = ContentAddress::Text(Sha256Hash::of(&contents(&case["result"])));
        assert_eq!(address.to_string(), text(&case["result"], "ca"));
    }
    for case in each_of(&vectors, "other_store_dirs") {
        check(&StoreDir::parse(text(case, "store_dir")).unwrap(), &case["result"]);
    }
    let counted = ["to_file", "other_store_dirs"].map(|key| list(&vectors, key).len());
    println!("{} texts, {} paths in other directories", counted[0], counted[1]);
}

/// hoist accepts a name that both versions accept. What follows from a file's contents is not a
/// matter of its name: both refuse `x.drv` because it holds no derivation.
#[test]
fn names_are_accepted_where_both_versions_do() {
    let vectors = json("store-paths.json");
    let dir = StoreDir::default();
    let nar_hash = Sha256Hash::of(&archive(&vectors["inputs"]["hello.txt"]));
    for case in each_of(&vectors, "names") {
        let name = String::from_utf8(crate::bytes(case, "name")).unwrap();
        let added = ["2.8.0", "2.26.3"].map(|version| &case["by_version"][version]["add_path"]);
        let both = added.iter().all(|added| added["exit"] == 0);
        let parsed = StorePathName::parse(&name);
        assert_eq!(parsed.is_ok(), both || name == "x.drv", "{name}: {parsed:?}");
        if let (Ok(name), true) = (parsed, both) {
            let path = fixed_recursive_sha256(&dir, &name, &nar_hash);
            assert_eq!(dir.print(&path), text(added[0], "path"));
            let text_path = ContentAddress::Text(Sha256Hash::of(b"x")).store_path(&dir, &name, &[]);
            let written = &case["by_version"]["2.26.3"]["toFile"];
            assert_eq!(dir.print(&text_path.unwrap()), text(written, "path"));
        }
    }
    println!("{} names", list(&vectors, "names").len());
}

/// What each version made of a path by `nix store make-content-addressed`: its path and what the
/// version registered of it.
fn made_by_content(case: &Value) -> Vec<(&'static str, &str, &Value)> {
    let results = ["2.8.0", "2.26.3"].map(|version| {
        let result = case.get("result").unwrap_or_else(|| &case["by_version"][version]);
        let made = result["after"].as_object().unwrap();
        made.iter().map(move |(path, info)| (version, path.as_str(), info))
    });
    results.into_iter().flatten().collect()
}

/// The versions agree on paths without a self reference, and so does hoist; it refuses the others.
#[test]
fn paths_named_by_content_may_not_refer_to_themselves() {
    let vectors = json("store-paths.json");
    let dir = StoreDir::default();
    let [mut agreed, mut refused] = [0, 0];
    for case in each_of(&vectors, "make_content_addressed") {
        for (_, printed, info) in made_by_content(case) {
            let path = dir.parse_path(printed).unwrap();
            let address = ContentAddress::parse(text(info, "ca")).unwrap();
            let reference = |value: &Value| dir.parse_path(value.as_str().unwrap()).unwrap();
            let references: Vec<_> = list(info, "references").iter().map(reference).collect();
            let answer = address.check_path(&dir, &path, &references);
            if references.contains(&path) {
                assert_eq!(answer, Err(StorePathError::SelfReference { path: printed.into() }));
                refused += 1;
            } else {
                assert_eq!(answer, Ok(()), "{printed}");
                let nar = fs::read(fixture(text(&case["nars"], printed))).unwrap();
                assert_eq!(Sha256Hash::of(&nar).sri(), text(info, "narHash"), "{printed}");
                assert_eq!(address, ContentAddress::Recursive(Sha256Hash::of(&nar).into()));
                agreed += 1;
            }
        }
    }
    assert!(agreed > 0 && refused > 0);
    println!("{agreed} paths by content, {refused} with self references");
}

/// Why hoist refuses self references: 2.8 hashes the places of the hash part, 2.26 does not. Here
/// both are worked out from the places that the scan found.
#[test]
fn the_two_versions_hash_self_references_differently() {
    let vectors = json("store-paths.json");
    let dir = StoreDir::default();
    let mut count = 0;
    for case in each_of(&vectors, "make_content_addressed") {
        for (version, printed, info) in made_by_content(case) {
            let path = dir.parse_path(printed).unwrap();
            let mut nar = fs::read(fixture(text(&case["nars"], printed))).unwrap();
            let mut scanner = RefScanner::new([]).with_own_path(&path);
            for piece in nar.chunks(50) {
                scanner.update(piece);
            }
            let places = scanner.finish().own_places.first;
            for &place in &places {
                let place = usize::try_from(place).unwrap();
                nar[place..place + 32].fill(0);
            }
            if version == "2.8.0" {
                nar.extend(places.iter().flat_map(|place| format!("|{place}").into_bytes()));
            }
            let address = ContentAddress::Recursive(Sha256Hash::of(&nar).into());
            assert_eq!(address.to_string(), text(info, "ca"), "{printed} by {version}");
            count += usize::from(!places.is_empty());
        }
    }
    assert!(count > 0);
    println!("{count} paths with self references");
}

/// Nix passes over the character behind the hash part; hoist wants the dash that every store path
/// has. Paths below a store path are another question, too.
#[test]
fn store_paths_are_read_as_nix_reads_them() {
    let vectors = json("base32.json");
    let stricter = ["33 chars", "no dash", "subpath"];
    for case in each_of(&vectors, "store_paths") {
        let result = case.get("result").unwrap_or(&case["by_version"]["2.26.3"]);
        let well_formed = text(result, "stderr").ends_with("is not valid");
        let wanted = well_formed && !stricter.contains(&text(case, "why"));
        let parsed = StoreDir::default().parse_path(text(case, "path"));
        assert_eq!(parsed.is_ok(), wanted, "{}: {parsed:?}", text(case, "why"));
    }
    println!("{} paths", list(&vectors, "store_paths").len());
}
