//! Debug information.

use hoist_elf::ElfFacts;
use hoist_elf::debug::{debug_summary, read_debug_info};

/// Longest declaration that is written for a message, in bytes.
const DECLARATION_MAX_LEN: usize = 64 << 10;

/// Any bytes have no debug information that is read, or have signatures that can be written, in
/// time and memory in proportion to them.
///
/// # Panics
///
/// Where that does not hold.
pub fn dwarf(bytes: &[u8]) {
    let summary = debug_summary(bytes);
    let Ok(facts) = ElfFacts::read(bytes) else { return };
    let Ok(info) = read_debug_info(bytes, &facts, |_| true) else { return };
    assert!(summary.has_info, "it was read from a section that is not there");
    for symbol in facts.exports() {
        if let Some(signature) = info.function(symbol) {
            let text = info.types.spell_function(signature, &symbol.name);
            assert!(text.len() <= DECLARATION_MAX_LEN + symbol.name.len(), "a long declaration");
            for parameter in &signature.parameters {
                let _ = info.types.size_bytes(parameter.kind);
            }
        }
        if let Some(kind) = info.variable(symbol) {
            let text = info.types.spell(kind);
            assert!(text.len() <= DECLARATION_MAX_LEN, "a long type");
        }
    }
}
