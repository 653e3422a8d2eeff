//! Everything that real Nix wrote or was given, and its near neighbours: cut at each byte, and each
//! byte changed. The same is asked of them as of what the fuzzer finds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the runner shows how many vectors there were")]

use std::path::Path;

#[expect(unreachable_pub, reason = "the fuzz targets call it, too")]
#[path = "../../../fuzz/src/check/mod.rs"]
mod check;
#[expect(unreachable_pub, reason = "the fuzz targets begin with it, too")]
#[path = "../../../fuzz/src/seeds.rs"]
mod seeds;

/// Most places of one seed that are changed, evenly spread, and most bytes that this makes to read.
const PLACES_MAX: usize = 150;
const BYTES_MAX: usize = 150_000;

/// Holds a check against the neighbourhood of each of its seeds.
fn hold(target: &str, check: impl Fn(&[u8])) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let seeds = seeds::seeds(&fixtures, target).unwrap();
    assert!(!seeds.is_empty(), "no fixtures for {target}");
    let mut count = 0_usize;
    for seed in &seeds {
        check(seed);
        let places = PLACES_MAX.min(BYTES_MAX / seed.len().max(1)).max(1);
        let step = seed.len().div_ceil(places).max(1);
        for place in (0..seed.len()).step_by(step) {
            check(&seed[..place]);
            for flipped in [1, 0x80] {
                let mut changed = seed.clone();
                changed[place] ^= flipped;
                check(&changed);
            }
            count += 3;
        }
    }
    println!("{target}: {} vectors, {count} neighbours", seeds.len());
}

#[test]
fn archives_are_read_or_refused() {
    hold("nar", check::nar);
}

#[test]
fn narinfos_are_read_or_refused() {
    hold("narinfo", check::narinfo);
}

#[test]
fn derivations_are_read_or_refused() {
    hold("aterm", check::aterm);
}

#[test]
fn exports_are_read_or_refused() {
    hold("export", check::export);
}

#[test]
fn messages_are_read_or_refused() {
    hold("wire", check::wire);
}

#[test]
fn short_texts_are_read_or_refused() {
    hold("text", check::text);
}
