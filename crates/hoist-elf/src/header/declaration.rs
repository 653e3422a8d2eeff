//! Declarations, one after the other: the top of the parser.

use std::collections::{BTreeMap, BTreeSet};

use hoist_schema::abi::{AbiFunction, AbiSignature, AbiStruct, AbiType};

use super::Header;
use super::declarator::{Declarator, Step, apply_steps};
use super::error::{HeaderError, Place};
use super::layout::layout_of;
use super::lexer::{Token, TokenKind};
use super::skip::Skipped;
use super::specifiers::{Specifiers, Storage, is_in_capitals};
use super::tokens::Cursor;
use super::types::{Qualified, Types};

/// The state of the parser; its rules are spread over the neighbouring files.
pub(super) struct Parser<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) types: Types,
    /// A struct without a tag that waits for the name of its typedef.
    pub(super) untagged: Option<(Place, AbiStruct)>,
    /// What was passed over; `None` where nothing may be.
    pub(super) skipped: Option<Vec<Skipped>>,
    pub(super) skipped_names: BTreeSet<String>,
    /// Why the fields of a struct or union are not known, by its name.
    pub(super) unlaid: BTreeMap<String, HeaderError>,
    pub(super) functions: Vec<(Place, AbiFunction)>,
    unprototyped: BTreeSet<String>,
    by_name: BTreeMap<String, usize>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(tokens: Vec<Token<'a>>) -> Self {
        Self {
            cursor: Cursor::new(tokens),
            types: Types::default(),
            untagged: None,
            skipped: None,
            skipped_names: BTreeSet::new(),
            unlaid: BTreeMap::new(),
            functions: Vec::new(),
            unprototyped: BTreeSet::new(),
            by_name: BTreeMap::new(),
        }
    }

    /// Reads the whole header.
    pub(super) fn parse(mut self) -> Result<Header, HeaderError> {
        let mut linkage_blocks = Vec::new();
        while let Some(token) = self.cursor.peek() {
            if self.cursor.take(";") {
            } else if self.cursor.is("}") && linkage_blocks.pop().is_some() {
                self.cursor.next();
            } else if self.is_linkage() {
                self.cursor.next();
                self.cursor.next();
                if self.cursor.take("{") {
                    linkage_blocks.push(token.place);
                }
            } else if token.is("_Static_assert") || token.is("static_assert") {
                self.skip_macro()?;
            } else {
                let start = self.cursor.mark();
                if let Err(error) = self.declaration() {
                    self.skip_declaration(start, error)?;
                }
            }
        }
        if let Some(&place) = linkage_blocks.last() {
            return Err(HeaderError::Unclosed { place, what: "`extern \"C\" {`" });
        }
        self.check_values()?;
        let skipped = self.skipped.take().unwrap_or_default();
        let has_function =
            !self.functions.is_empty() || skipped.iter().any(|skipped| skipped.is_function);
        if let (false, Some(first)) = (has_function, skipped.first()) {
            return Err(first.why.clone());
        }
        let functions: Vec<AbiFunction> =
            self.functions.into_iter().map(|(_, function)| function).collect();
        let signatures = functions.iter().filter_map(|function| function.signature.as_ref());
        let kinds = signatures.flat_map(kinds_of);
        let structs = self.types.reachable_structs(kinds);
        Ok(Header { functions, structs, skipped, unprototyped: self.unprototyped })
    }

    /// Whether `extern "C"` comes next.
    fn is_linkage(&self) -> bool {
        let next = self.cursor.peek_past(1);
        self.cursor.is("extern") && next.is_some_and(|token| token.kind == TokenKind::Quoted)
    }

    fn declaration(&mut self) -> Result<(), HeaderError> {
        let specifiers = self.specifiers()?;
        if self.cursor.take(";") {
            return self.refuse_untagged(); // `struct name { … };` alone
        }
        loop {
            let declarator = self.declarator()?;
            self.skip_behind_declarator()?;
            let is_function = matches!(declarator.steps.first(), Some(Step::Function { .. }));
            if is_function && self.cursor.is("{") {
                return self.function_body(&specifiers, &declarator);
            }
            self.declare(&specifiers, declarator)?;
            if !self.cursor.take(",") {
                return self.cursor.expect(";", "`;` behind a declaration");
            }
        }
    }

    fn declare(
        &mut self,
        specifiers: &Specifiers,
        declarator: Declarator<'a>,
    ) -> Result<(), HeaderError> {
        let Some(name) = declarator.name else {
            return Err(self.cursor.unexpected("a name"));
        };
        match specifiers.storage {
            Storage::Typedef => {
                let base = self.named_by_typedef(&specifiers.base, name, &declarator.steps)?;
                let meaning = apply_steps(base, &declarator.steps, name.place)?;
                self.types.define_typedef(name.place, name.text, meaning)
            }
            Storage::Internal => {
                self.refuse_untagged()?;
                self.skip_initializer()
            }
            Storage::External => {
                self.refuse_untagged()?;
                let mut steps = declarator.steps;
                if !matches!(steps.first(), Some(Step::Function { .. })) {
                    return Err(HeaderError::Unsupported {
                        place: name.place,
                        what: format!(
                            "`{}`, which is a variable or declared through a typedef,",
                            name.text
                        ),
                        instead: "declare functions with their parameters, and give access to data \
                                  through them",
                    });
                }
                let Step::Function { parameters, variadic, is_empty } = steps.remove(0) else {
                    unreachable!("the first step is a function, as just checked")
                };
                if let Some(place) = variadic {
                    return Err(HeaderError::Unsupported {
                        place,
                        what: format!("`{}` with a variable number of arguments", name.text),
                        instead: "take an array and its length",
                    });
                }
                let result = apply_steps(specifiers.base.clone(), &steps, name.place)?.kind;
                if matches!(result, AbiType::Array { .. } | AbiType::Function) {
                    return Err(HeaderError::Unexpected {
                        place: name.place,
                        found: "a function that returns an array or a function".to_owned(),
                        wanted: "a pointer to it",
                    });
                }
                self.add_function(name, AbiSignature { result, parameters })?;
                if is_empty {
                    self.unprototyped.insert(name.text.to_owned());
                }
                Ok(())
            }
        }
    }

    /// Gives a struct without a tag the name of its typedef.
    fn named_by_typedef(
        &mut self,
        base: &Qualified,
        name: Token<'a>,
        steps: &[Step],
    ) -> Result<Qualified, HeaderError> {
        if self.untagged.is_none() || !steps.is_empty() {
            self.refuse_untagged()?;
            // Later names of the same declaration lean on the first one's.
            let is_nameless = base.kind == AbiType::Struct { name: String::new() };
            return if is_nameless { Err(nameless(name.place)) } else { Ok(base.clone()) };
        }
        if let Some((place, layout)) = self.untagged.take() {
            if self.types.find_struct(name.text).is_some() {
                return Err(HeaderError::Conflict { place, name: name.text.to_owned() });
            }
            let name = name.text.to_owned();
            if let Some(why) = self.unlaid.remove("") {
                self.note_unlaid(&name, why);
            }
            self.types.define_struct(place, AbiStruct { name, ..layout })?;
        }
        let kind = AbiType::Struct { name: name.text.to_owned() };
        Ok(Qualified { kind, is_const: base.is_const })
    }

    /// Refuses a struct that was just defined without any name.
    pub(super) fn refuse_untagged(&mut self) -> Result<(), HeaderError> {
        let Some((place, _)) = self.untagged.take() else { return Ok(()) };
        Err(self.unlaid.remove("").unwrap_or_else(|| nameless(place)))
    }

    fn add_function(
        &mut self,
        name: Token<'a>,
        signature: AbiSignature,
    ) -> Result<(), HeaderError> {
        if let Some(&index) = self.by_name.get(name.text) {
            let known = self.functions[index].1.signature.as_ref();
            if known.is_some_and(|known| kinds_of(known).eq(kinds_of(&signature))) {
                return Ok(());
            }
            let name_text = name.text.to_owned();
            return Err(HeaderError::Conflict { place: name.place, name: name_text });
        }
        self.by_name.insert(name.text.to_owned(), self.functions.len());
        let function = AbiFunction { name: name.text.to_owned(), signature: Some(signature) };
        self.functions.push((name.place, function));
        Ok(())
    }

    /// Checks that every struct passed by value has known fields by the end of the header.
    fn check_values(&mut self) -> Result<(), HeaderError> {
        for (place, function) in std::mem::take(&mut self.functions) {
            let mut kinds = function.signature.iter().flat_map(kinds_of);
            let laid_out = kinds.try_for_each(|kind| match kind {
                AbiType::Void => Ok(()),
                _ => layout_of(&self.types, kind, place).map(drop),
            });
            drop(kinds);
            match laid_out {
                Ok(()) => self.functions.push((place, function)),
                Err(error) => self.skip_function(&function.name, error)?,
            }
        }
        Ok(())
    }

    /// Passes over attributes and macros between a declarator and `;`; a name that the linker
    /// sees instead of the declared one is refused.
    fn skip_behind_declarator(&mut self) -> Result<(), HeaderError> {
        while let Some(token) = self.cursor.peek() {
            if matches!(token.text, "asm" | "__asm__" | "__asm") {
                return Err(HeaderError::Unsupported {
                    place: token.place,
                    what: "another name for the linker".to_owned(),
                    instead: "declare the function under the name it is exported as",
                });
            }
            let is_macro = token.kind == TokenKind::Identifier && is_in_capitals(token.text);
            if is_macro {
                self.skip_macro()?;
            } else if !self.skip_attribute()? {
                break;
            }
        }
        Ok(())
    }

    /// Passes over `= …` of a `static` variable.
    fn skip_initializer(&mut self) -> Result<(), HeaderError> {
        if !self.cursor.take("=") {
            return Ok(());
        }
        while let Some(token) = self.cursor.peek() {
            match token.text {
                ";" | "," => break,
                "{" | "(" | "[" => {
                    self.cursor.skip_bracketed()?;
                }
                _ => {
                    self.cursor.next();
                }
            }
        }
        Ok(())
    }

    /// Passes over the body of a function that is not exported.
    fn function_body(
        &mut self,
        specifiers: &Specifiers,
        declarator: &Declarator<'a>,
    ) -> Result<(), HeaderError> {
        if specifiers.storage == Storage::Internal {
            return self.cursor.skip_bracketed().map(drop);
        }
        Err(HeaderError::Unsupported {
            place: declarator.place,
            what: "a function with its body in the header".to_owned(),
            instead: "make it `static inline`, or declare it here and define it in a source file",
        })
    }
}

fn nameless(place: Place) -> HeaderError {
    HeaderError::Unsupported {
        place,
        what: "a struct without a name".to_owned(),
        instead: "name it: `struct name { … }` or `typedef struct { … } name;`",
    }
}

/// The types of a signature, the result first.
fn kinds_of(signature: &AbiSignature) -> impl Iterator<Item = &AbiType> {
    let parameters = signature.parameters.iter().map(|parameter| &parameter.kind);
    std::iter::once(&signature.result).chain(parameters)
}
