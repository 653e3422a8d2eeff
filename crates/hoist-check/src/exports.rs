//! Promised functions and variables against what the library exports.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use hoist_elf::{ElfFacts, Place, Symbol, SymbolKind, find_local_symbol};
use hoist_schema::Severity;

use crate::contract::{Promise, PromisedKind};
use crate::likeness::Likeness;
use crate::report::{About, Judge, name_some};
use crate::rule::{
    EXPORT_EXTRA, EXPORT_HIDDEN, EXPORT_IFUNC, EXPORT_KIND, EXPORT_MISSING, EXPORT_UNDEFINED,
};

/// Names that linkers add by themselves.
pub(crate) const LINKER_SYMBOLS: &[&str] =
    &["_init", "_fini", "_edata", "_end", "__bss_start", "_DYNAMIC", "_GLOBAL_OFFSET_TABLE_"];

/// How many exports a message names.
const MOST_NAMED: usize = 3;

/// Least likeness, from 0 to 1, at which another name is offered.
const LEAST_LIKENESS: f64 = 0.7;

/// How many exports are told in the order of their likeness; of more, only those that are offered
/// come first, as comparing all takes time.
const FEW_EXPORTS: usize = 100;

pub(crate) fn check(judge: &mut Judge<'_>, facts: &ElfFacts, bytes: &[u8]) {
    let contract = judge.contract;
    let mut likeness = Likeness::new();
    for promise in &contract.exports {
        check_promise(judge, facts, bytes, promise, &mut likeness);
    }
    if contract.exports_exact {
        let promised: BTreeSet<&str> =
            contract.exports.iter().map(|promise| &*promise.name).collect();
        let extra: Vec<About> = exported_names(facts)
            .filter(|name| !promised.contains(name) && !LINKER_SYMBOLS.contains(name))
            .map(|name| {
                let by = &contract.promised_by;
                About::symbol(name, format!("`{name}` is exported, but not promised by {by}"))
            })
            .collect();
        let fix = "hide it: `static` or `-fvisibility=hidden` in C and C++, no `no_mangle` in Rust, \
                   or a version script; or promise it";
        judge.report_each(&EXPORT_EXTRA, &extra, fix);
    }
}

/// Exported names, each once, in table order.
fn exported_names(facts: &ElfFacts) -> impl Iterator<Item = &str> {
    let mut seen = BTreeSet::new();
    facts.exports().map(|symbol| &*symbol.name).filter(move |name| seen.insert(*name))
}

fn check_promise(
    judge: &mut Judge<'_>,
    facts: &ElfFacts,
    bytes: &[u8],
    promise: &Promise,
    likeness: &mut Likeness,
) {
    let name = &*promise.name;
    let promised_by = &judge.contract.promised_by;
    let exported = || facts.exports().filter(|symbol| &*symbol.name == name);
    if let Some(symbol) = exported().next() {
        let of_version = |symbol: &&Symbol| symbol.version.as_deref() == promise.version.as_deref();
        match (&promise.version, exported().find(of_version)) {
            (Some(version), None) => report_version(judge, name, version, exported()),
            (_, found) => check_kind(judge, found.unwrap_or(symbol), promise.kind),
        }
        return;
    }
    let others = facts.symbols.iter().filter(|symbol| &*symbol.name == name);
    let is_hidden = others.clone().any(Symbol::is_defined);
    let is_wanted = others.clone().any(|symbol| !symbol.is_defined());
    if is_hidden || find_local_symbol(bytes, name).is_some() {
        judge.report(
            &EXPORT_HIDDEN,
            format_args!(
                "`{name}` is promised by {promised_by} and defined, but hidden from other libraries"
            ),
            "give it default visibility: no `static`, `__attribute__((visibility(\"default\")))` \
             where `-fvisibility=hidden` is set, and a place in the version script if there is one",
        ).symbol(name);
    } else if is_wanted {
        judge.report(
            &EXPORT_UNDEFINED,
            format_args!(
                "`{name}` is promised by {promised_by}, but the library only refers to it and does \
                 not define it"
            ),
            "compile and link the file that defines it; `-Wl,-z,defs` makes the linker say so",
        ).symbol(name);
    } else {
        report_missing(judge, facts, name, likeness);
    }
}

fn report_missing(judge: &mut Judge<'_>, facts: &ElfFacts, name: &str, likeness: &mut Likeness) {
    let exported = exported_names(facts).filter(|name| !LINKER_SYMBOLS.contains(name));
    let exported: Vec<&str> = exported.collect();
    let least = if exported.len() > FEW_EXPORTS { LEAST_LIKENESS } else { 0.0 };
    let mut exported: Vec<(f64, &str)> = exported
        .into_iter()
        .map(|export| (likeness_of(likeness, name, export, least), export))
        .collect();
    exported.sort_by_key(|(likeness, _)| Reverse(likeness.to_bits())); // none is negative
    let nearest = exported.first().filter(|(likeness, _)| *likeness >= LEAST_LIKENESS);
    let nearest = nearest.map(|(_, export)| *export);
    let exported: Vec<&str> = exported.into_iter().map(|(_, export)| export).collect();
    let mangled = exported.iter().find(|export| is_mangled(export, name));
    let fix = match (mangled, nearest) {
        (Some(mangled), _) => format!(
            "`{mangled}` is its mangled name: declare it `extern \"C\"` in C++, \
             `#[unsafe(no_mangle)] pub extern \"C\" fn` in Rust"
        ),
        (None, Some(nearest)) => format!("did you mean `{nearest}`? rename one of the two"),
        (None, None) => {
            "define and export it: `extern \"C\"` in C++, `#[unsafe(no_mangle)] pub extern \"C\" \
             fn` in Rust, `@export` in Mojo, default visibility in C"
                .to_owned()
        }
    };
    let exports = if exported.is_empty() {
        "nothing".to_owned()
    } else {
        name_some(exported.iter().copied(), MOST_NAMED)
    };
    let promised_by = &judge.contract.promised_by;
    let message = format!(
        "`{name}` is promised by {promised_by} but not exported; the library exports {exports}"
    );
    judge.report(&EXPORT_MISSING, message, fix).symbol(name);
}

/// How alike two names are, from 0 to 1; 0 where it is less than `least`.
fn likeness_of(likeness: &mut Likeness, name: &str, other: &str, least: f64) -> f64 {
    // A missing prefix or suffix is the commonest difference.
    let contains = other.contains(name) || (other.len() > 3 && name.contains(other));
    let likeness = likeness.of(name, other, least);
    if contains { likeness.max(LEAST_LIKENESS) } else { likeness }
}

/// Whether `export` is `name` as C++ or Rust write it: `_Z3addii`, `_ZN4case3add17h…E`,
/// `_RNvCs…_4case3add`.
fn is_mangled(export: &str, name: &str) -> bool {
    let is_encoded = export.starts_with("_Z") || export.starts_with("_R");
    is_encoded && export.contains(&format!("{}{name}", name.len()))
}

/// Reports a promised version of an exported symbol that is not there.
fn report_version<'f>(
    judge: &mut Judge<'_>,
    name: &str,
    version: &str,
    exported: impl Iterator<Item = &'f Symbol>,
) {
    let versions: Vec<&str> = exported.filter_map(|symbol| symbol.version.as_deref()).collect();
    let there = if versions.is_empty() {
        "without a version".to_owned()
    } else {
        format!("with {}", name_some(versions.into_iter(), MOST_NAMED))
    };
    let promised_by = &judge.contract.promised_by;
    let message = format!(
        "`{name}` is promised with version `{version}` by {promised_by}, but exported {there}"
    );
    let fix = format!("define `{name}` in the node `{version}` of the version script");
    judge.report(&EXPORT_MISSING, message, fix).symbol(name).object(version);
}

fn check_kind(judge: &mut Judge<'_>, symbol: &Symbol, promised: PromisedKind) {
    match promised {
        PromisedKind::Function => check_function(judge, symbol),
        PromisedKind::Data => check_data(judge, symbol),
    }
}

fn check_data(judge: &mut Judge<'_>, symbol: &Symbol) {
    let name = &symbol.name;
    let promised_by = &judge.contract.promised_by;
    let what = match (symbol.kind, symbol.place) {
        (SymbolKind::ThreadLocal, _) => "a thread-local variable, of which each thread has its own",
        (SymbolKind::Function | SymbolKind::IndirectFunction, _) => "a function",
        (_, Place::Absolute) => "a number, not an address",
        (SymbolKind::Data, Place::Data | Place::Code) | (_, Place::Data) => return,
        (_, Place::Code) => "in the code, and not marked as a variable",
        _ => "outside every segment",
    };
    let message = format!("`{name}` is promised as a variable by {promised_by}, but is {what}");
    let fix = "export the variable under this name, and functions under others";
    judge.report(&EXPORT_KIND, message, fix).symbol(name);
}

fn check_function(judge: &mut Judge<'_>, symbol: &Symbol) {
    let name = &symbol.name;
    let promised_by = &judge.contract.promised_by;
    let what = match (symbol.kind, symbol.place) {
        (SymbolKind::Function, Place::Code) => return,
        (SymbolKind::IndirectFunction, Place::Code) => {
            let message = format!("`{name}` is chosen by a resolver that runs during loading");
            judge.report(&EXPORT_IFUNC, message, "").symbol(name);
            return;
        }
        (SymbolKind::NoType, Place::Code) => {
            judge
                .report_as(
                    Severity::Warning,
                    &EXPORT_KIND,
                    format_args!("`{name}` lies in the code, but is not marked as a function"),
                    format_args!("add `.type {name}, @function` to the assembly"),
                )
                .symbol(name);
            return;
        }
        (SymbolKind::ThreadLocal, _) => "a thread-local variable",
        (_, Place::Absolute) => "a number, not an address",
        (SymbolKind::Data, _) => "a variable: calling it would run data",
        (_, Place::Data) => "outside the code",
        _ => "outside every segment",
    };
    judge
        .report(
            &EXPORT_KIND,
            format_args!("`{name}` is promised as a function by {promised_by}, but is {what}"),
            "export the function under this name, and data under another",
        )
        .symbol(name);
}
