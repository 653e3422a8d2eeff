//! Which names Python takes.

/// Words that Python keeps for itself, soft ones included.
const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "case", "class",
    "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if",
    "import", "in", "is", "lambda", "match", "nonlocal", "not", "or", "pass", "raise", "return",
    "try", "type", "while", "with", "yield",
];

/// Modules that a module of an artifact must not hide, since it needs them itself.
const NEEDED: &[&str] =
    &["_ctypes", "builtins", "ctypes", "hoist_runtime", "os", "platform", "sys", "typing"];

/// Whether `name` is a word that Python keeps for itself.
#[must_use]
pub fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// Whether `name` is an identifier of C, which is one of Python too unless it is a keyword.
#[must_use]
pub fn is_identifier(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.starts_with(|first: char| !first.is_ascii_digit())
}

/// Whether an artifact may have a module of this name.
#[must_use]
pub fn is_module_name(name: &str) -> bool {
    is_identifier(name) && !is_keyword(name) && !NEEDED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_named_as_python_can_import_it() {
        assert!(is_module_name("pattern_search"));
        assert!(is_module_name("_x1"));
        for name in ["", "1x", "a-b", "a.b", "class", "\u{e9}", "ctypes", "a b", "a\n"] {
            assert!(!is_module_name(name), "{name}");
        }
    }
}
