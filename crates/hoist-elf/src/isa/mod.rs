//! Which processors a library's functions need, found by disassembling them.
//!
//! Code above a baseline is no fault by itself: a library may hold a variant for each kind of
//! processor and choose when it runs. So [`IsaSurvey`] tells apart what runs without a test of the
//! processor from what runs only behind one: after `cpuid`, after reading a variable that depends
//! on it, after calling a function that answers for it, or chosen by a resolver.
//!
//! Calls, jumps and functions given to a call as an argument are followed. What is called through
//! a pointer in a table, a structure or a virtual function table is not, nor is what another
//! library calls back.

mod code;
mod dispatch;
mod functions;
mod guards;
mod need;
mod ranges;
mod reach;
mod registers;
mod scan;
mod taint;
mod walk;

use std::collections::BTreeSet;

use hoist_schema::manifest::IsaLevel;
use iced_x86::{Decoder, DecoderOptions};

use self::code::Code;
use self::dispatch::Knowledge;
use self::functions::Functions;
use self::guards::Steps;
pub use self::need::Need;
use self::reach::{Cause, Reach};
use self::scan::{NoTests, Scanner, Summary};
use self::walk::Walker;
use crate::identity::{Class, Endian, Machine};
use crate::image::Image;
use crate::segments::LoadMap;
use crate::symbols::SymbolKind;
use crate::unwind::code_ranges;
use crate::{ElfError, ElfFacts};

/// What the functions of one library need above a baseline.
pub struct IsaSurvey<'a> {
    code: Code<'a>,
    functions: Functions<'a>,
    reach: Reach,
    is_whole: bool,
}

/// How many functions of a path are named at most.
pub const MOST_PATH: usize = 8;

/// An instruction above the baseline, and how a function leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What a processor must have to run it.
    pub need: Need,
    /// The feature that it needs, as CPUID calls it, e.g. `AVX512F`.
    pub feature: String,
    /// Its mnemonic, e.g. `vmulps`.
    pub mnemonic: String,
    /// Its address in the loaded image.
    pub address: u64,
    /// The functions that lead to it, from the one that was asked for to the one it is in, the
    /// first [`MOST_PATH`] of them; one without a name is called by its address.
    pub path: Vec<String>,
    /// How many more follow in that path.
    pub path_left_out: usize,
}

/// What running a function may need above the baseline, the highest of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// What runs without any test of the processor.
    pub unguarded: Option<Evidence>,
    /// What runs behind one.
    pub guarded: Option<Evidence>,
}

impl<'a> IsaSurvey<'a> {
    /// Disassembles a library and follows its calls; `None` unless it is for x86-64.
    ///
    /// - `facts`: those of `bytes`.
    /// - `baseline`: what every processor has that may run it.
    ///
    /// Time and memory are in proportion to the file.
    ///
    /// # Errors
    ///
    /// When the loader could not map it: an object, or other bytes than `facts` were read from.
    pub fn read(
        bytes: &'a [u8],
        facts: &ElfFacts,
        baseline: IsaLevel,
    ) -> Result<Option<Self>, ElfError> {
        let identity = facts.identity;
        let is_known = identity.machine == Machine::X86_64
            && identity.class == Class::Elf64
            && identity.endian == Endian::Little;
        if !is_known {
            return Ok(None);
        }
        let image = Image::new(bytes, identity.class, identity.endian);
        let map = LoadMap::new(image, &facts.segments)?;
        let code = Code::read(&image, &map, facts)?;
        let ranges = code_ranges(&image, &facts.segments, &map);
        let mut functions = Functions::find(&code, bytes, facts, &ranges);
        let (reach, is_whole) = survey(&code, &mut functions, facts, baseline);
        Ok(Some(Self { code, functions, reach, is_whole }))
    }

    /// Whether all of the code was looked at; where functions lie inside each other, as no
    /// compiler makes them, it stops early.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// What running the function at `address` may need.
    ///
    /// Of an indirect function, `address` is its resolver, and what it returns runs behind a test.
    #[must_use]
    pub fn needs_of(&self, address: u64) -> Needs {
        let Some(function) = self.functions.at(address) else { return Needs::default() };
        let function = function as usize;
        let evidence = |is_guarded| {
            let table = if is_guarded { &self.reach.guarded } else { &self.reach.open };
            let Cause { above, distance, .. } = table[function]?;
            let bytes = self.code.bytes_from(above.address)?;
            let mut decoder = Decoder::with_ip(64, bytes, above.address, DecoderOptions::NONE);
            let instruction = decoder.decode();
            let way = self.reach.path(function, is_guarded, MOST_PATH - 1);
            Some(Evidence {
                path_left_out: distance - way.len(),
                need: above.need,
                feature: need::feature(instruction.code()),
                mnemonic: format!("{:?}", instruction.mnemonic()).to_lowercase(),
                address: above.address,
                path: std::iter::once(function)
                    .chain(way)
                    .map(|index| self.functions.name(index))
                    .collect(),
            })
        };
        Needs { unguarded: evidence(false), guarded: evidence(true) }
    }
}

/// Names, or parts of them, of functions and variables of other libraries that tell what the
/// processor has.
const ASKING_NAMES: &[&str] = &[
    "cpuid",
    "cpuinfo_",
    "cpu_features",
    "cpu_supports",
    "cpu_indicator",
    "cpu_model",
    "cpu_flags",
    "std_detect",
    "getauxval",
    "elf_aux_info",
    "_rtld_global_ro",
];

fn survey<'a>(
    code: &Code<'a>,
    functions: &mut Functions<'a>,
    facts: &ElfFacts,
    baseline: IsaLevel,
) -> (Reach, bool) {
    let asks = |name: &str| ASKING_NAMES.iter().any(|part| name.contains(part));
    let asking_imports: Vec<bool> =
        facts.symbols.iter().map(|symbol| !symbol.is_defined() && asks(&symbol.name)).collect();
    let baseline = Need::Level(baseline);
    let scanner = Scanner { code, baseline, asking_imports: &asking_imports };
    let mut walker = Walker::new(code);
    let mut summaries = scan_all(&scanner, &mut walker, functions);
    let leads_above = reach::leads_above(&summaries);
    if leads_above.contains(&true) {
        let known = Knowledge::spread(code, &summaries, &leads_above);
        let resolvers = resolvers(functions, facts);
        let mut steps = Steps::new(code.executables.iter().map(|part| part.bytes.len()).sum());
        for (index, summary) in summaries.iter_mut().enumerate() {
            let is_resolver = u32::try_from(index).is_ok_and(|index| resolvers.contains(&index));
            if !is_resolver && !known.holds_test(index) {
                continue;
            }
            if leads_above[index] {
                let function = functions.get(index);
                let walker = &mut walker;
                *summary = scanner.scan_guarded(walker, functions, function, &known, &mut steps);
                summary.resolve_unknown(|address| functions.at(address));
            }
            summary.guard_pointers();
        }
    }
    (Reach::compute(&summaries), walker.is_whole() && !code.is_cut)
}

/// Looks at every function, those included that only a call shows.
fn scan_all(
    scanner: &Scanner<'_>,
    walker: &mut Walker<'_>,
    functions: &mut Functions<'_>,
) -> Vec<Summary> {
    let mut summaries = Vec::with_capacity(functions.len());
    // Functions that are found while those before them are looked at come behind the last.
    while summaries.len() < functions.len() {
        let first = summaries.len();
        for index in first..functions.len() {
            summaries.push(scanner.scan(walker, functions, functions.get(index), &NoTests));
        }
        // From the last one back, so that each ends where the next starts.
        let unknown = summaries[first..].iter().flat_map(|summary| &summary.unknown);
        let mut starts: Vec<u64> = unknown.map(|(address, _)| *address).collect();
        starts.sort_unstable();
        starts.dedup();
        for start in starts.into_iter().rev() {
            if functions.at(start).is_none() {
                functions.add(scanner.code, start);
            }
        }
        for summary in &mut summaries[first..] {
            summary.resolve_unknown(|address| functions.at(address));
        }
    }
    summaries
}

/// Indices of the functions that choose others while the library is loaded.
fn resolvers(functions: &Functions<'_>, facts: &ElfFacts) -> BTreeSet<u32> {
    let indirect = facts
        .symbols
        .iter()
        .filter(|symbol| symbol.kind == SymbolKind::IndirectFunction && symbol.is_defined());
    let starts = indirect.map(|symbol| symbol.value).chain(facts.loader_calls.resolvers.clone());
    starts.filter_map(|start| functions.at(start)).collect()
}
