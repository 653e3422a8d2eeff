//! The ABI file: what an artifact's libraries promise to their callers, in a form that a host
//! language can read without a C parser. Packed with the artifact as [`ABI_PATH`].

use serde::{Deserialize, Serialize};

/// Where the ABI file lies in an artifact, relative to its store path.
pub const ABI_PATH: &str = "share/hoist/abi.json";

/// Edition of the ABI file that this version writes.
pub const ABI_EDITION: u32 = 1;

/// The promise of one artifact: every library with its functions and the structs they use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbiFile {
    /// Edition of this format, [`ABI_EDITION`].
    pub edition: u32,
    /// Package name, as in `hoist.toml`.
    pub package: String,
    /// Package version, as in `hoist.toml`.
    pub version: String,
    /// Nix system the libraries are for, e.g. `x86_64-linux`.
    pub system: String,
    /// The libraries, in the manifest's order.
    pub libraries: Vec<AbiLibrary>,
}

/// What one library promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbiLibrary {
    /// Path inside the artifact, e.g. `lib/libpattern_search.so`.
    pub path: String,
    /// SHA-256 in base16 of the compact JSON of `structs` and `functions`, in that order: equal
    /// hashes mean equal promises.
    pub hash: String,
    /// Structs that the functions take or return, by value or behind a pointer.
    pub structs: Vec<AbiStruct>,
    /// Promised functions, in the header's order.
    pub functions: Vec<AbiFunction>,
}

/// One promised function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbiFunction {
    /// The exported symbol.
    pub name: String,
    /// Absent when only the name was promised (`exports = […]` instead of a header).
    pub signature: Option<AbiSignature>,
}

/// Parameters and result of a function, as the C declaration says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbiSignature {
    /// What it returns; [`AbiType::Void`] for nothing.
    pub result: AbiType,
    /// Its parameters, in order.
    pub parameters: Vec<AbiParameter>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbiParameter {
    /// Name in the declaration; empty when it has none.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: AbiType,
}

/// A struct with its layout under the System V ABI of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbiStruct {
    /// Tag, or the typedef's name of a struct without a tag.
    pub name: String,
    /// Size in bytes; 0 for a struct that is only declared (opaque).
    pub size: u64,
    /// Alignment in bytes; 0 for a struct that is only declared.
    pub align: u64,
    /// Fields in order; none for a struct that is only declared.
    pub fields: Vec<AbiField>,
}

/// One field of a struct.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbiField {
    /// Its name.
    pub name: String,
    /// Offset from the start of the struct, in bytes.
    pub offset: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: AbiType,
}

/// A C type with typedefs resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum AbiType {
    /// `void`.
    Void,
    /// `_Bool`.
    Bool,
    /// Plain `char`, kept apart because `const char *` is a text to most hosts.
    Char,
    /// An integer, an enum included.
    Int {
        /// Width: 8, 16, 32 or 64.
        bits: u8,
        /// Whether it is signed.
        signed: bool,
    },
    /// `float` (32) or `double` (64).
    Float {
        /// Width: 32 or 64.
        bits: u8,
    },
    /// A pointer.
    Pointer {
        /// Whether what it points to is `const`.
        #[serde(rename = "const")]
        is_const: bool,
        /// What it points to.
        to: Box<AbiType>,
    },
    /// A struct of [`AbiLibrary::structs`].
    Struct {
        /// Its name there.
        name: String,
    },
    /// An array inside a struct.
    Array {
        /// Number of elements.
        length: u64,
        /// Element type.
        of: Box<AbiType>,
    },
    /// A function, only behind a pointer; its own signature is not recorded.
    Function,
}
