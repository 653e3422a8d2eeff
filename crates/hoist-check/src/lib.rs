//! Rules over ELF facts, giving findings.
