//! What the loader takes for granted and gives no fact here: that tables are where the file says.
//!
//! Source: the System V gABI, "Dynamic Section"; what glibc's `elf_get_dynamic_info` and
//! `_dl_relocate_object` take for granted.

use crate::dynamic::Entries;
use crate::error::ElfError;
use crate::image::Image;
use crate::segments::LoadMap;
use crate::spec::{
    DT_FINI, DT_FINI_ARRAY, DT_FINI_ARRAYSZ, DT_INIT, DT_INIT_ARRAY, DT_INIT_ARRAYSZ, DT_JMPREL,
    DT_PLTRELSZ, DT_REL, DT_RELA, DT_RELASZ, DT_RELR, DT_RELRSZ, DT_RELSZ,
};

const DT_RELAENT: u64 = 9;
const DT_RELENT: u64 = 19;
const DT_RELRENT: u64 = 37;

/// Tables by their entry, the entry with their length in bytes, and their name.
const TABLES: [(u64, u64, &str); 6] = [
    (DT_RELA, DT_RELASZ, "DT_RELA"),
    (DT_REL, DT_RELSZ, "DT_REL"),
    (DT_RELR, DT_RELRSZ, "DT_RELR"),
    (DT_JMPREL, DT_PLTRELSZ, "DT_JMPREL"),
    (DT_INIT_ARRAY, DT_INIT_ARRAYSZ, "DT_INIT_ARRAY"),
    (DT_FINI_ARRAY, DT_FINI_ARRAYSZ, "DT_FINI_ARRAY"),
];

/// Checks the version of the format: there is one, and the loader refuses others.
pub(crate) fn check_version(image: &Image<'_>) -> Result<(), ElfError> {
    let found = image.u32(20, "e_version")?.into();
    match found {
        1 => Ok(()),
        _ => Err(ElfError::Field { field: "e_version", offset: 20, found, wanted: "1" }),
    }
}

/// Checks that relocations and the functions that run at loading and unloading lie in the image.
pub(crate) fn check_tables(
    image: &Image<'_>,
    map: &LoadMap<'_>,
    entries: &Entries,
) -> Result<(), ElfError> {
    for (tag, size_tag, what) in TABLES {
        if let (Some(address), Some(length)) = (entries.get(tag), entries.get(size_tag))
            && length > 0
        {
            map.bytes_at(address, length, what)?;
        }
    }
    let word = image.word_bytes();
    for (tag, entry, wanted) in [
        (DT_RELAENT, "DT_RELAENT", 3 * word),
        (DT_RELENT, "DT_RELENT", 2 * word),
        (DT_RELRENT, "DT_RELRENT", word),
    ] {
        if let Some(found) = entries.get(tag).filter(|found| *found != wanted) {
            return Err(ElfError::Entry { entry, found, wanted });
        }
    }
    for (tag, what) in [(DT_INIT, "DT_INIT"), (DT_FINI, "DT_FINI")] {
        if let Some(address) = entries.get(tag)
            && map.segment_at(address).is_none()
        {
            return Err(ElfError::Unmapped { what, address, length: 1 });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ElfFacts;
    use crate::testing::Library;

    /// Why a library with these entries more in its dynamic section is refused; empty when it is
    /// not.
    fn refusal(dynamic: &[(u64, u64)]) -> String {
        let library = Library { dynamic: dynamic.to_vec(), ..Library::new() };
        ElfFacts::read(&library.build()).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn tables_must_lie_in_the_image() {
        assert_eq!(refusal(&[(DT_RELA, 0), (DT_RELASZ, 24), (DT_RELAENT, 24)]), "");
        assert_eq!(refusal(&[(DT_INIT_ARRAY, 0x7fff_fff0), (DT_INIT_ARRAYSZ, 0)]), "");
        for (tag, size_tag, what) in TABLES {
            let far = refusal(&[(tag, 0x7fff_fff0), (size_tag, 8)]);
            assert!(far.starts_with(&format!("{what} lies at address 0x7ffffff0")), "{far}");
            let long = refusal(&[(tag, 0), (size_tag, 1 << 40)]);
            assert!(long.ends_with("with 1099511627776 bytes, inside no segment"), "{long}");
        }
        let init = refusal(&[(DT_INIT, 0x7fff_fff0)]);
        assert_eq!(init, "DT_INIT lies at address 0x7ffffff0 with 1 bytes, inside no segment");
    }

    #[test]
    fn relocations_have_the_size_of_their_class() {
        assert_eq!(refusal(&[(DT_RELENT, 16), (DT_RELRENT, 8)]), "");
        assert!(refusal(&[(DT_RELAENT, 7)]).starts_with("DT_RELAENT is 7, wanted 24"));
    }

    #[test]
    fn the_version_of_the_format_is_one() {
        let mut bytes = Library::new().build();
        bytes[20] = 9;
        let refusal = ElfFacts::read(&bytes).unwrap_err().to_string();
        assert_eq!(refusal, "e_version at offset 0x14 is 9, wanted 1");
    }
}
