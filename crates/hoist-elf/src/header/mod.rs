//! C headers: the functions they promise, with every type resolved and every struct laid out.
//!
//! A header is read as a C compiler for 64-bit Linux would read it, with its own macros and a few
//! predefined ones. What it `#include`s is not read; the types of `<stdint.h>`, `<stddef.h>` and
//! `<stdbool.h>` are known. Attributes and unknown macros in capitals, as in `PS_API int f(void);`,
//! are passed over. What a caller without a C compiler cannot call is refused with its place:
//! variadic functions, unions, bit-fields, `long double`, packed or over-aligned structs.

mod declaration;
mod declarator;
mod error;
mod expression;
mod layout;
mod lexer;
mod preprocess;
mod specifiers;
mod structs;
mod tokens;
mod types;

use hoist_schema::abi::{AbiFunction, AbiStruct};

pub use error::{HeaderError, Place};

/// Largest header that is read, in bytes.
pub const MAX_HEADER_BYTES: usize = 4 << 20;

/// What a header promises.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// Functions with external linkage, in order of declaration; each has a signature.
    pub functions: Vec<AbiFunction>,
    /// The structs those functions take or return, directly, behind pointers or inside other
    /// structs, in order of declaration.
    pub structs: Vec<AbiStruct>,
}

/// Reads the declarations of a C header.
///
/// ```
/// use hoist_elf::header::parse_header;
/// let header = parse_header("#include <stdint.h>\nPS_API int32_t add(int32_t a, int32_t b);")?;
/// assert_eq!(header.functions[0].name, "add");
/// # Ok::<(), hoist_elf::header::HeaderError>(())
/// ```
///
/// # Errors
///
/// The first declaration that is not C, or that cannot be promised, with its line and column.
pub fn parse_header(text: &str) -> Result<Header, HeaderError> {
    if text.len() > MAX_HEADER_BYTES {
        return Err(HeaderError::TooLarge { what: "bytes", limit: MAX_HEADER_BYTES });
    }
    let tokens = preprocess::preprocess(&lexer::tokenize(text)?)?;
    declaration::Parser::new(tokens).parse()
}

#[cfg(test)]
mod tests;
