//! A cursor over tokens, shared by every part of the parser.

use super::error::{HeaderError, Place};
use super::lexer::{Token, TokenKind};

/// Deepest nesting of declarators, structs, expressions and types.
pub(super) const MAX_DEPTH: usize = 64;

/// Tokens and the place of the next one.
pub(super) struct Cursor<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(tokens: Vec<Token<'a>>) -> Self {
        Self { tokens, at: 0, depth: 0 }
    }

    /// Where the next token is, for [`Self::back_to`].
    pub(super) fn mark(&self) -> usize {
        self.at
    }

    pub(super) fn back_to(&mut self, mark: usize) {
        self.at = mark;
    }

    pub(super) fn peek(&self) -> Option<Token<'a>> {
        self.peek_past(0)
    }

    /// The token `ahead` tokens after the next one.
    pub(super) fn peek_past(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + ahead).copied()
    }

    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    /// Whether the next token is this punctuation or word.
    pub(super) fn is(&self, text: &str) -> bool {
        self.peek().is_some_and(|token| token.is(text))
    }

    /// Takes the next token if it is this punctuation or word.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let is = self.is(text);
        self.at += usize::from(is);
        is
    }

    /// Takes the next token, which must be `text`; `wanted` says so.
    pub(super) fn expect(&mut self, text: &str, wanted: &'static str) -> Result<(), HeaderError> {
        if self.take(text) { Ok(()) } else { Err(self.unexpected(wanted)) }
    }

    /// Takes the next token, which must be an identifier.
    pub(super) fn identifier(&mut self, wanted: &'static str) -> Result<Token<'a>, HeaderError> {
        let token = self.peek().filter(|token| token.kind == TokenKind::Identifier);
        self.at += usize::from(token.is_some());
        token.ok_or_else(|| self.unexpected(wanted))
    }

    /// The place of the next token, or of the last one at the end.
    pub(super) fn place(&self) -> Place {
        self.peek().or(self.tokens.last().copied()).map_or(Place::default(), |token| token.place)
    }

    pub(super) fn unexpected(&self, wanted: &'static str) -> HeaderError {
        let found = self
            .peek()
            .map_or("the end of the header".to_owned(), |token| format!("`{}`", token.text));
        HeaderError::Unexpected { place: self.place(), found, wanted }
    }

    /// Skips what is between the bracket that comes next and the one that closes it.
    pub(super) fn skip_bracketed(&mut self) -> Result<Vec<Token<'a>>, HeaderError> {
        let place = self.place();
        let mut open = 0_usize;
        let mut skipped = Vec::new();
        while let Some(token) = self.next() {
            match token.text {
                "(" | "[" | "{" => open += 1,
                ")" | "]" | "}" => open = open.saturating_sub(1),
                _ => skipped.push(token),
            }
            if open == 0 {
                return Ok(skipped);
            }
        }
        Err(HeaderError::Unclosed { place, what: "the bracket" })
    }

    /// Runs `parse` one level deeper.
    pub(super) fn nested<P, T>(
        parser: &mut P,
        cursor: impl Fn(&mut P) -> &mut Self,
        parse: impl FnOnce(&mut P) -> Result<T, HeaderError>,
    ) -> Result<T, HeaderError> {
        let this = cursor(parser);
        if this.depth == MAX_DEPTH {
            return Err(HeaderError::TooDeep { place: this.place(), limit: MAX_DEPTH });
        }
        this.depth += 1;
        let result = parse(parser);
        cursor(parser).depth -= 1;
        result
    }
}
