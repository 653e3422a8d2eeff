//! References that Nix found in what it built.

use std::collections::BTreeSet;

use hoist_nix::{RefScanner, Sha256Hash, StoreDir, StorePath};
use serde_json::Value;

use crate::{base64, json, list, text};

/// The NAR of a case, whose long runs of one byte are written as a count.
fn nar(case: &Value) -> Vec<u8> {
    let piece = |piece: &Value| {
        let count: usize = piece[1].to_string().parse().unwrap();
        base64(piece[0].as_str().unwrap()).repeat(count)
    };
    let nar: Vec<u8> = list(case, "nar_pieces").iter().flat_map(piece).collect();
    assert_eq!(Sha256Hash::of(&nar).base16(), text(case, "nar_sha256_base16"));
    nar
}

fn paths(values: &[Value]) -> BTreeSet<StorePath> {
    let dir = StoreDir::default();
    values.iter().map(|path| dir.parse_path(path.as_str().unwrap()).unwrap()).collect()
}

#[test]
fn archives_refer_to_what_nix_found_in_them() {
    let vectors = json("refscan.json");
    let cases = list(&vectors, "cases");
    assert!(!cases.is_empty());
    for case in cases {
        let (nar, candidates) = (nar(case), paths(list(case, "candidates")));
        let wanted = paths(list(&case["result"], "references"));
        for piece_len in [1, 8, 31, 32, 33, 4096, 65_536, usize::MAX] {
            let mut scanner = RefScanner::new(candidates.iter().cloned());
            for piece in nar.chunks(piece_len) {
                scanner.update(piece);
            }
            let found = scanner.finish().references;
            assert_eq!(found, wanted, "{} in pieces of {piece_len}", text(case, "name"));
        }
    }
    println!("refscan: {} vectors, each in 8 kinds of pieces", cases.len());
}
