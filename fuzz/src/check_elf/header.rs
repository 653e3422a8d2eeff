//! C headers.

use hoist_elf::debug::HeaderTypes;
use hoist_elf::header::{Header, parse_header};

/// Any text is refused with its place, or is a header whose promise can be held against a library
/// and is the same when it is read again.
///
/// # Panics
///
/// Where that does not hold.
pub fn header(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let header = match parse_header(text) {
        Ok(header) => header,
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty(), "a refusal without a reason");
            return;
        }
    };
    assert_eq!(parse_header(text).as_ref(), Ok(&header), "read twice, two promises");
    check_layouts(&header);
    let types = HeaderTypes::new(&header);
    for function in &header.functions {
        let signature = types.functions.get(&function.name).expect("each has a signature");
        let spelled = types.types.spell_function(signature, &function.name);
        assert!(spelled.contains(&*function.name), "{spelled}");
    }
}

/// Fields lie behind each other, inside their struct.
fn check_layouts(header: &Header) {
    for layout in &header.structs {
        let offsets: Vec<u64> = layout.fields.iter().map(|field| field.offset).collect();
        assert!(offsets.is_sorted(), "{}: {offsets:?}", layout.name);
        assert!(offsets.iter().all(|offset| *offset < layout.size), "{}", layout.name);
        assert_eq!(layout.size == 0, layout.fields.is_empty(), "{}", layout.name);
    }
}
