//! Types as C declarations, for messages.

use std::fmt::Write;

use super::types::{CompositeKind, PointerKind, Qualifier, Signature, Type, TypeId, Types};

/// Most parts of one declaration; the rest is `…`.
const MOST_PARTS: usize = 120;

/// Longest name in a declaration, in characters; the middle of a longer one is `…`.
const MOST_NAME_CHARS: usize = 80;

impl Types {
    /// The type as C spells it, e.g. `const float *`.
    #[must_use]
    pub fn spell(&self, id: TypeId) -> String {
        Speller { types: self, left: MOST_PARTS }.declare(id, String::new())
    }

    /// The declaration of something of this type, e.g. `int (*callback)(void *)`.
    #[must_use]
    pub fn spell_as(&self, id: TypeId, name: &str) -> String {
        Speller { types: self, left: MOST_PARTS }.declare(id, name.to_owned())
    }

    /// The declaration of a function, e.g. `float dot(const float *, int32_t)`.
    #[must_use]
    pub fn spell_function(&self, signature: &Signature, name: &str) -> String {
        Speller { types: self, left: MOST_PARTS }.function(signature, name)
    }
}

struct Speller<'t> {
    types: &'t Types,
    left: usize,
}

impl Speller<'_> {
    /// Every call uses up a part, so that neither circles nor trees that share branches are long.
    fn declare(&mut self, id: TypeId, inner: String) -> String {
        let Some(left) = self.left.checked_sub(1) else { return "…".to_owned() };
        self.left = left;
        match self.types.get(id) {
            Type::Void => join("void", &inner),
            Type::Unknown => join("?", &inner),
            Type::Nullptr => join("nullptr_t", &inner),
            Type::Base(base) => join(&shorten(&base.name), &inner),
            Type::Typedef { name, to } if name.is_empty() => self.declare(*to, inner),
            Type::Typedef { name, .. } => join(&shorten(name), &inner),
            Type::Enum(of) => match &of.name {
                Some(name) => join(&format!("enum {}", shorten(name)), &inner),
                None => join("enum { … }", &inner),
            },
            Type::Composite(of) => {
                let word = match of.kind {
                    CompositeKind::Struct => "struct",
                    CompositeKind::Union => "union",
                    CompositeKind::Class => "class",
                };
                match &of.name {
                    Some(name) => join(&format!("{word} {}", shorten(name)), &inner),
                    None => join(&format!("{word} {{ … }}"), &inner),
                }
            }
            Type::Pointer { to, kind } => {
                let mark = match kind {
                    PointerKind::Pointer => "*",
                    PointerKind::Reference => "&",
                    PointerKind::RvalueReference => "&&",
                };
                self.pointer(*to, &format!("{mark}{inner}"))
            }
            Type::MemberPointer { to } => self.pointer(*to, &format!("::*{inner}")),
            Type::Qualified { qualifier, of } => {
                let word = match qualifier {
                    Qualifier::Const => "const",
                    Qualifier::Volatile => "volatile",
                    Qualifier::Restrict => "restrict",
                    Qualifier::Atomic => "_Atomic",
                };
                match self.types.get(*of) {
                    // Behind the star it is about the pointer, before it about the value.
                    Type::Pointer { .. } => self.declare(*of, join(word, &inner)),
                    _ => format!("{word} {}", self.declare(*of, inner)),
                }
            }
            Type::Array { of, lengths } => {
                let mut text = inner;
                for length in lengths {
                    let _ = match length {
                        Some(length) => write!(text, "[{length}]"),
                        None => write!(text, "[]"),
                    };
                }
                self.declare(*of, text)
            }
            Type::Function(signature) => self.function(signature, &inner),
        }
    }

    fn pointer(&mut self, to: TypeId, inner: &str) -> String {
        match self.types.get(to) {
            Type::Array { .. } | Type::Function(_) => self.declare(to, format!("({inner})")),
            _ => self.declare(to, inner.to_owned()),
        }
    }

    fn function(&mut self, signature: &Signature, name: &str) -> String {
        let mut parameters: Vec<String> = Vec::new();
        for parameter in &signature.parameters {
            if self.left == 0 {
                parameters.push("…".to_owned());
                break;
            }
            parameters.push(self.declare(parameter.kind, String::new()));
        }
        match (signature.is_variadic, parameters.is_empty()) {
            (true, _) => parameters.push("...".to_owned()),
            (false, true) => parameters.push("void".to_owned()),
            (false, false) => {}
        }
        self.declare(signature.result, format!("{name}({})", parameters.join(", ")))
    }
}

fn join(before: &str, inner: &str) -> String {
    if inner.is_empty() || inner.starts_with('[') || before.is_empty() {
        format!("{before}{inner}")
    } else {
        format!("{before} {inner}")
    }
}

fn shorten(name: &str) -> String {
    let chars = name.chars().count();
    if chars <= MOST_NAME_CHARS {
        return name.to_owned();
    }
    let half = MOST_NAME_CHARS / 2;
    let start: String = name.chars().take(half).collect();
    let end: String = name.chars().skip(chars - half).collect();
    format!("{start}…{end}")
}
