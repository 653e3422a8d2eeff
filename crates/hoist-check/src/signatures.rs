//! Promised declarations against what was compiled, and the state of the debug information that
//! tells.

use std::collections::HashMap;

use hoist_elf::debug::{
    DebugError, DebugInfo, DebugSummary, HeaderTypes, debug_summary, read_debug_info,
};
use hoist_elf::header::Header;
use hoist_elf::{ElfFacts, Place, Symbol};

use crate::abi::{Mismatch, Reach, Sides};
use crate::report::{Judge, name_some};
use crate::rule::{
    DEBUG_ABSENT, DEBUG_PRESENT, DEBUG_UNREADABLE, EXPORT_SIGNATURE, EXPORT_SIGNATURE_UNVERIFIED,
};

/// How many functions a message names.
const MOST_NAMED: usize = 3;

pub(crate) fn check(judge: &mut Judge<'_>, facts: &ElfFacts, bytes: &[u8]) {
    let contract = judge.contract;
    let summary = debug_summary(bytes);
    let exported = contract.header.as_ref().map(|header| exported(facts, header));
    let Some(exported) = exported.filter(|exported| !exported.is_empty()) else {
        // Nothing is asked of it, and to decompress it takes time and memory.
        report_state(judge, &summary, None);
        return;
    };
    let promised = contract.header.as_ref().map(HeaderTypes::new).unwrap_or_default();
    let is_promised = |symbol: &Symbol| {
        symbol.place == Place::Code && promised.functions.contains_key(&*symbol.name)
    };
    let info = read_debug_info(bytes, facts, is_promised);
    report_state(judge, &summary, info.as_ref().err());
    if let Ok(DebugInfo { damage: Some(damage), .. }) = &info {
        report_damage(judge, damage);
    }
    let unknown = match &info {
        Ok(info) => compare(judge, &exported, &promised, info),
        Err(_) => exported.iter().map(|symbol| &*symbol.name).collect(),
    };
    report_unknown(judge, &unknown, &summary, &info);
}

/// The exports that a header declares with their types.
fn exported<'f>(facts: &'f ElfFacts, header: &Header) -> Vec<&'f Symbol> {
    let mut by_name: HashMap<&str, &Symbol> = HashMap::new();
    for symbol in facts.exports().filter(|symbol| symbol.place == Place::Code) {
        by_name.entry(&symbol.name).or_insert(symbol);
    }
    let functions = header.functions.iter().filter(|function| function.signature.is_some());
    functions.filter_map(|function| by_name.get(&*function.name).copied()).collect()
}

/// - `refusal`: why the information was not read, if that was tried.
fn report_state(judge: &mut Judge<'_>, summary: &DebugSummary, refusal: Option<&DebugError>) {
    if summary.size_bytes > 0 {
        let message = format!("{} bytes of it are debug information", summary.size_bytes);
        judge.report(&DEBUG_PRESENT, message, "");
    }
    let is_absent = match refusal {
        Some(DebugError::Absent | DebugError::Sections { .. }) => true,
        Some(damage) => {
            report_damage(judge, damage);
            false
        }
        None => !summary.has_info,
    };
    if is_absent {
        let message = match &summary.link {
            Some(link) => format!("its debug information was moved to `{link}`"),
            None => "it has no debug information about functions and types".to_owned(),
        };
        judge.report(&DEBUG_ABSENT, message, "");
    }
}

fn report_damage(judge: &mut Judge<'_>, damage: &DebugError) {
    let message = format!("its debug information cannot be read: {damage}");
    let fix = "link it again; a tool that edited the finished file may have damaged it";
    judge.report(&DEBUG_UNREADABLE, message, fix);
}

/// Compares the exports, and returns those of which the library says nothing.
fn compare<'f>(
    judge: &mut Judge<'_>,
    symbols: &[&'f Symbol],
    promised: &HeaderTypes,
    info: &DebugInfo,
) -> Vec<&'f str> {
    let contract = judge.contract;
    let by = &contract.promised_by;
    let mut unknown = Vec::new();
    let fix = "make the header and the source say the same; where the header is right, include it \
               in the source, so that the compiler sees both";
    let sides = Sides { left: &promised.types, right: &info.types, is_header: true };
    let mut reach = Reach::new(sides, &|_| true);
    for (number, symbol) in symbols.iter().enumerate() {
        let name = &*symbol.name;
        let Some(left) = promised.functions.get(name) else { continue };
        let Some(right) = info.function(symbol) else {
            unknown.push(name);
            continue;
        };
        let mut pairs = Vec::new();
        let found = sides.relate_signatures(left, right, &mut pairs);
        reach.add(number, pairs);
        let Some(severity) = found.iter().map(|mismatch| mismatch.severity).max() else { continue };
        let message = format!(
            "`{name}` is not what {by} says; header: `{}`; library: `{}`; {}",
            promised.types.spell_function(left, name),
            info.types.spell_function(right, name),
            texts(&found)
        );
        judge.report_as(severity, &EXPORT_SIGNATURE, message, fix).symbol(name);
    }
    for reached in reach.differences() {
        let difference = &reached.difference;
        for (index, &export) in reached.exports.iter().enumerate() {
            let Some(symbol) = symbols.get(export) else { continue };
            let message = format!(
                "`{}` uses `{}`, which {by} lays out otherwise than the library (header → \
                 library): {}{}",
                symbol.name,
                difference.spelled,
                difference.what,
                reached.and_others(index)
            );
            judge
                .report_as(difference.severity, &EXPORT_SIGNATURE, message, fix)
                .symbol(&symbol.name)
                .object(&difference.name);
        }
    }
    unknown
}

fn texts(found: &[Mismatch]) -> String {
    let texts: Vec<&str> = found.iter().map(|mismatch| &*mismatch.what).collect();
    texts.join("; ")
}

fn report_unknown(
    judge: &mut Judge<'_>,
    unknown: &[&str],
    summary: &DebugSummary,
    info: &Result<DebugInfo, DebugError>,
) {
    if unknown.is_empty() {
        return;
    }
    let why = match (info, &summary.link) {
        (Ok(info), _) if info.is_split => {
            "its debug information is in `.dwo` files, which are not read".to_owned()
        }
        (Ok(_), _) => "its debug information does not describe them".to_owned(),
        (Err(_), Some(link)) => format!("its debug information was moved to `{link}`"),
        (Err(error), None) => error.to_string(),
    };
    let names = name_some(unknown.iter().copied(), MOST_NAMED);
    let by = &judge.contract.promised_by;
    let message = format!("{names}: not held against {by}, because {why}");
    let fix = "compile with `-g` (Rust: `debug = \"limited\"`) and check before `strip`";
    let reported = judge.report(&EXPORT_SIGNATURE_UNVERIFIED, message, fix);
    if let [only] = unknown {
        reported.symbol(only);
    }
}
