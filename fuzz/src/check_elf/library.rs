//! What must hold of any bytes that are taken for a library: its facts and instruction sets.
//!
//! `crates/hoist-elf/tests/hostile.rs` runs the same function over small libraries and their near
//! neighbours.

use hoist_elf::isa::IsaSurvey;
use hoist_elf::{ElfFacts, extent_bytes, find_local_symbol, function_at};
use hoist_schema::manifest::IsaLevel;

/// Any bytes give facts and a survey of their instructions, or are refused.
///
/// # Panics
///
/// Where that does not hold.
pub fn library(bytes: &[u8]) {
    let _ = extent_bytes(bytes);
    let _ = find_local_symbol(bytes, "kept");
    let Ok(facts) = ElfFacts::read(bytes) else { return };
    assert!(facts.used_bytes <= bytes.len() as u64);
    let _ = function_at(bytes, &facts, 0x1000);
    let Ok(Some(survey)) = IsaSurvey::read(bytes, &facts, IsaLevel::V1) else { return };
    let calls = &facts.loader_calls;
    let exports = facts.exports().map(|export| export.value).take(100);
    for address in exports.chain(calls.constructors.iter().copied().take(100)) {
        let needs = survey.needs_of(address);
        for evidence in needs.unguarded.into_iter().chain(needs.guarded) {
            assert!(!evidence.path.is_empty() && !evidence.mnemonic.is_empty());
        }
    }
}
