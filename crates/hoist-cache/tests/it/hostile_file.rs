//! Files that are not what their narinfo says, and files that want more memory than they may.

use std::fs;
use std::io::{self, Read as _, Write as _};

use hoist_cache::FetchError;
use hoist_nix::{Compression, NarInfo, Sha256Hash, StoreDir};

use crate::{Hostile, fixtures, open, reason};

/// A NAR as far as this crate is concerned, which leaves its structure to whoever unpacks it.
const NAR: &[u8] = &[7; 10_000];

/// Compresses; the crates of the others only decompress, or have one stream only.
fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::None => bytes.to_vec(),
        Compression::Xz => liblzma::encode_all(bytes, 6).unwrap(),
        Compression::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(bytes, 3).unwrap(),
        Compression::Brotli | Compression::Lzip | Compression::Lzma => {
            panic!("{compression:?} comes from fixtures")
        }
    }
}

const ENCODED: [Compression; 5] =
    [Compression::None, Compression::Xz, Compression::Bzip2, Compression::Gzip, Compression::Zstd];

#[test]
fn files_of_several_streams_are_one_nar() {
    for compression in ENCODED {
        let (first, second) = NAR.split_at(4000);
        let file = [compress(compression, first), compress(compression, second)].concat();
        let cache = Hostile::new(compression, &file, NAR);
        assert!(cache.read().unwrap() == NAR, "{}", compression.name());
    }
}

#[test]
fn refuses_bytes_behind_the_end() {
    for compression in ENCODED {
        for behind in [&b"x"[..], &[0; 3], b"more than a header of any kind"] {
            let file = [&compress(compression, NAR), behind].concat();
            let refusal = Hostile::new(compression, &file, NAR).refusal();
            let is_of_kind = match compression {
                Compression::None => refusal.ends_with("the NAR has more than 10000 bytes"),
                _ => refusal.starts_with(&format!("the file is not valid {}", compression.name())),
            };
            assert!(is_of_kind, "{}: {refusal}", compression.name());
        }
    }
}

/// A file that Nix compressed, and its NAR.
fn file_of_nix(compression: Compression) -> (Vec<u8>, Vec<u8>) {
    let folder = fixtures().join("cache").join(format!("2.8.0-{}", compression.name()));
    let mut files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let narinfo = files.find(|file| file.extension().is_some_and(|kind| kind == "narinfo"));
    let text = fs::read(narinfo.unwrap()).unwrap();
    let info = NarInfo::parse(&StoreDir::default(), &text).unwrap();
    let mut nar = Vec::new();
    open(&folder).nar(&info).unwrap().read_to_end(&mut nar).unwrap();
    (fs::read(folder.join(info.url.as_str())).unwrap(), nar)
}

#[test]
fn refuses_bytes_behind_the_end_of_the_one_stream() {
    for compression in [Compression::Brotli, Compression::Lzip, Compression::Lzma] {
        let (mut file, nar) = file_of_nix(compression);
        assert!(Hostile::new(compression, &file, &nar).read().unwrap() == nar);

        file.push(b'x');
        let refusal = Hostile::new(compression, &file, &nar).refusal();
        assert_eq!(refusal, "bytes follow the end of the compressed NAR", "{compression:?}");
        for len in (0..file.len() - 1).rev().step_by(file.len().div_ceil(60)) {
            let refusal = Hostile::new(compression, &file[..len], &nar).refusal();
            assert!(refusal.starts_with("the file is not valid"), "{compression:?}: {refusal}");
        }
    }
}

#[test]
fn refuses_lzip_and_lzma_that_want_much_memory() {
    let (mut lzip, nar) = file_of_nix(Compression::Lzip);
    lzip[5] = 29; // a dictionary of 512 MiB
    let refusal = Hostile::new(Compression::Lzip, &lzip, &nar).refusal();
    assert!(refusal.contains("memory"), "{refusal}");
    let (mut lzma, nar) = file_of_nix(Compression::Lzma);
    lzma[1..5].copy_from_slice(&(1_u32 << 30).to_le_bytes());
    let refusal = Hostile::new(Compression::Lzma, &lzma, &nar).refusal();
    assert!(refusal.contains("memory"), "{refusal}");
}

#[test]
fn refuses_a_nar_of_another_size() {
    for compression in ENCODED {
        let file = compress(compression, NAR);
        let refusal = Hostile::new(compression, &file, &NAR[1..]).refusal();
        assert_eq!(refusal, "the NAR has more than 9999 bytes", "{}", compression.name());
        let refusal = Hostile::new(compression, &file, &[7; 10_008]).refusal();
        assert_eq!(refusal, "the NAR has 10000 bytes, wanted 10008", "{}", compression.name());
        let refusal = Hostile::new(compression, &file, &[8; 10_000]).refusal();
        assert!(refusal.starts_with("the NAR has hash sha256:"), "{refusal}");
    }
}

/// What is cut off where the contents are whole lacks its checksum, or nothing that counts.
#[test]
fn refuses_a_file_cut_off_anywhere() {
    for compression in ENCODED {
        let file = compress(compression, NAR);
        for len in (0..file.len()).rev().step_by(file.len().div_ceil(60)) {
            assert!(Hostile::new(compression, &file[..len], NAR).read().is_err());
        }
    }
}

#[test]
fn refuses_a_file_of_another_size_or_hash() {
    for compression in ENCODED {
        let file = compress(compression, NAR);
        let mut cache = Hostile::new(compression, &file, NAR);
        cache.info.file_size = Some(file.len() as u64);
        cache.info.file_hash = Some(Sha256Hash::of(&file));
        assert!(cache.read().is_ok());

        cache.info.file_hash = Some(Sha256Hash::of(b"another"));
        assert!(cache.refusal().starts_with("the file has hash sha256:"), "{}", cache.refusal());
        cache.info.file_size = Some(file.len() as u64 + 1);
        let wanted = format!("the file has {} bytes, wanted {}", file.len(), file.len() + 1);
        assert!(cache.refusal().ends_with(&wanted), "{}", cache.refusal());
        cache.info.file_size = Some(file.len() as u64 - 1);
        assert!(cache.refusal().ends_with(&format!("than {} bytes", file.len() - 1)));
    }
}

#[test]
fn an_endless_file_that_says_nothing_comes_to_an_end() {
    let nothing = compress(Compression::Gzip, b"");
    let file = [compress(Compression::Gzip, NAR), nothing.repeat(10_000)].concat();
    let refusal = Hostile::new(Compression::Gzip, &file, NAR).refusal();
    assert!(refusal.ends_with("is longer than 75692 bytes"), "{refusal}");
}

#[test]
fn a_file_can_never_be_larger_than_its_nar_allows() {
    let mut cache = Hostile::new(Compression::Xz, &compress(Compression::Xz, NAR), NAR);
    cache.info.file_size = Some(1 << 40);
    let refusal = cache.refusal();
    assert!(refusal.contains("wanted 1099511627776"), "{refusal}");
}

#[test]
fn a_nar_above_the_limit_is_not_begun() {
    let mut cache = Hostile::new(Compression::Zstd, b"", NAR);
    cache.info.nar_size = u64::MAX / 2;
    assert!(cache.refusal().ends_with("has 9223372036854775807 bytes, limit 68719476736"));
}

/// What would be 8 MiB, or 8 TiB, is left where the promised NAR ends.
#[test]
fn a_bomb_is_left_after_the_promised_size() {
    let zeros = vec![0; 8 << 20];
    for compression in [Compression::Xz, Compression::Bzip2, Compression::Gzip, Compression::Zstd] {
        let file = compress(compression, &zeros);
        assert!(file.len() < zeros.len() / 500, "{}", compression.name());
        let cache = Hostile::new(compression, &file, &zeros[..10_000]);
        let mut nar = open(cache.dir.path()).nar(&cache.info).unwrap();
        let mut bytes = Vec::new();
        let error = nar.read_to_end(&mut bytes).unwrap_err();
        assert!(matches!(reason(&error), FetchError::NarTooLong { wanted: 10_000 }), "{error}");
        assert!(bytes.len() < 10_000);
    }
}

#[test]
fn memory_does_not_grow_with_the_nar() {
    let size = 256 << 20;
    let file = {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        io::copy(&mut io::repeat(0).take(size), &mut encoder).unwrap();
        encoder.finish().unwrap()
    };
    let mut cache = Hostile::new(Compression::Zstd, &file, NAR);
    cache.info.nar_size = size;
    let before = peak_memory_kib();
    let mut nar = open(cache.dir.path()).nar(&cache.info).unwrap();
    let error = io::copy(&mut nar, &mut io::sink()).unwrap_err();
    assert!(matches!(reason(&error), FetchError::NarHash { .. }), "{error}");
    let grown = peak_memory_kib() - before;
    assert!(grown < 16 * 1024, "{grown} KiB");
}

fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn refuses_xz_that_wants_4_gib() {
    let mut file = compress(Compression::Xz, NAR);
    assert_eq!(file[14..16], [0x21, 0x01], "the LZMA2 filter of the first block");
    file[16] = 40; // a dictionary of 4 GiB
    let mut checksum = flate2::Crc::new();
    checksum.update(&file[12..20]);
    file[20..24].copy_from_slice(&checksum.sum().to_le_bytes());
    let refusal = Hostile::new(Compression::Xz, &file, NAR).refusal();
    assert!(refusal.contains("memory"), "{refusal}");
}

#[test]
fn refuses_zstd_that_wants_2_gib() {
    let file = [0x28, 0xb5, 0x2f, 0xfd, 0, (31 - 10) << 3, 1, 0, 0];
    let refusal = Hostile::new(Compression::Zstd, &file, NAR).refusal();
    assert!(refusal.contains("too much memory"), "{refusal}");
}

#[test]
fn refuses_brotli_with_a_window_of_its_own_kind() {
    let file = [0x11, 30, 0, 0, 0, 0, 0, 0];
    let refusal = Hostile::new(Compression::Brotli, &file, NAR).refusal();
    assert!(refusal.starts_with("the file is not valid br"), "{refusal}");
}
