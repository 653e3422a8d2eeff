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
mod skip;
mod specifiers;
mod structs;
mod tokens;
mod types;

use std::collections::BTreeSet;

use hoist_schema::abi::{AbiFunction, AbiStruct};

pub use error::{HeaderError, Place};
pub use skip::Skipped;

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
    /// What [`parse_header_for_check`] passed over, in order of declaration.
    pub skipped: Vec<Skipped>,
    /// The functions that are declared with `()`, which says nothing of their parameters.
    pub unprototyped: BTreeSet<String>,
}

impl Header {
    /// Whether it declares more than could be read, so that a type that no function here uses may
    /// be known to callers all the same.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.skipped.is_empty() || !self.unprototyped.is_empty()
    }

    /// Names of all the functions it declares, those that were passed over included.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        let skipped = self.skipped.iter().filter(|skipped| skipped.is_function);
        let skipped = skipped.map(|skipped| &*skipped.name);
        self.functions.iter().map(|function| &*function.name).chain(skipped)
    }
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
    parser(text)?.parse()
}

/// Reads a header to hold a library against it: a declaration that is C and cannot be promised is
/// passed over, and the others are read. A struct or union that cannot be laid out is known by
/// its name, as if it were only declared.
///
/// ```
/// use hoist_elf::header::parse_header_for_check;
/// let header = parse_header_for_check("int log_it(const char *, ...);\nint add(int, int);")?;
/// assert_eq!(header.functions[0].name, "add");
/// assert_eq!(header.skipped[0].name, "log_it");
/// # Ok::<(), hoist_elf::header::HeaderError>(())
/// ```
///
/// # Errors
///
/// The first declaration that is not C; the first that cannot be promised, when no function is
/// left.
pub fn parse_header_for_check(text: &str) -> Result<Header, HeaderError> {
    parser(text)?.skipping().parse()
}

fn parser(text: &str) -> Result<declaration::Parser<'_>, HeaderError> {
    if text.len() > MAX_HEADER_BYTES {
        return Err(HeaderError::TooLarge { what: "bytes", limit: MAX_HEADER_BYTES });
    }
    let tokens = preprocess::preprocess(&lexer::tokenize(text)?)?;
    Ok(declaration::Parser::new(tokens))
}

#[cfg(test)]
mod tests;
