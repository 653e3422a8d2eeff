//! Which store paths a stream of bytes mentions.
//!
//! Nix takes a path for a reference of another when the 32 digits of its hash part occur anywhere
//! in the other's NAR, in contents, names or targets, whatever is around them. Source: the section
//! on references in the Nix manual's chapter “Store path”.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::StorePath;
use crate::base32::IS_DIGIT;
use crate::store_path::HASH_PART_LEN;

/// How many places of the path itself are kept; all are counted.
const PLACES_MAX: usize = 1024;

/// Of windows of random digits, one in so many passes the filter and is compared.
const FILTER_BITS_PER_CANDIDATE: usize = 256;

/// As large as it can be without leaving the first cache.
const FILTER_BITS_MIN: usize = 1 << 16;

/// Finds which of some store paths occur in what is written to it, wherever the pieces are cut.
///
/// Bytes that are no digits of Nix base32 let it step over up to 32 bytes at a time, so that most
/// of a binary is never looked at.
///
/// ```
/// use hoist_nix::{RefScanner, StorePath};
///
/// let libz = StorePath::parse("a3q32d61r4q7czlx68ng3845pny0lq8l-libz-1.3")?;
/// let data = StorePath::parse("ly5p6in2dsh0hbwgs0sra4vaplhfpx9y-data.txt")?;
/// let mut scanner = RefScanner::new([libz.clone(), data]);
/// scanner.update(b"RUNPATH=/nix/store/a3q32d61r4q7cz");
/// scanner.update(b"lx68ng3845pny0lq8l-libz-1.3/lib");
/// assert!(scanner.finish().references.into_iter().eq([libz]));
/// # Ok::<(), hoist_nix::StorePathError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RefScanner {
    /// Sorted, so that those of one hash part are neighbours.
    candidates: Vec<StorePath>,
    found: Vec<bool>,
    /// How many candidates were not found yet.
    missing: usize,
    filter: Filter,
    /// The path whose every place is wanted.
    own: Option<StorePath>,
    own_places: OwnPlaces,
    /// The digits that the bytes so far end with, without those of a whole hash part.
    tail: Vec<u8>,
    /// How many bytes there were.
    offset: u64,
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundReferences {
    /// The candidates that occur, sorted as Nix sorts references.
    pub references: BTreeSet<StorePath>,
    /// Where the path itself occurs; empty without [`RefScanner::with_own_path`].
    pub own_places: OwnPlaces,
}

/// Where the hash part of the path itself occurs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnPlaces {
    /// How often.
    pub count: u64,
    /// Offsets in bytes of the first 1024 of them, ascending.
    pub first: Vec<u64>,
}

impl RefScanner {
    /// Looks for each of `candidates`; there may be thousands of them.
    pub fn new(candidates: impl IntoIterator<Item = StorePath>) -> Self {
        let candidates: BTreeSet<StorePath> = candidates.into_iter().collect();
        let candidates: Vec<StorePath> = candidates.into_iter().collect();
        Self {
            found: vec![false; candidates.len()],
            missing: candidates.len(),
            filter: Filter::new(&candidates),
            candidates,
            own: None,
            own_places: OwnPlaces::default(),
            tail: Vec::with_capacity(HASH_PART_LEN),
            offset: 0,
        }
    }

    /// Looks for `path`, too, and says where it occurs. It is a reference like any other.
    #[must_use]
    pub fn with_own_path(self, path: &StorePath) -> Self {
        let candidates = self.candidates.into_iter().chain([path.clone()]);
        Self { own: Some(path.clone()), ..Self::new(candidates) }
    }

    /// Scans the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        if self.missing > 0 || self.own.is_some() {
            self.scan_seam(bytes);
            self.scan(bytes, self.offset);
            self.keep_tail(bytes);
        }
        self.offset += bytes.len() as u64;
    }

    /// Returns what was found.
    #[must_use]
    pub fn finish(self) -> FoundReferences {
        let found = self.candidates.into_iter().zip(self.found);
        FoundReferences {
            references: found.filter_map(|(path, found)| found.then_some(path)).collect(),
            own_places: self.own_places,
        }
    }

    /// Scans the hash parts that begin in the pieces before and end in this one.
    fn scan_seam(&mut self, bytes: &[u8]) {
        if self.tail.is_empty() {
            return;
        }
        let before = self.offset - self.tail.len() as u64;
        let mut seam = std::mem::take(&mut self.tail);
        let tail_len = seam.len();
        seam.extend_from_slice(&bytes[..bytes.len().min(HASH_PART_LEN - 1)]);
        self.scan(&seam, before);
        seam.truncate(tail_len);
        self.tail = seam;
    }

    /// Scans the hash parts inside `bytes`, which begin at `offset` of the stream.
    fn scan(&mut self, bytes: &[u8], offset: u64) {
        let mut start = 0;
        while let Some(window) = bytes.get(start..start + HASH_PART_LEN) {
            if let Some(position) = window.iter().rposition(|&byte| !is_digit(byte)) {
                start += position + 1; // no hash part reaches across what is no digit
                continue;
            }
            let more = bytes[start + HASH_PART_LEN..].iter().take_while(|&&byte| is_digit(byte));
            let end = start + HASH_PART_LEN + more.count();
            for (place, window) in bytes[start..end].windows(HASH_PART_LEN).enumerate() {
                if self.filter.may_hold(window) {
                    self.compare(window, offset + (start + place) as u64);
                }
            }
            start = end + 1;
        }
    }

    #[cold]
    fn compare(&mut self, window: &[u8], offset: u64) {
        let first = self.candidates.partition_point(|path| hash_part(path) < window);
        let of_window = |path: &&StorePath| hash_part(path) == window;
        let count = self.candidates[first..].iter().take_while(of_window).count();
        for found in &mut self.found[first..first + count] {
            self.missing -= usize::from(!*found);
            *found = true;
        }
        if self.own.as_ref().is_some_and(|own| hash_part(own) == window) {
            self.own_places.count += 1;
            if self.own_places.first.len() < PLACES_MAX {
                self.own_places.first.push(offset);
            }
        }
    }

    /// Keeps the digits at the end of this piece, with those before it if it has nothing else.
    fn keep_tail(&mut self, bytes: &[u8]) {
        let end = &bytes[bytes.len().saturating_sub(HASH_PART_LEN - 1)..];
        let digits = end.iter().rev().take_while(|&&byte| is_digit(byte)).count();
        if digits < bytes.len() {
            self.tail.clear();
        }
        self.tail.extend_from_slice(&end[end.len() - digits..]);
        let excess = self.tail.len().saturating_sub(HASH_PART_LEN - 1);
        self.tail.drain(..excess);
    }
}

impl Write for RefScanner {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_digit(byte: u8) -> bool {
    IS_DIGIT[usize::from(byte)]
}

fn hash_part(path: &StorePath) -> &[u8] {
    path.hash_part().as_bytes()
}

/// A bit for each candidate, at a place given by the digits it begins with.
#[derive(Debug, Clone)]
struct Filter {
    bits: Vec<u64>,
    /// How far a product is shifted to be the number of a bit.
    shift: u32,
}

impl Filter {
    fn new(candidates: &[StorePath]) -> Self {
        let wanted = (candidates.len() * FILTER_BITS_PER_CANDIDATE).max(FILTER_BITS_MIN);
        let bit_count = wanted.next_power_of_two();
        let mut filter = Self { bits: vec![0; bit_count / 64], shift: 64 - bit_count.ilog2() };
        for path in candidates {
            let bit = filter.bit(hash_part(path));
            filter.bits[bit / 64] |= 1 << (bit % 64);
        }
        filter
    }

    fn may_hold(&self, window: &[u8]) -> bool {
        let bit = self.bit(window);
        self.bits[bit / 64] >> (bit % 64) & 1 == 1
    }

    fn bit(&self, window: &[u8]) -> usize {
        let first = u64::from_le_bytes(*window.first_chunk().expect("a hash part is longer"));
        // The golden ratio: every digit changes the upper bits of the product.
        let product = first.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(product >> self.shift).expect("below the number of bits, which is a usize")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{StorePathName, base32};
    use proptest::prelude::*;

    fn path(digest: &[u8; 20]) -> StorePath {
        StorePath::new(digest, &StorePathName::parse("x").unwrap())
    }

    fn scan(candidates: &[StorePath], pieces: &[&[u8]]) -> BTreeSet<StorePath> {
        let mut scanner = RefScanner::new(candidates.iter().cloned());
        for piece in pieces {
            scanner.update(piece);
        }
        scanner.finish().references
    }

    #[test]
    fn paths_of_one_hash_part_are_found_together() {
        let other = StorePath::new(&[7; 20], &StorePathName::parse("other").unwrap());
        let candidates = [path(&[7; 20]), other, path(&[8; 20])];
        let found = scan(&candidates, &[candidates[0].hash_part().as_bytes()]);
        assert!(found.iter().eq([&candidates[1], &candidates[0]]), "{found:?}");
    }

    #[test]
    fn a_hash_part_is_found_in_single_bytes() {
        let own = path(&[9; 20]);
        let mut scanner = RefScanner::new([]).with_own_path(&own);
        for byte in format!("01{own} {own}").bytes() {
            scanner.update(&[byte]);
        }
        let found = scanner.finish();
        assert!(found.references.into_iter().eq([own]));
        assert_eq!(found.own_places, OwnPlaces { count: 2, first: vec![2, 37] });
    }

    #[test]
    fn more_places_than_are_kept_are_counted() {
        let own = StorePath::parse("ly5p6in2dsh0hbwgs0sra4vaplhfpx9y-data.txt").unwrap();
        let mut scanner = RefScanner::new([]).with_own_path(&own);
        for _ in 0..PLACES_MAX + 5 {
            scanner.update(own.hash_part().as_bytes());
        }
        let places = scanner.finish().own_places;
        assert_eq!((places.count, places.first.len()), (PLACES_MAX as u64 + 5, PLACES_MAX));
    }

    /// Digits that make hash parts likely, digits at all, and any bytes.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            3 => (0..4_u8).prop_map(|seed| base32::encode(&[seed; 20]).into_bytes()),
            2 => "[0-3]{1,40}".prop_map(String::into_bytes),
            2 => "[a-z0-9]{0,70}".prop_map(String::into_bytes),
            2 => prop::collection::vec(any::<u8>(), 0..70),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// However the stream is cut, a scan finds what comparing every place finds.
        #[test]
        fn a_scan_is_a_search_of_every_place(
            stream in stream(),
            digests in prop::collection::vec(prop_oneof![(0..6_u8).prop_map(|seed| [seed; 20]), any::<[u8; 20]>()], 0..40),
            cuts in prop::collection::vec(0..80_usize, 0..30),
        ) {
            let candidates: Vec<StorePath> = digests.iter().map(path).collect();
            let mut scanner = RefScanner::new(candidates.iter().cloned());
            let own = path(&[0; 20]);
            if let Some(first) = candidates.first() {
                scanner = scanner.with_own_path(first);
            }
            let mut rest = stream.as_slice();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                scanner.update(piece);
                rest = after;
            }
            scanner.update(rest);

            let holds = |path: &StorePath| {
                stream.windows(HASH_PART_LEN).any(|window| window == path.hash_part().as_bytes())
            };
            let wanted: BTreeSet<_> = candidates.iter().filter(|path| holds(path)).cloned().collect();
            let own = candidates.first().unwrap_or(&own).hash_part().as_bytes();
            let windows = stream.windows(HASH_PART_LEN).enumerate();
            let places: Vec<u64> = windows
                .filter(|(_, window)| !candidates.is_empty() && *window == own)
                .map(|(place, _)| place as u64)
                .collect();
            let found = scanner.finish();
            prop_assert_eq!(found.references, wanted);
            prop_assert_eq!(found.own_places.count, places.len() as u64);
            prop_assert_eq!(found.own_places.first, places);
        }
    }
}
