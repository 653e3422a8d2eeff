//! Directives: conditions are decided, macros without parameters are replaced, the rest is
//! passed over.

use std::collections::BTreeMap;

use super::error::HeaderError;
use super::expression::evaluate;
use super::lexer::{Token, TokenKind};
use super::tokens::{Cursor, MAX_DEPTH};

/// Most tokens after macros are replaced: they could multiply without end.
const MAX_TOKENS: usize = 1 << 20;

/// What gcc defines for 64-bit Linux and headers ask about, with its value.
const PREDEFINED: &[(&str, &str)] = &[
    ("__linux__", "1"),
    ("__gnu_linux__", "1"),
    ("__unix__", "1"),
    ("__ELF__", "1"),
    ("__x86_64__", "1"),
    ("__LP64__", "1"),
    ("_LP64", "1"),
    ("__STDC__", "1"),
    ("__STDC_VERSION__", "201710"),
    ("__GNUC__", "12"),
    ("__GNUC_MINOR__", "2"),
    ("__CHAR_BIT__", "8"),
];

/// One `#if` that is not closed yet.
struct Condition<'a> {
    directive: Token<'a>,
    /// Whether the current branch counts.
    is_active: bool,
    /// Whether a later branch may count: what is around it does, and no branch did so far.
    is_open: bool,
    /// Whether `#else` was seen.
    is_last: bool,
}

#[derive(Default)]
struct Preprocessor<'a> {
    /// `None` for a macro with parameters, which is known but never replaced.
    macros: BTreeMap<&'a str, Option<Vec<Token<'a>>>>,
    conditions: Vec<Condition<'a>>,
    output: Vec<Token<'a>>,
}

/// Carries out the directives and returns the tokens of what is left.
pub(super) fn preprocess<'a>(tokens: &[Token<'a>]) -> Result<Vec<Token<'a>>, HeaderError> {
    let mut preprocessor = Preprocessor::default();
    for (name, value) in PREDEFINED {
        let token = Token {
            kind: TokenKind::Number,
            text: value,
            place: super::Place::default(),
            starts_line: false,
            is_glued: false,
        };
        preprocessor.macros.insert(name, Some(vec![token]));
    }
    let mut at = 0;
    while let Some(&token) = tokens.get(at) {
        at += 1;
        if token.starts_line && token.is("#") {
            let line = tokens[at..].iter().take_while(|token| !token.starts_line).count();
            preprocessor.directive(token, &tokens[at..at + line])?;
            at += line;
        } else if preprocessor.is_active() {
            let mut output = std::mem::take(&mut preprocessor.output);
            preprocessor.expand(token, token, &mut Vec::new(), &mut output)?;
            preprocessor.output = output;
        }
    }
    match preprocessor.conditions.last() {
        Some(open) => {
            let place = open.directive.place;
            Err(HeaderError::Unclosed { place, what: "the `#if`" })
        }
        None => Ok(preprocessor.output),
    }
}

impl<'a> Preprocessor<'a> {
    fn is_active(&self) -> bool {
        self.conditions.last().is_none_or(|condition| condition.is_active)
    }

    /// Adds `token`, or what it stands for, as if written where `used` is.
    fn expand(
        &self,
        token: Token<'a>,
        used: Token<'a>,
        within: &mut Vec<&'a str>,
        output: &mut Vec<Token<'a>>,
    ) -> Result<(), HeaderError> {
        if output.len() >= MAX_TOKENS {
            return Err(HeaderError::TooLarge { what: "tokens", limit: MAX_TOKENS });
        }
        let body = match self.macros.get(token.text) {
            Some(Some(body)) if token.kind == TokenKind::Identifier => body,
            _ => {
                output.push(Token { place: used.place, ..token });
                return Ok(());
            }
        };
        if within.contains(&token.text) {
            output.push(Token { place: used.place, ..token });
            return Ok(());
        }
        if within.len() == MAX_DEPTH {
            return Err(HeaderError::TooDeep { place: used.place, limit: MAX_DEPTH });
        }
        within.push(token.text);
        for &inner in body {
            self.expand(inner, used, within, output)?;
        }
        within.pop();
        Ok(())
    }

    fn directive(&mut self, hash: Token<'a>, line: &[Token<'a>]) -> Result<(), HeaderError> {
        let Some((name, rest)) = line.split_first() else { return Ok(()) };
        match name.text {
            "if" | "ifdef" | "ifndef" => {
                let is_reached = self.is_active();
                let holds = is_reached && self.holds(hash, name.text, rest)?;
                self.conditions.push(Condition {
                    directive: hash,
                    is_active: holds,
                    is_open: is_reached && !holds,
                    is_last: false,
                });
                Ok(())
            }
            "elif" | "else" | "endif" => self.branch(*name, rest),
            _ if !self.is_active() => Ok(()),
            "define" => self.define(*name, rest),
            "undef" => {
                if let Some(name) = rest.first() {
                    self.macros.remove(name.text);
                }
                Ok(())
            }
            "pragma" if rest.first().is_some_and(|word| word.is("pack")) => {
                Err(HeaderError::Unsupported {
                    place: hash.place,
                    what: "a layout changed by `#pragma pack`".to_owned(),
                    instead: "order the fields by size instead of packing them",
                })
            }
            "error" => Err(HeaderError::ErrorDirective {
                place: hash.place,
                message: rest.iter().map(|token| token.text).collect::<Vec<_>>().join(" "),
            }),
            "include" | "include_next" | "import" | "pragma" | "warning" | "line" | "ident" => {
                Ok(())
            }
            other => Err(HeaderError::Unexpected {
                place: name.place,
                found: format!("`#{other}`"),
                wanted: "a directive of C",
            }),
        }
    }

    fn define(&mut self, define: Token<'a>, rest: &[Token<'a>]) -> Result<(), HeaderError> {
        let Some((name, body)) = rest.split_first() else {
            return Err(HeaderError::Unexpected {
                place: define.place,
                found: "the end of the line".to_owned(),
                wanted: "the name of a macro",
            });
        };
        let has_parameters = body.first().is_some_and(|token| token.is("(") && token.is_glued);
        self.macros.insert(name.text, (!has_parameters).then(|| body.to_vec()));
        Ok(())
    }

    fn branch(&mut self, name: Token<'a>, rest: &[Token<'a>]) -> Result<(), HeaderError> {
        let unopened = HeaderError::Unexpected {
            place: name.place,
            found: format!("`#{}`", name.text),
            wanted: "an open `#if` before it",
        };
        let Some(condition) = self.conditions.last() else { return Err(unopened) };
        if name.text == "endif" {
            self.conditions.pop();
            return Ok(());
        }
        if condition.is_last {
            return Err(unopened);
        }
        let holds = condition.is_open && (name.text == "else" || self.holds(name, "if", rest)?);
        if let Some(condition) = self.conditions.last_mut() {
            condition.is_active = holds;
            condition.is_open &= !holds;
            condition.is_last = name.text == "else";
        }
        Ok(())
    }

    /// Whether the condition of `#if`, `#ifdef` or `#ifndef` holds.
    fn holds(
        &self,
        hash: Token<'a>,
        directive: &str,
        rest: &[Token<'a>],
    ) -> Result<bool, HeaderError> {
        let unexpected = || HeaderError::Unexpected {
            place: hash.place,
            found: "the end of the line".to_owned(),
            wanted: "a condition",
        };
        if directive != "if" {
            let name = rest.first().ok_or_else(unexpected)?;
            return Ok(self.macros.contains_key(name.text) == (directive == "ifdef"));
        }
        let mut tokens = Vec::new();
        let mut line = Cursor::new(rest.to_vec());
        while let Some(token) = line.next() {
            let answer = match token.text {
                "defined" => {
                    let in_parentheses = line.take("(");
                    let name = line.identifier("the name of a macro")?;
                    if in_parentheses {
                        line.expect(")", "`)`")?;
                    }
                    self.macros.contains_key(name.text)
                }
                // `__has_attribute(x)` and its kin: no.
                text if text.starts_with("__has_") && line.is("(") => {
                    line.skip_bracketed()?;
                    false
                }
                _ => {
                    self.expand(token, token, &mut Vec::new(), &mut tokens)?;
                    continue;
                }
            };
            let (kind, text) = (TokenKind::Number, if answer { "1" } else { "0" });
            tokens.push(Token { kind, text, ..token });
        }
        if tokens.is_empty() {
            return Err(unexpected());
        }
        let mut cursor = Cursor::new(tokens);
        // A name that is no macro counts as 0, as in C.
        let value = evaluate(&mut cursor, &|_| Some(0))?;
        match cursor.peek() {
            None => Ok(value != 0),
            Some(_) => Err(cursor.unexpected("the end of the condition")),
        }
    }
}
