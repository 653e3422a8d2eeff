//! Any text is read as a header or refused with a place in it.

use std::fmt::Write;

use hoist_elf::header::{Header, HeaderError, parse_header, parse_header_for_check};
use proptest::prelude::*;

/// Pieces of headers, in any order: they reach far more of the parser than arbitrary text.
const PIECES: &[&str] = &[
    "int",
    "unsigned",
    "long",
    "void",
    "const",
    "struct",
    "enum",
    "union",
    "typedef",
    "static",
    "extern",
    "\"C\"",
    "inline",
    "s",
    "t",
    "f",
    "x",
    "PS_API",
    "float",
    "double",
    "bool",
    "char",
    "int32_t",
    "size_t",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ";",
    ",",
    "*",
    "=",
    ":",
    "...",
    "1",
    "0x10",
    "1u",
    "'a'",
    "+",
    "-",
    "<<",
    "?",
    "\n#define M ",
    "\n#define F(x) ",
    "\n#if ",
    "\n#ifdef M\n",
    "\n#else\n",
    "\n#endif\n",
    "\n#include <x.h>\n",
    "\n",
    "M",
    "F",
    "defined",
    "&&",
    "!",
    "__attribute__",
    "((packed))",
    "((cold))",
    "/*",
    "*/",
    "//",
    "\\\n",
    "@",
    "\"",
    "'",
];

fn parse(text: &str) -> Result<(), TestCaseError> {
    let strict = parse_header(text);
    let for_check = parse_header_for_check(text);
    if strict.is_ok() {
        prop_assert_eq!(&strict, &for_check);
    }
    is_sound(text, strict)?;
    is_sound(text, for_check)
}

fn is_sound(text: &str, read: Result<Header, HeaderError>) -> Result<(), TestCaseError> {
    match read {
        Ok(header) => {
            for layout in &header.structs {
                prop_assert!(layout.fields.iter().all(|field| field.offset < layout.size));
                prop_assert!(layout.align == 0 || layout.size % layout.align == 0);
            }
        }
        Err(refusal) => {
            let is_placed = refusal.place().is_some_and(|place| {
                // The place is in the text, or just behind it.
                place.line <= text.lines().count() + 1
            });
            let is_whole = matches!(refusal, HeaderError::TooLarge { .. });
            prop_assert!(is_placed || is_whole, "{}", refusal);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        parse(&text)?;
    }

    #[test]
    fn any_pieces_are_read_or_refused(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60)
    ) {
        parse(&pieces.join(" "))?;
    }
}

/// A scalar type and one-dimensional arrays of it, as C writes them.
fn field() -> impl Strategy<Value = (&'static str, Option<u8>)> {
    let scalar = prop::sample::select(vec![
        "char", "short", "int", "long", "float", "double", "void *", "uint8_t", "int64_t", "bool",
    ]);
    (scalar, prop::option::of(1..9_u8))
}

proptest! {
    /// Fields neither overlap nor leave more room than alignment needs.
    #[test]
    fn fields_follow_each_other(fields in prop::collection::vec(field(), 1..12)) {
        let mut body = String::new();
        for (index, (scalar, length)) in fields.iter().enumerate() {
            let length = length.map_or_else(String::new, |length| format!("[{length}]"));
            write!(body, "{scalar} f{index}{length};").expect("a text grows");
        }
        let header = parse_header(&format!("struct s {{ {body} }}; void use(struct s *s);"))?;
        let layout = &header.structs[0];
        prop_assert_eq!(layout.fields.len(), fields.len());
        for pair in layout.fields.windows(2) {
            prop_assert!(pair[0].offset < pair[1].offset);
            prop_assert!(pair[1].offset - pair[0].offset <= 8 * 8 + 7);
        }
    }
}
