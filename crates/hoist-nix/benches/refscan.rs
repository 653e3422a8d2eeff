//! How fast streams are scanned for references: `cargo bench -p hoist-nix --bench refscan`.
//!
//! Prints one line for each kind of bytes: the best of some runs, in GB/s. A file given as
//! argument is scanned, too.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::hint::black_box;
use std::time::Instant;
use std::{env, fs};

use hoist_nix::{RefScanner, Sha256Hash, StorePath, StorePathName};

const RUNS: usize = 7;
const PIECE_LEN: usize = 128 * 1024;
const STREAM_LEN: usize = 256 << 20;

fn main() {
    let random: Vec<u8> = (0..STREAM_LEN as u64 / 32).flat_map(block).collect();
    report("random bytes", &random);
    report("digits only", &digits(&random));
    report("words", &words(&random));
    for file in env::args().skip(1).filter(|argument| !argument.starts_with('-')) {
        report(&file, &fs::read(&file).expect("the file is readable"));
    }
}

fn block(counter: u64) -> [u8; 32] {
    Sha256Hash::of(&counter.to_le_bytes()).0
}

/// The digits of Nix base32, as in a list of hashes.
fn digits(random: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
    random.iter().map(|byte| DIGITS[usize::from(byte % 32)]).collect()
}

/// Lower-case letters with a space here and there, as in a table of symbols.
fn words(random: &[u8]) -> Vec<u8> {
    random.iter().map(|byte| if byte % 9 == 0 { b' ' } else { b'a' + byte % 26 }).collect()
}

fn report(what: &str, stream: &[u8]) {
    for candidates in [1, 10, 1000, 10_000] {
        let best = (0..RUNS).map(|_| seconds(candidates, stream)).fold(f64::MAX, f64::min);
        #[expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]
        let rate = stream.len() as f64 / best / 1e9;
        println!("{what}, {candidates} candidates: {rate:.2} GB/s");
    }
}

fn seconds(candidates: u64, stream: &[u8]) -> f64 {
    let name = StorePathName::parse("candidate").expect("letters only");
    let candidate = |counter: u64| {
        let digest = block(counter | 1 << 60);
        StorePath::new(digest.first_chunk().expect("a digest is longer"), &name)
    };
    let mut scanner = RefScanner::new((0..candidates).map(candidate));
    let start = Instant::now();
    for piece in black_box(stream).chunks(PIECE_LEN) {
        scanner.update(piece);
    }
    black_box(scanner.finish());
    start.elapsed().as_secs_f64()
}
