//! Archives that Nix wrote, and archives that Nix was given.

use std::fs;

use hoist_nix::{NarError, NarEvent, NarLimits, NarNode, NarReader, NarWriter, Sha256Hash};

use crate::{archive, each_of, fixture, json, list, text};

#[test]
fn trees_become_the_archives_that_nix_writes() {
    let cases = json("nar-valid.json");
    for case in each_of(&cases, "cases") {
        let name = text(case, "name");
        let theirs = fs::read(fixture(text(case, "nar"))).unwrap();
        assert!(archive(&case["tree"]) == theirs, "{name}: the archive differs");
        let hash = Sha256Hash::of(&theirs);
        assert_eq!(hash.base16(), text(case, "nar_sha256_base16"), "{name}");
        assert_eq!(hash.nix32(), text(case, "nar_sha256_nix32"), "{name}");
        assert_eq!(hash.sri(), text(case, "nar_sha256_sri"), "{name}");
    }
    println!("{} archives", list(&cases, "cases").len());
}

#[test]
fn archives_of_nix_are_read_and_written_again_the_same() {
    for case in each_of(&json("nar-valid.json"), "cases") {
        let theirs = fs::read(fixture(text(case, "nar"))).unwrap();
        let ours = copy(&theirs).unwrap_or_else(|error| panic!("{}: {error}", text(case, "name")));
        assert!(ours == theirs, "{}: the archive differs", text(case, "name"));
    }
}

/// What both versions accept and write again the same is an archive; all else is refused.
#[test]
fn malformed_archives_are_refused() {
    let cases = json("nar-malformed.json");
    for case in each_of(&cases, "cases") {
        let both = |key: &str| ["2.8.0", "2.26.3"].iter().all(|version| case[key][version] == true);
        let well_formed = both("accepted") && both("redump_equals_input");
        let input = fs::read(fixture(text(case, "input"))).unwrap();
        let answer = copy(&input);
        assert_eq!(answer.is_ok(), well_formed, "{}: {answer:?}", text(case, "name"));
    }
    println!("{} archives", list(&cases, "cases").len());
}

#[test]
fn the_refusal_names_the_place() {
    let refusal = |name: &str| {
        let input = fs::read(fixture(&format!("nar-malformed/{name}.nar"))).unwrap();
        copy(&input).unwrap_err().to_string()
    };
    let cases = [
        ("trailing-garbage", "bytes follow the end of the archive at byte 120"),
        ("contents-nonzero-padding", "the padding at byte 102 is not zero"),
        ("contents-twice", "found `contents` at byte 104, wanted `)` of a node"),
        ("symlink-nul-in-target", "the symlink target at byte 88 is empty or holds a NUL byte"),
        ("name-dotdot", "entry name `..` at byte 128 is not the name of a file"),
        ("entries-duplicate", "entry `alpha` at byte 320 does not come after `alpha`"),
    ];
    for (name, wanted) in cases {
        assert_eq!(refusal(name), wanted, "{name}");
    }
}

fn copy(bytes: &[u8]) -> Result<Vec<u8>, NarError> {
    let mut reader = NarReader::new(bytes, NarLimits::default())?;
    let mut nar = NarWriter::new(Vec::new()).expect("a vector takes every byte");
    while let Some(event) = reader.next_event()? {
        let NarEvent::Node { name, node } = event else {
            nar.end_directory().expect("a directory is open");
            continue;
        };
        if let Some(name) = name {
            nar.entry(&name).expect("the reader checked the name");
        }
        match node {
            NarNode::Directory => nar.directory().expect("a vector takes every byte"),
            NarNode::Symlink { target } => nar.symlink(&target).expect("the reader checked it"),
            NarNode::File { executable, size } => {
                let mut contents = Vec::new();
                let mut chunk = [0; 1000];
                while let count @ 1.. = reader.read_contents(&mut chunk)? {
                    contents.extend_from_slice(&chunk[..count]);
                }
                nar.file(executable, size, &mut contents.as_slice()).expect("all was read");
            }
        }
    }
    Ok(nar.finish())
}
