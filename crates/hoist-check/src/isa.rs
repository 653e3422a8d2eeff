//! Whether every target's processor can run the library.

use std::collections::BTreeSet;

use hoist_elf::isa::{Evidence, IsaSurvey, Need};
use hoist_elf::{ElfFacts, Place, Symbol, SymbolKind};
use hoist_schema::Severity;
use hoist_schema::manifest::IsaLevel;

use crate::contract::{Contract, PromisedKind};
use crate::report::{About, Judge, name_some};
use crate::rule::{TARGET_ISA, TARGET_ISA_DISPATCHED};

/// How many functions on the way to an instruction a message names.
const MOST_NAMED: usize = 3;

/// Bits of `GNU_PROPERTY_X86_ISA_1_NEEDED`, lowest first.
const NOTED_LEVELS: [IsaLevel; 4] = [IsaLevel::V1, IsaLevel::V2, IsaLevel::V3, IsaLevel::V4];

/// When resolvers run, as a part of a message.
const WHILE_RELOCATING: &str = " while relocating";

/// A function that callers or the loader run.
struct Root {
    address: u64,
    /// The name it is promised or exported by; one that only the loader calls has none.
    name: Option<String>,
    /// When it runs, as a part of the message.
    when: &'static str,
}

pub(crate) fn check(judge: &mut Judge<'_>, facts: &ElfFacts, bytes: &[u8]) {
    let Some(baseline) = judge.contract.isa else { return };
    check_note(judge, facts, baseline);
    match IsaSurvey::read(bytes, facts, baseline) {
        Ok(Some(survey)) => check_code(judge, facts, &survey, baseline),
        Ok(None) => {
            let message = format!(
                "its instructions were not looked at: {} is a level of x86-64, and it is for {}",
                Need::Level(baseline),
                facts.identity.machine
            );
            judge.report_as(Severity::Info, &TARGET_ISA, message, "");
        }
        Err(refusal) => {
            let message = format_args!("its instructions could not be looked at: {refusal}");
            judge.report(&TARGET_ISA, message, refusal.hint());
        }
    }
}

/// Reports that the library tells the loader to refuse the targets' processors.
fn check_note(judge: &mut Judge<'_>, facts: &ElfFacts, baseline: IsaLevel) {
    let bits = facts.notes.isa_needed.unwrap_or(0);
    let is_noted = |(bit, _): &(usize, IsaLevel)| bits & 1 << bit != 0;
    let highest = NOTED_LEVELS.into_iter().enumerate().rfind(is_noted);
    let Some((_, noted)) = highest.filter(|(_, noted)| *noted > baseline) else { return };
    let message = format!(
        "its GNU property note asks for {}, so the loader refuses processors of {}",
        Need::Level(noted),
        Need::Level(baseline)
    );
    judge.report(&TARGET_ISA, message, fix(baseline));
}

fn check_code(judge: &mut Judge<'_>, facts: &ElfFacts, survey: &IsaSurvey<'_>, baseline: IsaLevel) {
    let mut unguarded = Vec::new();
    let mut dispatched = Vec::new();
    for Root { address, name, when } in roots(judge.contract, facts) {
        let needs = survey.needs_of(address);
        let about = |evidence: &Evidence, judgement: &str| {
            let name = name.clone().or_else(|| evidence.path.first().cloned()).unwrap_or_default();
            let what = describe(evidence);
            let message = format!("`{name}` runs {what}{when} {judgement}");
            About { symbol: Some(name), object: None, message }
        };
        if let Some(evidence) = &needs.unguarded {
            let judgement = format!("without a test; targets have {}", Need::Level(baseline));
            unguarded.push(about(evidence, &judgement));
        }
        // Who calls what a resolver returns says so.
        if let Some(evidence) = needs.guarded.as_ref().filter(|_| when != WHILE_RELOCATING) {
            dispatched.push(about(evidence, "behind a test of the processor"));
        }
    }
    judge.report_each(&TARGET_ISA, &unguarded, &fix(baseline));
    judge.report_each(&TARGET_ISA_DISPATCHED, &dispatched, "");
    if !survey.is_whole() {
        let message = "its functions lie inside each other, so not all of them were looked at";
        judge.report(&TARGET_ISA, message, "link it again; no compiler makes such functions");
    }
}

/// The functions that callers or the loader run: those that are promised, or all exports of a
/// library without promises, and what runs while it is loaded and unloaded. Other exports may be
/// one variant of a function for each kind of processor.
fn roots(contract: &Contract, facts: &ElfFacts) -> Vec<Root> {
    let promised: BTreeSet<&str> = contract
        .exports
        .iter()
        .filter(|promise| promise.kind == PromisedKind::Function)
        .map(|promise| &*promise.name)
        .collect();
    let mut seen = BTreeSet::new();
    let mut roots = Vec::new();
    // Constants, too, may lie in memory that may run.
    let may_run = |symbol: &&Symbol| symbol.place == Place::Code && symbol.kind != SymbolKind::Data;
    for symbol in facts.exports().filter(may_run) {
        let is_asked = contract.exports.is_empty() || promised.contains(&*symbol.name);
        if !is_asked || !seen.insert((&*symbol.name, symbol.value)) {
            continue;
        }
        let is_chosen = symbol.kind == SymbolKind::IndirectFunction;
        roots.push(Root {
            address: symbol.value,
            name: Some(symbol.name.as_ref().to_owned()),
            when: if is_chosen { " when it is chosen" } else { "" },
        });
    }
    let calls = &facts.loader_calls;
    for (functions, when) in [
        (&calls.resolvers, WHILE_RELOCATING),
        (&calls.constructors, " while loading"),
        (&calls.destructors, " while unloading"),
    ] {
        let functions: BTreeSet<u64> = functions.iter().copied().collect();
        roots.extend(functions.into_iter().map(|address| Root { address, name: None, when }));
    }
    roots
}

/// The instruction, and the way to it: `` `vmulps` of AVX512F (x86-64-v4) at 0x1139, through `a` ``.
fn describe(evidence: &Evidence) -> String {
    let Evidence { need, feature, mnemonic, address, path, path_left_out } = evidence;
    let through = path.get(1..).unwrap_or_default();
    let through = if through.is_empty() {
        String::new()
    } else if *path_left_out == 0 {
        format!(", through {},", name_some(through.iter().map(String::as_str), MOST_NAMED))
    } else {
        let shown: Vec<String> =
            through.iter().take(MOST_NAMED).map(|name| format!("`{name}`")).collect();
        let more = through.len() - shown.len() + path_left_out;
        format!(", through {} and {more} more,", shown.join(", "))
    };
    format!("`{mnemonic}` of {feature} ({need}) at {address:#x}{through}")
}

fn fix(baseline: IsaLevel) -> String {
    let level = Need::Level(baseline);
    format!(
        "compile with `-march={level}` (C, C++), `-C target-cpu={level}` (Rust) or `--target-cpu \
         {level}` (Mojo); or choose when it runs, by `__builtin_cpu_supports`, `target_clones` or \
         `is_x86_feature_detected!`"
    )
}

#[cfg(test)]
mod tests {
    use hoist_elf::isa::{Evidence, Need};

    use super::describe;

    #[test]
    fn a_long_way_is_named_at_its_start_and_counted() {
        let evidence = Evidence {
            need: Need::Extension,
            feature: "AES".to_owned(),
            mnemonic: "aesenc".to_owned(),
            address: 0x1234,
            path: ["root", "a", "b", "c", "d"].map(str::to_owned).to_vec(),
            path_left_out: 5000,
        };
        let said = describe(&evidence);
        assert!(said.ends_with("at 0x1234, through `a`, `b`, `c` and 5001 more,"), "{said}");
        let said = describe(&Evidence { path_left_out: 0, ..evidence });
        assert!(said.ends_with("at 0x1234, through `a`, `b`, `c` and 1 more,"), "{said}");
    }
}
