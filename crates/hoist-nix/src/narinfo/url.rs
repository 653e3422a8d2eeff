//! Where a NAR lies in its cache.

use std::fmt;

use super::{Compression, NarUrlError};
use crate::Sha256Hash;

const MAX_LEN: usize = 1024;

/// The place of a NAR relative to the root of its cache, such as `nar/1b5n….nar.zst`.
///
/// It cannot lead out of the cache, whatever reads it: a folder, a server behind a proxy that
/// decodes percent signs, or a client that resolves `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NarUrl(String);

impl NarUrl {
    /// Returns the place where Nix puts a file of that hash.
    #[must_use]
    pub fn of_file(file_hash: &Sha256Hash, compression: Compression) -> Self {
        Self(format!("nar/{}.nar{}", file_hash.nix32(), compression.suffix()))
    }

    /// Reads a relative path of printable ASCII without empty, `.` and `..` parts, `%`, `:`, `\`
    /// and `#`; a query may follow, as some servers write it.
    ///
    /// # Errors
    ///
    /// [`NarUrlError`] naming the rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, NarUrlError> {
        if text.len() > MAX_LEN {
            return Err(NarUrlError::TooLong { found: text.len(), limit: MAX_LEN });
        }
        let url = || text.to_owned();
        if let Some(found) = text.chars().find(|&found| !is_plain(found)) {
            return Err(NarUrlError::Character { url: url(), found });
        }
        let path = text.split_once('?').map_or(text, |(path, _)| path);
        if path.starts_with('/') {
            return Err(NarUrlError::Absolute { url: url() });
        }
        if path.contains(':') {
            return Err(NarUrlError::Scheme { url: url() });
        }
        if path.contains('%') {
            return Err(NarUrlError::Character { url: url(), found: '%' });
        }
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(NarUrlError::Parts { url: url() });
        }
        Ok(Self(url()))
    }

    /// The place as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NarUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether servers and clients read the character as itself.
fn is_plain(character: char) -> bool {
    character.is_ascii_graphic() && !matches!(character, '#' | '\\' | '"' | '<' | '>')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_could_lead_out_of_the_cache() {
        let cases = [
            ("../outside.nar", "`../outside.nar` has an empty, `.` or `..` part"),
            ("nar/../nar/x.nar", "`nar/../nar/x.nar` has an empty, `.` or `..` part"),
            ("/etc/passwd", "`/etc/passwd` is absolute"),
            ("//host/x", "`//host/x` is absolute"),
            ("https://host/x", "`https://host/x` names a scheme or a port"),
            ("nar/%2e%2e/x", "`nar/%2e%2e/x` has `%`, wanted plain ASCII"),
            ("nar\\x", "`nar\\x` has `\\`, wanted plain ASCII"),
            ("nar/x y", "`nar/x y` has ` `, wanted plain ASCII"),
            ("", "`` has an empty, `.` or `..` part"),
        ];
        for (text, wanted) in cases {
            assert_eq!(NarUrl::parse(text).unwrap_err().to_string(), wanted);
        }
        assert!(NarUrl::parse(&"x".repeat(1025)).is_err());
    }

    #[test]
    fn a_query_may_follow_the_path() {
        let text = "nar/1b5n.nar?hash=6qfz%20..";
        assert_eq!(NarUrl::parse(text).unwrap().as_str(), text);
    }
}
