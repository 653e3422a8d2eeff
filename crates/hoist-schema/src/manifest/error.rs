//! Why a manifest is refused: every problem at once, each with its place.

use std::fmt;

/// One thing that is wrong in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Length of the marked text on that line, in characters, at least 1.
    pub width: usize,
    /// The line itself, without its end.
    pub excerpt: String,
    /// What is wrong: found and wanted.
    pub message: String,
    /// What to write instead; empty when the message says it.
    pub hint: String,
}

/// Why a manifest is refused: at least one [`Problem`], in the file's order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    /// The problems.
    pub problems: Vec<Problem>,
}

impl Problem {
    /// A problem with the bytes `span` of `text`.
    pub(super) fn new(
        text: &str,
        span: std::ops::Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        let end = text.floor_char_boundary(span.end.clamp(start, line_end));
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            width: text[start..end].chars().count().max(1),
            excerpt: text[line_start..line_end].trim_end().to_owned(),
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{}:{}: {}", problem.line, problem.column, problem.message)?;
        }
        Ok(())
    }
}
