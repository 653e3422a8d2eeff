//! What a header declares and cannot promise, passed over where the rest is worth checking.

use hoist_schema::abi::{AbiStruct, AbiType};

use super::declaration::Parser;
use super::error::{HeaderError, Place};
use super::lexer::{Token, TokenKind};
use super::specifiers::{PASSED_OVER, TYPE_WORDS, is_in_capitals};
use super::types::{Qualified, opaque};

/// Words before `(` that are no function's name.
const NO_NAMES: &[&str] = &[
    "__attribute__",
    "__attribute",
    "__declspec",
    "_Alignas",
    "alignas",
    "__typeof__",
    "typeof",
    "asm",
    "__asm__",
    "__asm",
];

/// A declaration that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// What it declares; empty when that is not plain.
    pub name: String,
    /// Whether it is a function that the library must export under this name; otherwise it is a
    /// variable, a type, or a function with another name for the linker.
    pub is_function: bool,
    /// Why it cannot be promised, with its place.
    pub why: HeaderError,
}

impl<'a> Parser<'a> {
    /// Lets the parser pass over what cannot be promised.
    pub(super) fn skipping(mut self) -> Self {
        self.skipped = Some(Vec::new());
        self
    }

    /// Whether what is wrong is about one declaration, and the next one can be found.
    fn may_skip(&self, error: &HeaderError) -> bool {
        let is_of_one = matches!(
            error,
            HeaderError::Unsupported { .. }
                | HeaderError::UnknownType { .. }
                | HeaderError::Incomplete { .. }
                | HeaderError::Constant { .. }
        );
        self.skipped.is_some() && is_of_one
    }

    fn note(&mut self, name: &str, is_function: bool, why: HeaderError) {
        let Some(skipped) = &mut self.skipped else { return };
        if self.skipped_names.insert(name.to_owned()) || name.is_empty() {
            skipped.push(Skipped { name: name.to_owned(), is_function, why });
        }
    }

    /// Passes over the declaration at `start`, in which `error` was found.
    pub(super) fn skip_declaration(
        &mut self,
        start: usize,
        error: HeaderError,
    ) -> Result<(), HeaderError> {
        if !self.may_skip(&error) {
            return Err(error);
        }
        self.untagged = None;
        self.unlaid.remove("");
        self.cursor.back_to(start);
        let (tokens, has_body) = self.take_declaration();
        let has = |words: &[&str]| tokens.iter().any(|token| words.contains(&token.text));
        let is_internal = has(&["static", "inline", "__inline", "__inline__"]);
        if is_internal || has_body {
            return Ok(()); // the library does not export it
        }
        let is_type = tokens.first().is_some_and(|token| token.is("typedef"));
        let function = function_name(&tokens).filter(|_| !is_type);
        let name = function.or_else(|| last_name(&tokens)).map_or("", |token| token.text);
        let is_renamed = has(&["asm", "__asm__", "__asm"]);
        let why = self.cause(error);
        self.note(name, function.is_some() && !is_renamed, why);
        Ok(())
    }

    /// Passes over a function that was read, and takes or returns what is not known.
    pub(super) fn skip_function(
        &mut self,
        name: &str,
        error: HeaderError,
    ) -> Result<(), HeaderError> {
        if !self.may_skip(&error) {
            return Err(error);
        }
        let why = self.cause(error);
        self.note(name, true, why);
        Ok(())
    }

    /// Why the fields that `error` misses are not known, if that is the error.
    fn cause(&self, error: HeaderError) -> HeaderError {
        match &error {
            HeaderError::Incomplete { name, .. } => self.unlaid.get(name).cloned().unwrap_or(error),
            _ => error,
        }
    }

    /// Takes the tokens up to the end of the declaration that comes next; says whether that is the
    /// end of a function's body. The brace that ends the block around it stays.
    fn take_declaration(&mut self) -> (Vec<Token<'a>>, bool) {
        let mut tokens: Vec<Token<'a>> = Vec::new();
        let mut open = 0_usize;
        let (mut has_brace, mut is_body) = (false, false);
        while let Some(token) = self.cursor.peek() {
            if open == 0 && token.is("}") {
                break;
            }
            self.cursor.next();
            match token.text {
                "{" | "(" | "[" => {
                    if open == 0 && token.is("{") && !has_brace {
                        (has_brace, is_body) = (true, function_name(&tokens).is_some());
                    }
                    open += 1;
                }
                "}" | ")" | "]" => open = open.saturating_sub(1),
                ";" if open == 0 => return (tokens, false),
                _ => {}
            }
            tokens.push(token);
            if is_body && open == 0 && token.is("}") {
                return (tokens, true);
            }
        }
        (tokens, false)
    }

    /// Reads `union …`, of which only the name is kept.
    pub(super) fn union_by_name(
        &mut self,
        place: Place,
        refusal: HeaderError,
    ) -> Result<AbiType, HeaderError> {
        if !self.may_skip(&refusal) {
            return Err(refusal);
        }
        self.attributes_of_struct()?;
        let has_tag = !self.cursor.is("{");
        let name =
            if has_tag { self.cursor.identifier("the union's name or `{`")?.text } else { "" };
        let name = name.to_owned();
        if has_tag {
            self.types.declare_struct(&name);
        } else {
            self.untagged = Some((place, opaque(String::new())));
        }
        if self.cursor.is("{") {
            self.cursor.skip_bracketed()?;
            self.note_unlaid(&name, refusal);
        }
        Ok(AbiType::Struct { name })
    }

    /// Passes over the body, at `start`, of a struct that cannot be laid out.
    pub(super) fn struct_by_name(
        &mut self,
        start: usize,
        name: String,
        error: HeaderError,
    ) -> Result<AbiStruct, HeaderError> {
        if !self.may_skip(&error) {
            return Err(error);
        }
        self.untagged = None;
        self.cursor.back_to(start);
        self.cursor.skip_bracketed()?;
        let why = self.cause(error);
        self.note_unlaid(&name, why);
        Ok(opaque(name))
    }

    /// Notes why the fields of `name` are not known; without a name yet, for its typedef.
    pub(super) fn note_unlaid(&mut self, name: &str, why: HeaderError) {
        self.unlaid.insert(name.to_owned(), why.clone());
        if !name.is_empty() {
            self.note(name, false, why);
        }
    }

    /// Takes the fields of a struct away, whose layout is not that of plain C.
    pub(super) fn forget_fields(&mut self, name: &str, why: HeaderError) {
        match &mut self.untagged {
            Some((_, layout)) if name.is_empty() => *layout = opaque(String::new()),
            _ => self.types.forget_fields(name),
        }
        self.note_unlaid(name, why);
    }

    /// Skips attributes before a struct's name; returns one that changes how it is laid out.
    pub(super) fn attributes_of_struct(&mut self) -> Result<Option<HeaderError>, HeaderError> {
        let mut refused = None;
        loop {
            let start = self.cursor.mark();
            match self.skip_attribute() {
                Ok(true) => {}
                Ok(false) => return Ok(refused),
                Err(error) if self.may_skip(&error) && self.cursor.mark() > start => {
                    refused = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Skips one attribute behind a type, as [`Self::skip_attribute`] does; one that changes how a
    /// struct is laid out makes its fields unknown.
    pub(super) fn skip_attribute_of(
        &mut self,
        base: Option<&Qualified>,
    ) -> Result<bool, HeaderError> {
        let start = self.cursor.mark();
        match (self.skip_attribute(), base.map(|base| &base.kind)) {
            (Err(error), Some(AbiType::Struct { name }))
                if self.may_skip(&error) && self.cursor.mark() > start =>
            {
                self.forget_fields(name, error);
                Ok(true)
            }
            (skipped, _) => skipped,
        }
    }
}

/// The name that a declaration gives to a function: it stands before parameters.
fn function_name<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<&'t Token<'a>> {
    let is_before_parameters = |at: usize| {
        let is_name = tokens[at].kind == TokenKind::Identifier
            && ![NO_NAMES, TYPE_WORDS, PASSED_OVER].iter().any(|no| no.contains(&tokens[at].text));
        is_name && tokens.get(at + 1).is_some_and(|next| next.is("("))
    };
    let outside: Vec<usize> =
        outside_brackets(tokens).filter(|&at| is_before_parameters(at)).collect();
    let plain = outside.iter().find(|&&at| !is_in_capitals(tokens[at].text));
    // `int (*f(int))(long);`
    let behind_star =
        || (1..tokens.len()).find(|&at| tokens[at - 1].is("*") && is_before_parameters(at));
    let at = plain.or(outside.last()).copied().or_else(behind_star)?;
    tokens.get(at)
}

/// The last name before a value, a length or a further name.
fn last_name<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<&'t Token<'a>> {
    let is_end = |token: &Token<'_>| {
        token.is("=") || token.is("[") || token.is(",") || NO_NAMES.contains(&token.text)
    };
    let outside = outside_brackets(tokens).filter_map(|at| tokens.get(at));
    let names = outside.take_while(|token| !is_end(token));
    names.filter(|token| token.kind == TokenKind::Identifier).last()
}

/// The places of the tokens that are in no bracket; opening brackets are among them.
fn outside_brackets<'t>(tokens: &'t [Token<'_>]) -> impl Iterator<Item = usize> + 't {
    let mut open = 0_usize;
    tokens.iter().enumerate().filter_map(move |(at, token)| {
        let is_outside = open == 0;
        match token.text {
            "{" | "(" | "[" => open += 1,
            "}" | ")" | "]" => open = open.saturating_sub(1),
            _ => {}
        }
        is_outside.then_some(at)
    })
}
