//! The operations of the worker protocol.

use crate::wire::{ProtocolVersion, WireError};

/// What a client can ask of a daemon; Nix's names, without `wop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are Nix's; `Request` tells what they do")]
pub enum Operation {
    IsValidPath = 1,
    QueryReferrers = 6,
    AddToStore = 7,
    EnsurePath = 10,
    AddTempRoot = 11,
    AddIndirectRoot = 12,
    FindRoots = 14,
    SetOptions = 19,
    CollectGarbage = 20,
    QueryAllValidPaths = 23,
    QueryPathInfo = 26,
    QueryPathFromHashPart = 29,
    QueryValidPaths = 31,
    QueryValidDerivers = 33,
    OptimiseStore = 34,
    VerifyStore = 35,
    AddSignatures = 37,
    NarFromPath = 38,
    AddToStoreNar = 39,
    QueryMissing = 40,
    AddMultipleToStore = 44,
    BuildPathsWithResults = 46,
}

/// How the data of an operation follows its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// There is none.
    None,
    /// In frames.
    Framed,
    /// Piece by piece, each asked for by [`Message::Read`](super::Message::Read).
    Asked,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::IsValidPath,
        Self::QueryReferrers,
        Self::AddToStore,
        Self::EnsurePath,
        Self::AddTempRoot,
        Self::AddIndirectRoot,
        Self::FindRoots,
        Self::SetOptions,
        Self::CollectGarbage,
        Self::QueryAllValidPaths,
        Self::QueryPathInfo,
        Self::QueryPathFromHashPart,
        Self::QueryValidPaths,
        Self::QueryValidDerivers,
        Self::OptimiseStore,
        Self::VerifyStore,
        Self::AddSignatures,
        Self::NarFromPath,
        Self::AddToStoreNar,
        Self::QueryMissing,
        Self::AddMultipleToStore,
        Self::BuildPathsWithResults,
    ];

    /// Its number in a message.
    #[must_use]
    pub fn number(self) -> u64 {
        self as u64
    }

    /// Nix's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IsValidPath => "IsValidPath",
            Self::QueryReferrers => "QueryReferrers",
            Self::AddToStore => "AddToStore",
            Self::EnsurePath => "EnsurePath",
            Self::AddTempRoot => "AddTempRoot",
            Self::AddIndirectRoot => "AddIndirectRoot",
            Self::FindRoots => "FindRoots",
            Self::SetOptions => "SetOptions",
            Self::CollectGarbage => "CollectGarbage",
            Self::QueryAllValidPaths => "QueryAllValidPaths",
            Self::QueryPathInfo => "QueryPathInfo",
            Self::QueryPathFromHashPart => "QueryPathFromHashPart",
            Self::QueryValidPaths => "QueryValidPaths",
            Self::QueryValidDerivers => "QueryValidDerivers",
            Self::OptimiseStore => "OptimiseStore",
            Self::VerifyStore => "VerifyStore",
            Self::AddSignatures => "AddSignatures",
            Self::NarFromPath => "NarFromPath",
            Self::AddToStoreNar => "AddToStoreNar",
            Self::QueryMissing => "QueryMissing",
            Self::AddMultipleToStore => "AddMultipleToStore",
            Self::BuildPathsWithResults => "BuildPathsWithResults",
        }
    }

    /// How its data follows the request.
    #[must_use]
    pub fn payload(self, version: ProtocolVersion) -> Payload {
        match self {
            Self::AddToStoreNar if version < ProtocolVersion::new(1, 23) => Payload::Asked,
            Self::AddToStore | Self::AddToStoreNar | Self::AddMultipleToStore => Payload::Framed,
            _ => Payload::None,
        }
    }

    /// The operation of a number that was found at `offset`.
    pub(super) fn parse(found: u64, offset: u64) -> Result<Self, WireError> {
        let known = Self::ALL.into_iter().find(|operation| operation.number() == found);
        known.ok_or(WireError::Operation { offset, found })
    }

    /// Checks that `version` has it in the form that hoist knows.
    pub(super) fn check(self, version: ProtocolVersion) -> Result<(), WireError> {
        let since = match self {
            Self::AddToStore => 25, // before, the archive followed as it was
            Self::AddMultipleToStore => 32,
            Self::BuildPathsWithResults => 34,
            _ => 21,
        };
        if version < ProtocolVersion::new(1, since) {
            return Err(WireError::NotInVersion { operation: self.name(), version });
        }
        Ok(())
    }
}
