//! ELF facts from bytes, and C declarations from headers.
