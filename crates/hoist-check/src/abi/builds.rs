//! What is known of the types of a build.

use hoist_elf::ElfFacts;
use hoist_elf::Symbol;
use hoist_elf::debug::{
    DebugError, DebugInfo, HeaderTypes, Signature, Type, TypeId, Types, debug_summary,
    read_debug_info,
};

use super::names::{is_copied, is_of_runtime};

/// Where types are known from.
#[derive(Clone, Copy)]
pub(super) enum Known<'t> {
    Debug(&'t DebugInfo),
    Header(&'t HeaderTypes),
}

impl<'t> Known<'t> {
    pub(super) fn types(self) -> &'t Types {
        match self {
            Self::Debug(info) => &info.types,
            Self::Header(header) => &header.types,
        }
    }

    pub(super) fn function(self, symbol: &Symbol) -> Option<&'t Signature> {
        match self {
            Self::Debug(info) => info.function(symbol),
            Self::Header(header) => header.functions.get(&*symbol.name),
        }
    }

    pub(super) fn variable(self, symbol: &Symbol) -> Option<TypeId> {
        match self {
            Self::Debug(info) => info.variable(symbol),
            Self::Header(_) => None,
        }
    }

    pub(super) fn damage(self) -> Option<&'t DebugError> {
        match self {
            Self::Debug(info) => info.damage.as_ref(),
            Self::Header(_) => None,
        }
    }
}

/// One build and what it says about its types.
pub(super) struct Build {
    /// What its debug information says, or why that is nothing.
    pub(super) info: Result<DebugInfo, String>,
}

impl Build {
    pub(super) fn read(bytes: &[u8], facts: &ElfFacts) -> Self {
        let is_wanted = |symbol: &Symbol| !(is_copied(symbol) && is_of_runtime(&symbol.name));
        let info = match read_debug_info(bytes, facts, is_wanted) {
            Ok(info) => info,
            Err(error) => {
                let moved = debug_summary(bytes).link;
                let moved =
                    moved.map(|link| format!("its debug information was moved to `{link}`"));
                return Self { info: Err(moved.unwrap_or_else(|| error.to_string())) };
            }
        };
        let says_something = facts
            .exports()
            .any(|symbol| info.function(symbol).is_some() || info.variable(symbol).is_some());
        let why = match &info.damage {
            _ if says_something => return Self { info: Ok(info) },
            _ if info.is_split => {
                "its debug information is in `.dwo` files, which are not read".to_owned()
            }
            Some(damage) => damage.to_string(),
            None => "its debug information describes none of its exports".to_owned(),
        };
        Self { info: Err(why) }
    }
}

/// Whether a variable is an array of characters.
pub(super) fn is_text(info: &DebugInfo, symbol: &Symbol) -> bool {
    let kind = info.variable(symbol).map(|kind| info.types.resolve(kind).1);
    match kind {
        Some(Type::Array { of, .. }) => info.types.size_bytes(*of) == Some(1),
        _ => false,
    }
}
