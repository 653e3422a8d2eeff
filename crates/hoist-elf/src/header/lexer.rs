//! Text to tokens; comments and line continuations go away here.

use super::error::{HeaderError, Place};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Identifier,
    Number,
    /// A text or character in quotes.
    Quoted,
    Punctuation,
    /// A character that C does not know, or a quote that is not closed on its line.
    Stray,
}

/// One token of the header's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    pub(super) text: &'a str,
    pub(super) place: Place,
    /// Whether nothing but white space and comments is before it on its line.
    pub(super) starts_line: bool,
    /// Whether it follows the token before it without a gap; tells `#define F(x)` from
    /// `#define F (x)`.
    pub(super) is_glued: bool,
}

impl Token<'_> {
    /// Whether it is this punctuation or this word.
    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text && matches!(self.kind, TokenKind::Punctuation | TokenKind::Identifier)
    }
}

/// Longest first, so that `<<` is not read as two `<`.
const LONG_PUNCTUATION: &[&str] =
    &["...", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "##", "->", "++", "--"];

const PUNCTUATION: &str = "{}()[];,:*=#<>+-/%&|^~!?.";

struct Lexer<'a> {
    rest: &'a str,
    place: Place,
    starts_line: bool,
    is_glued: bool,
}

/// Splits the text into tokens.
pub(super) fn tokenize(text: &str) -> Result<Vec<Token<'_>>, HeaderError> {
    let rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let place = Place { line: 1, column: 1 };
    let mut lexer = Lexer { rest, place, starts_line: true, is_glued: false };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space()?;
        let Some(first) = lexer.rest.chars().next() else { return Ok(tokens) };
        let (kind, length) = lexer.measure(first);
        let token = Token {
            kind,
            text: &lexer.rest[..length],
            place: lexer.place,
            starts_line: lexer.starts_line,
            is_glued: lexer.is_glued,
        };
        tokens.push(token);
        lexer.advance(length);
        (lexer.starts_line, lexer.is_glued) = (false, true);
    }
}

impl Lexer<'_> {
    fn advance(&mut self, length: usize) {
        let (passed, rest) = self.rest.split_at(length);
        self.rest = rest;
        match passed.rfind('\n') {
            None => self.place.column += passed.chars().count(),
            Some(last) => {
                self.place.line += passed.matches('\n').count();
                self.place.column = passed[last + 1..].chars().count() + 1;
            }
        }
    }

    fn skip_space(&mut self) -> Result<(), HeaderError> {
        loop {
            let continuation = ["\\\n", "\\\r\n"].iter().find(|text| self.rest.starts_with(**text));
            let length = if self.rest.starts_with("//") {
                self.rest.find('\n').unwrap_or(self.rest.len())
            } else if self.rest.starts_with("/*") {
                let unclosed = HeaderError::Unclosed { place: self.place, what: "the comment" };
                self.rest[2..].find("*/").ok_or(unclosed)? + 4
            } else if let Some(continuation) = continuation {
                continuation.len()
            } else {
                match self.rest.chars().next() {
                    Some('\n') => {
                        self.starts_line = true;
                        1
                    }
                    Some(space) if space.is_whitespace() => space.len_utf8(),
                    _ => return Ok(()),
                }
            };
            self.is_glued = false;
            self.advance(length);
        }
    }

    fn measure(&self, first: char) -> (TokenKind, usize) {
        let rest = self.rest;
        let run = |is_part: fn(char) -> bool| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if first.is_ascii_alphabetic() || first == '_' {
            (TokenKind::Identifier, run(is_word))
        } else if first.is_ascii_digit() {
            (TokenKind::Number, run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '\'')))
        } else if matches!(first, '"' | '\'') {
            match closing_quote(rest, first) {
                Some(length) => (TokenKind::Quoted, length),
                None => (TokenKind::Stray, 1),
            }
        } else if let Some(long) = LONG_PUNCTUATION.iter().find(|text| rest.starts_with(**text)) {
            (TokenKind::Punctuation, long.len())
        } else if PUNCTUATION.contains(first) {
            (TokenKind::Punctuation, 1)
        } else {
            (TokenKind::Stray, first.len_utf8())
        }
    }
}

/// Length of the quoted text at the start of `rest`, if it is closed on its line.
fn closing_quote(rest: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' => return None,
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}
