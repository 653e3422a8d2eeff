//! What is known of the types of a build.

use hoist_elf::ElfFacts;
use hoist_elf::Symbol;
use hoist_elf::debug::{
    DebugError, DebugInfo, DebugSummary, HeaderTypes, Signature, Type, TypeId, Types,
    debug_summary, read_debug_info,
};

use super::names::is_copied;

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
    pub(super) info: Result<DebugInfo, DebugError>,
    pub(super) summary: DebugSummary,
}

impl Build {
    pub(super) fn read(bytes: &[u8], facts: &ElfFacts) -> Self {
        let info = read_debug_info(bytes, facts, |symbol| !is_copied(symbol));
        // Headers without contents, as after splitting, say nothing.
        let says_nothing = |info: &DebugInfo| {
            !facts
                .exports()
                .any(|symbol| info.function(symbol).is_some() || info.variable(symbol).is_some())
        };
        let info = match info {
            Ok(info) if says_nothing(&info) => Err(info.damage.unwrap_or(DebugError::Absent)),
            info => info,
        };
        Self { info, summary: debug_summary(bytes) }
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
