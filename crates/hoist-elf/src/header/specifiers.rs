//! What stands before a declarator: storage, qualifiers, attributes and the type's name.

use hoist_schema::abi::AbiType;

use super::declaration::Parser;
use super::error::{HeaderError, Place};
use super::lexer::{Token, TokenKind};
use super::types::Qualified;

/// What a declaration is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    /// Seen by other files.
    External,
    /// `static` or `inline`: not part of the promise.
    Internal,
    Typedef,
}

/// The part of a declaration that all its declarators share.
pub(super) struct Specifiers {
    pub(super) storage: Storage,
    pub(super) base: Qualified,
}

/// Words that change nothing for callers.
pub(super) const PASSED_OVER: &[&str] = &[
    "volatile",
    "__volatile__",
    "register",
    "restrict",
    "__restrict",
    "__restrict__",
    "__extension__",
    "_Noreturn",
    "noreturn",
    "_Nonnull",
    "_Nullable",
    "_Null_unspecified",
];

/// Words of which the built-in types are made.
pub(super) const TYPE_WORDS: &[&str] = &[
    "void",
    "char",
    "short",
    "int",
    "long",
    "float",
    "double",
    "signed",
    "__signed__",
    "unsigned",
    "_Bool",
    "bool",
    "_Complex",
    "__int128",
    "_Float16",
    "__float128",
    "_Decimal64",
];

/// Attributes that change the layout of data or the way a function is called.
const REFUSED_ATTRIBUTES: &[&str] = &[
    "packed",
    "aligned",
    "ms_abi",
    "ms_struct",
    "stdcall",
    "fastcall",
    "regparm",
    "vectorcall",
    "vector_size",
    "mode",
    "scalar_storage_order",
    "transparent_union",
];

impl<'a> Parser<'a> {
    /// Reads specifiers; at least a type must be among them.
    pub(super) fn specifiers(&mut self) -> Result<Specifiers, HeaderError> {
        let place = self.cursor.place();
        let mut storage = Storage::External;
        let mut is_const = false;
        let mut words: Vec<&'a str> = Vec::new();
        let mut base: Option<Qualified> = None;
        let mut passed_over: Option<Token<'a>> = None;
        while let Some(token) = self.cursor.peek() {
            let has_type = base.is_some() || !words.is_empty();
            match token.text {
                "const" | "__const" => {
                    is_const = true;
                    self.cursor.next();
                }
                "typedef" => {
                    storage = Storage::Typedef;
                    self.cursor.next();
                }
                "static" | "inline" | "__inline" | "__inline__" => {
                    storage = Storage::Internal;
                    self.cursor.next();
                }
                "extern" => {
                    self.cursor.next();
                }
                "struct" | "enum" | "union" if !has_type => {
                    base = Some(self.tagged_type()?);
                }
                word if TYPE_WORDS.contains(&word) && base.is_none() => {
                    words.push(word);
                    self.cursor.next();
                    if words.len() > 5 {
                        return Err(self.cursor.unexpected("a type"));
                    }
                }
                _ if self.skip_attribute_of(base.as_ref())? => {}
                _ if token.kind != TokenKind::Identifier => break,
                name => match self.types.named(name).filter(|_| !has_type) {
                    Some(named) => {
                        base = Some(named);
                        self.cursor.next();
                    }
                    None if self.is_macro_before_declaration(token, has_type) => {
                        passed_over = Some(token);
                        self.skip_macro()?;
                    }
                    None if has_type => break,
                    None => {
                        let token = passed_over.unwrap_or(token);
                        return Err(unknown_type(token));
                    }
                },
            }
        }
        let base = match base {
            Some(base) => base,
            None if words.is_empty() => {
                return Err(match passed_over {
                    Some(token) => unknown_type(token),
                    None => self.cursor.unexpected("a declaration"),
                });
            }
            None => Qualified::plain(builtin_type(&words, place)?),
        };
        let base = Qualified { is_const: base.is_const || is_const, ..base };
        Ok(Specifiers { storage, base })
    }

    /// Skips one attribute or word that changes nothing for callers; says whether there was one.
    pub(super) fn skip_attribute(&mut self) -> Result<bool, HeaderError> {
        let Some(token) = self.cursor.peek() else { return Ok(false) };
        if PASSED_OVER.contains(&token.text) {
            self.cursor.next();
            return Ok(true);
        }
        let is_double_bracket =
            token.is("[") && self.cursor.peek_past(1).is_some_and(|next| next.is("["));
        match token.text {
            "__attribute__" | "__attribute" | "__declspec" => {
                self.cursor.next();
            }
            "_Alignas" | "alignas" => {
                return Err(unsupported_attribute(token));
            }
            _ if is_double_bracket => {}
            _ => return Ok(false),
        }
        let inside = self.cursor.skip_bracketed()?;
        let refused = inside.iter().find(|token| {
            token.kind == TokenKind::Identifier
                && REFUSED_ATTRIBUTES.contains(&token.text.trim_matches('_'))
        });
        refused.map_or(Ok(true), |&token| Err(unsupported_attribute(token)))
    }

    /// Whether an unknown name is a macro, as `PS_API` in `PS_API int f(void);`: in capitals, and
    /// followed by more of the declaration.
    fn is_macro_before_declaration(&self, token: Token<'a>, has_type: bool) -> bool {
        if !is_in_capitals(token.text) {
            return false;
        }
        match self.cursor.peek_past(1) {
            Some(next) if next.is("(") => !has_type,
            Some(next) if next.is("*") => has_type,
            Some(next) => next.kind == TokenKind::Identifier || next.is("["),
            None => false,
        }
    }

    /// Skips a macro's name and its arguments.
    pub(super) fn skip_macro(&mut self) -> Result<(), HeaderError> {
        self.cursor.next();
        if self.cursor.is("(") {
            self.cursor.skip_bracketed()?;
        }
        Ok(())
    }
}

/// Whether a name is written as macros are.
pub(super) fn is_in_capitals(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_uppercase())
        && !name.bytes().any(|byte| byte.is_ascii_lowercase())
}

fn unknown_type(token: Token<'_>) -> HeaderError {
    HeaderError::UnknownType { place: token.place, name: token.text.to_owned() }
}

fn unsupported_attribute(token: Token<'_>) -> HeaderError {
    HeaderError::Unsupported {
        place: token.place,
        what: format!(
            "the attribute `{}`, which changes how data is laid out or called,",
            token.text
        ),
        instead: "declare it as plain C lays it out and calls it",
    }
}

/// The built-in type that `words`, in any order, name.
///
/// Source: C17, section 6.7.2.
fn builtin_type(words: &[&str], place: Place) -> Result<AbiType, HeaderError> {
    let mut sorted = words.to_vec();
    sorted.sort_unstable();
    // `int` adds nothing beside a word that already means an integer.
    let is_modifier =
        |word: &&str| matches!(*word, "short" | "long" | "signed" | "__signed__" | "unsigned");
    if let Some(at) = sorted.iter().position(|&word| word == "int") {
        let others = [&sorted[..at], &sorted[at + 1..]].concat();
        if !others.is_empty() && others.iter().all(is_modifier) {
            sorted = others;
        }
    }
    let int = |bits, signed| Ok(AbiType::Int { bits, signed });
    match sorted[..] {
        ["void"] => Ok(AbiType::Void),
        ["_Bool" | "bool"] => Ok(AbiType::Bool),
        ["char"] => Ok(AbiType::Char),
        ["char", "signed" | "__signed__"] => int(8, true),
        ["char", "unsigned"] => int(8, false),
        ["short"] | ["short", "signed"] => int(16, true),
        ["short", "unsigned"] => int(16, false),
        ["int" | "signed"] => int(32, true),
        ["unsigned"] => int(32, false),
        ["long"] | ["long", "signed" | "long"] | ["long", "long", "signed"] => int(64, true),
        ["long", "unsigned"] | ["long", "long", "unsigned"] => int(64, false),
        ["float"] => Ok(AbiType::Float { bits: 32 }),
        ["double"] => Ok(AbiType::Float { bits: 64 }),
        _ => {
            let is_exotic = |word: &&str| {
                matches!(*word, "_Complex" | "__int128" | "_Float16" | "__float128" | "_Decimal64")
            };
            let text = words.join(" ");
            if words.iter().any(is_exotic) || sorted == ["double", "long"] {
                return Err(HeaderError::Unsupported {
                    place,
                    what: format!("the type `{text}`"),
                    instead: "use `double` or an integer of `<stdint.h>`: not every host language \
                              has this type",
                });
            }
            Err(HeaderError::Unexpected {
                place,
                found: format!("`{text}`"),
                wanted: "the name of one type",
            })
        }
    }
}
