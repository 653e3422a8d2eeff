//! Properties of narinfos.

use proptest::prelude::*;

use super::{Compression, NarInfo, NarUrl};
use crate::{ContentAddress, Sha256Hash, Signature, StoreDir, StorePath, StorePathName};

fn path() -> impl Strategy<Value = StorePath> {
    (any::<[u8; 20]>(), "[a-z][a-z0-9.-]{0,12}").prop_map(|(digest, name)| {
        StorePath::new(&digest, &StorePathName::parse(&name).expect("made of allowed characters"))
    })
}

prop_compose! {
    fn narinfo()(
        store_path in path(),
        url in "nar/[0-9a-z]{1,20}\\.nar(\\?hash=[0-9a-z]{1,8})?",
        compression in prop::sample::select(Compression::ALL.as_slice()),
        file in prop::option::of((any::<[u8; 32]>(), 1..=i64::MAX.unsigned_abs())),
        nar_hash: [u8; 32],
        nar_size in 1..=i64::MAX.unsigned_abs(),
        references in prop::collection::btree_set(path(), 0..5),
        deriver in prop::option::of(path()),
        signatures in prop::collection::vec(("[a-z0-9.-]{1,9}", any::<[u8; 32]>()), 0..4),
        content in prop::option::of(any::<[u8; 32]>()),
    ) -> NarInfo {
        let signature = |(name, half): (String, [u8; 32])| {
            Signature::new(name, std::array::from_fn(|index| half[index % 32]))
        };
        let mut signatures: Vec<Signature> = signatures.into_iter().map(signature).collect();
        signatures.sort_by_cached_key(ToString::to_string);
        NarInfo {
            store_path,
            url: NarUrl::parse(&url).expect("made of allowed characters"),
            compression,
            file_hash: file.map(|(hash, _)| Sha256Hash(hash)),
            file_size: file.map(|(_, size)| size),
            nar_hash: Sha256Hash(nar_hash),
            nar_size,
            references: references.into_iter().collect(),
            deriver,
            signatures,
            content_address: content.map(|hash| ContentAddress::Recursive(Sha256Hash(hash).into())),
        }
    }
}

proptest! {
    #[test]
    fn parsing_undoes_printing(info in narinfo()) {
        let dir = StoreDir::default();
        prop_assert_eq!(NarInfo::parse(&dir, info.print(&dir).as_bytes())?, info);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = NarInfo::parse(&StoreDir::default(), &bytes);
    }

    #[test]
    fn any_lines_are_read_or_refused(
        lines in prop::collection::vec("(StorePath|URL|NarHash|NarSize|Sig|CA|References): .{0,60}", 0..9)
    ) {
        let _ = NarInfo::parse(&StoreDir::default(), (lines.join("\n") + "\n").as_bytes());
    }
}
