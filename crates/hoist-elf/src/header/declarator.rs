//! Declarators: the name, and the pointers, arrays and parameters around it.

use hoist_schema::abi::{AbiParameter, AbiType};

use super::declaration::Parser;
use super::error::{HeaderError, Place};
use super::expression::evaluate;
use super::lexer::{Token, TokenKind};
use super::specifiers::{PASSED_OVER, is_in_capitals};
use super::tokens::{Cursor, MAX_DEPTH};
use super::types::{Qualified, check_depth};

/// Words that start a declaration or belong to one, and so are no names.
const KEYWORDS: &[&str] = &[
    "const", "struct", "enum", "union", "void", "char", "short", "int", "long", "float", "double",
    "signed", "unsigned", "_Bool", "bool", "typedef", "static", "extern", "inline",
];

/// One step from a name to its type, nearest first: `*f[3]` is an array of pointers.
pub(super) enum Step {
    Pointer {
        is_const: bool,
    },
    /// Length absent in `[]`.
    Array(Option<u64>),
    Function {
        parameters: Vec<AbiParameter>,
        /// Where `...` stands.
        variadic: Option<Place>,
        /// Whether there is nothing between the parentheses, not even `void`.
        is_empty: bool,
    },
}

/// A name, absent in `int f(float *);`, and the steps to its type.
pub(super) struct Declarator<'a> {
    pub(super) name: Option<Token<'a>>,
    pub(super) place: Place,
    pub(super) steps: Vec<Step>,
}

impl<'a> Parser<'a> {
    pub(super) fn declarator(&mut self) -> Result<Declarator<'a>, HeaderError> {
        let place = self.cursor.place();
        let mut declarator = Declarator { name: None, place, steps: Vec::new() };
        self.declarator_steps(&mut declarator)?;
        Ok(declarator)
    }

    fn declarator_steps(&mut self, declarator: &mut Declarator<'a>) -> Result<(), HeaderError> {
        Cursor::nested(
            self,
            |parser| &mut parser.cursor,
            |parser| {
                let pointers = parser.pointers()?;
                let is_group = parser.cursor.is("(") && parser.is_grouping();
                if is_group {
                    parser.cursor.next();
                    parser.declarator_steps(declarator)?;
                    parser.cursor.expect(")", "`)` behind a declarator")?;
                } else if let Some(name) = parser.cursor.peek().filter(|token| is_name(token)) {
                    parser.cursor.next();
                    (declarator.name, declarator.place) = (Some(name), name.place);
                }
                loop {
                    if parser.skip_attribute()? {
                    } else if parser.cursor.is("[") {
                        declarator.steps.push(parser.array()?);
                    } else if parser.cursor.is("(") {
                        declarator.steps.push(parser.parameters()?);
                    } else {
                        break;
                    }
                }
                declarator.steps.extend(pointers.into_iter().rev());
                if declarator.steps.len() > MAX_DEPTH {
                    return Err(HeaderError::TooDeep { place: declarator.place, limit: MAX_DEPTH });
                }
                Ok(())
            },
        )
    }

    /// Reads `*`s with their qualifiers, and macros between them and the name.
    fn pointers(&mut self) -> Result<Vec<Step>, HeaderError> {
        let mut pointers = Vec::new();
        loop {
            if self.cursor.take("*") {
                pointers.push(Step::Pointer { is_const: false });
            } else if self.cursor.take("const") || self.cursor.take("__const") {
                match pointers.last_mut() {
                    Some(Step::Pointer { is_const }) => *is_const = true,
                    _ => return Err(self.cursor.unexpected("a name")),
                }
            } else if !self.skip_attribute()? {
                let is_macro = |token: Token<'_>, next: Token<'_>| {
                    is_in_capitals(token.text)
                        && (next.kind == TokenKind::Identifier || next.is("*"))
                };
                match (self.cursor.peek(), self.cursor.peek_past(1)) {
                    (Some(token), Some(next)) if is_macro(token, next) => self.cursor.next(),
                    _ => break,
                };
            }
            if pointers.len() > MAX_DEPTH {
                let place = self.cursor.place();
                return Err(HeaderError::TooDeep { place, limit: MAX_DEPTH });
            }
        }
        Ok(pointers)
    }

    /// Whether the `(` that comes next groups a declarator, rather than opening parameters.
    fn is_grouping(&self) -> bool {
        self.cursor.peek_past(1).is_some_and(|token| {
            token.is("*")
                || token.is("(")
                || token.is("__attribute__")
                || token.kind == TokenKind::Identifier && !self.starts_type(token)
        })
    }

    /// Whether a declaration can start with this word.
    fn starts_type(&self, token: Token<'_>) -> bool {
        KEYWORDS.contains(&token.text)
            || PASSED_OVER.contains(&token.text)
            || is_in_capitals(token.text)
            || self.types.named(token.text).is_some()
    }

    fn array(&mut self) -> Result<Step, HeaderError> {
        self.cursor.expect("[", "`[`")?;
        while self.cursor.take("static") || self.cursor.take("const") || self.skip_attribute()? {}
        if self.cursor.take("]") {
            return Ok(Step::Array(None));
        }
        let place = self.cursor.place();
        let constants = &self.types.constants;
        let length = evaluate(&mut self.cursor, &|name| constants.get(name).copied())?;
        self.cursor.expect("]", "`]` behind the array's length")?;
        match u64::try_from(length) {
            Ok(length) if length > 0 => Ok(Step::Array(Some(length))),
            _ => {
                let problem = format!("an array of length {length}");
                Err(HeaderError::Constant { place, problem })
            }
        }
    }

    fn parameters(&mut self) -> Result<Step, HeaderError> {
        self.cursor.expect("(", "`(`")?;
        let mut parameters = Vec::new();
        let mut variadic = None;
        let is_void =
            self.cursor.is("void") && self.cursor.peek_past(1).is_some_and(|token| token.is(")"));
        if is_void {
            self.cursor.next();
        }
        if self.cursor.take(")") {
            return Ok(Step::Function { parameters, variadic, is_empty: !is_void });
        }
        loop {
            let place = self.cursor.place();
            if self.cursor.take("...") {
                variadic = Some(place);
            } else {
                parameters.push(self.parameter()?);
            }
            if self.cursor.take(")") {
                return Ok(Step::Function { parameters, variadic, is_empty: false });
            }
            self.cursor.expect(",", "`,` or `)` behind a parameter")?;
        }
    }

    fn parameter(&mut self) -> Result<AbiParameter, HeaderError> {
        let specifiers = self.specifiers()?;
        let declarator = self.declarator()?;
        while self.skip_attribute()? {}
        // `float *data PS_IN`: a macro behind the name.
        if self.cursor.peek().is_some_and(|token| is_in_capitals(token.text)) {
            self.skip_macro()?;
        }
        let place = declarator.place;
        let whole = apply_steps(specifiers.base, &declarator.steps, place)?;
        let kind = match whole.kind {
            AbiType::Array { of, .. } => AbiType::Pointer { is_const: whole.is_const, to: of },
            function @ AbiType::Function => {
                AbiType::Pointer { is_const: false, to: Box::new(function) }
            }
            AbiType::Void => {
                return Err(HeaderError::Unexpected {
                    place,
                    found: "a parameter of type `void`".to_owned(),
                    wanted: "`(void)` alone, or a type",
                });
            }
            kind => kind,
        };
        let name = declarator.name.map_or_else(String::new, |name| name.text.to_owned());
        Ok(AbiParameter { name, kind })
    }
}

fn is_name(token: &Token<'_>) -> bool {
    token.kind == TokenKind::Identifier && !KEYWORDS.contains(&token.text)
}

/// The type that `steps` make of `base`.
pub(super) fn apply_steps(
    base: Qualified,
    steps: &[Step],
    place: Place,
) -> Result<Qualified, HeaderError> {
    check_depth(&base.kind, steps.len(), place)?;
    let wrong = |found: &str, wanted| {
        Err(HeaderError::Unexpected { place, found: found.to_owned(), wanted })
    };
    let mut whole = base;
    for step in steps.iter().rev() {
        whole = match (step, whole) {
            (Step::Pointer { is_const }, Qualified { kind, is_const: to_const }) => Qualified {
                kind: AbiType::Pointer { is_const: to_const, to: Box::new(kind) },
                is_const: *is_const,
            },
            (Step::Array(_), Qualified { kind: AbiType::Void | AbiType::Function, .. }) => {
                return wrong("an array of `void` or functions", "an array of values");
            }
            (Step::Array(_), Qualified { kind: AbiType::Array { length: 0, .. }, .. }) => {
                return wrong("`[]`", "a length in every dimension but the first");
            }
            (Step::Array(length), Qualified { kind, is_const }) => Qualified {
                kind: AbiType::Array { length: length.unwrap_or(0), of: Box::new(kind) },
                is_const,
            },
            (
                Step::Function { .. },
                Qualified { kind: AbiType::Array { .. } | AbiType::Function, .. },
            ) => return wrong("a function that returns an array or a function", "a value"),
            (Step::Function { .. }, _) => Qualified::plain(AbiType::Function),
        };
    }
    Ok(whole)
}
