//! Names as the linker and as people write them.

use std::fmt::{self, Write};

use hoist_elf::{Binding, Symbol};

/// Longest mangled name that is read, in bytes.
const MOST_BYTES: usize = 4096;

/// Longest name that is written, in bytes. A mangled name refers to its own parts, so every ten
/// bytes of it may double what it stands for.
const MOST_WRITTEN_BYTES: usize = 16 << 10;

/// What a name of C++ or Rust stands for, e.g. `search::Index::add(int)`; `None` for a name of C.
pub(crate) fn demangle(name: &str) -> Option<String> {
    if name.len() > MOST_BYTES {
        return None;
    }
    let mut plain = Limited(String::new());
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        write!(plain, "{rust:#}").ok()?;
        return Some(plain.0);
    }
    if !name.starts_with("_Z") {
        return None;
    }
    let cpp = cpp_demangle::Symbol::new(name).ok()?;
    cpp.structured_demangle(&mut plain, &cpp_demangle::DemangleOptions::default()).ok()?;
    Some(plain.0)
}

/// A text that ends the writing when it gets too long.
struct Limited(String);

impl Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MOST_WRITTEN_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// The name in backquotes, and what it stands for behind it.
pub(crate) fn quoted(name: &str) -> String {
    match demangle(name) {
        Some(plain) => format!("`{name}` (`{plain}`)"),
        None => format!("`{name}`"),
    }
}

/// A demangled name without its parameters.
pub(crate) fn without_parameters(plain: &str) -> &str {
    plain.find('(').map_or(plain, |end| &plain[..end])
}

/// Whether Rust made the name: it has a hash that changes with every compiler, so nothing can be
/// linked against it but what was compiled with it.
pub(crate) fn is_of_rust(name: &str) -> bool {
    rustc_demangle::try_demangle(name).is_ok()
}

/// Whether every program that uses a function or table of C++ has a copy of its own: an inline
/// function or instance of a template, the type information of a class. Those of the C++ library
/// itself have versions, and count.
pub(crate) fn is_copied(symbol: &Symbol) -> bool {
    matches!(symbol.binding, Binding::Weak | Binding::GnuUnique)
        && symbol.name.starts_with("_Z")
        && symbol.version.is_none()
}

/// Whether a copied name belongs to the C++ library or to the workings of classes.
pub(crate) fn is_of_runtime(name: &str) -> bool {
    let name = name.strip_prefix("_Z").unwrap_or(name);
    if ["TI", "TS", "TT", "TC", "GV", "GR"].iter().any(|start| name.starts_with(start)) {
        return true;
    }
    let rest = name.strip_prefix("TV").unwrap_or(name);
    let rest = rest.trim_start_matches(['N', 'K', 'V', 'R', 'O']);
    ["St", "Sa", "Ss", "Sb", "Si", "So", "Sd", "9__gnu_cxx", "10__cxxabiv1"]
        .iter()
        .any(|start| rest.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_languages_are_read() {
        assert_eq!(demangle("_Z3addil").as_deref(), Some("add(int, long)"));
        assert_eq!(demangle("add"), None);
        assert_eq!(demangle("_Zgarbage"), None);
        assert_eq!(without_parameters("ns::add(int, long)"), "ns::add");
        assert_eq!(quoted("_Z3addi"), "`_Z3addi` (`add(int)`)");
    }

    /// A function whose every parameter is written with the one before it, twice.
    fn doubling(levels: usize) -> String {
        let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let level = |level: usize| {
            let before = char::from(digits[level]);
            format!("S_IS{before}_S{before}_E")
        };
        format!("_Z1f1AIiiE{}", (0..levels).map(level).collect::<String>())
    }

    #[test]
    fn a_name_that_stands_for_an_endless_one_is_not_read() {
        let short = demangle(&doubling(2));
        let wanted = "f(A<int, int>, A<A<int, int>, A<int, int> >, A<A<A<int, int>, A<int, int> >, \
                      A<A<int, int>, A<int, int> > >)";
        assert_eq!(short.as_deref(), Some(wanted));
        let longest = demangle(&doubling(8)).unwrap();
        assert!((8 << 10..MOST_WRITTEN_BYTES).contains(&longest.len()), "{}", longest.len());
        // In full, it would take some hundred gigabytes.
        let long = doubling(35);
        assert!(long.len() < 406, "{}", long.len());
        assert_eq!(demangle(&long), None);
        assert_eq!(quoted(&long), format!("`{long}`"));
    }

    #[test]
    fn what_the_runtime_owns_is_known() {
        for name in ["_ZTI3Foo", "_ZNSt6vectorIiSaIiEE9push_backEi", "_ZTVSt9exception"] {
            assert!(is_of_runtime(name), "{name}");
        }
        for name in ["_ZTV3Foo", "_ZN3Foo3barEv", "_Z3addi"] {
            assert!(!is_of_runtime(name), "{name}");
        }
    }
}
