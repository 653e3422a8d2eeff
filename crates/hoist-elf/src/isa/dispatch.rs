//! Which functions and variables tell what the processor has.
//!
//! It begins with functions that run `cpuid` or ask another library. From there it spreads: a
//! function that asks and leads to nothing above the baseline *answers*, so what its caller does
//! after the call is guarded; a variable that such a function writes is a *feature*, so what runs
//! after reading it is guarded. A function that leads to something above the baseline is a
//! dispatcher: it guards that, and nothing in its callers.

use std::cell::RefCell;
use std::collections::BTreeMap;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::code::Code;
use super::ranges::Ranges;
use super::scan::{Edge, Summary, Tests, Way, Write, only_writes};
use super::taint::Source;

/// Most rounds of spreading; each function and variable takes one at most, real libraries take
/// three or four.
const MOST_ROUNDS: usize = 16;

/// How many instructions after a call may be the first to use what it returned.
const SOON: usize = 8;

/// The functions and variables that tell what the processor has.
pub(super) struct Knowledge<'a> {
    code: &'a Code<'a>,
    /// Which functions hold a test.
    tests: Vec<bool>,
    /// Which functions answer their callers.
    answers: Vec<bool>,
    /// Which functions give their answer by other ways than their result.
    answers_beside: Vec<bool>,
    /// Variables.
    features: Ranges,
    /// Whether the result of the call at an address is used.
    used: RefCell<BTreeMap<u64, bool>>,
}

impl<'a> Knowledge<'a> {
    /// - `leads_above`: whether each function leads to an instruction above the baseline, behind a
    ///   test or not.
    pub(super) fn spread(code: &'a Code<'a>, summaries: &[Summary], leads_above: &[bool]) -> Self {
        let asks = |summary: &Summary| summary.asks_processor || summary.asks_others;
        let mut known = Self {
            code,
            tests: summaries.iter().map(asks).collect(),
            answers: vec![false; summaries.len()],
            answers_beside: summaries
                .iter()
                .map(|summary| summary.writes_through_pointers)
                .collect(),
            features: Ranges::default(),
            used: RefCell::default(),
        };
        for _ in 0..MOST_ROUNDS {
            if !known.spread_once(summaries, leads_above) {
                break;
            }
        }
        known
    }

    /// Whether a function holds a test.
    pub(super) fn holds_test(&self, function: usize) -> bool {
        self.tests[function]
    }

    /// Returns whether anything was added.
    fn spread_once(&mut self, summaries: &[Summary], leads_above: &[bool]) -> bool {
        let mut is_changed = false;
        for (index, summary) in summaries.iter().enumerate() {
            if !self.tests[index] {
                let reads = |&(address, size): &(u64, u64)| self.is_feature(address, size);
                let asks = |edge: &Edge| match edge.way {
                    Way::Call => self.answer(edge.to, edge.at) != Source::Nothing,
                    Way::Jump => self.answers[edge.to as usize],
                    Way::Pointer => false,
                };
                if !summary.reads.iter().any(reads) && !summary.edges.iter().any(asks) {
                    continue;
                }
                self.tests[index] = true;
                is_changed = true;
            }
            if !leads_above[index] && !self.answers[index] {
                self.answers[index] = true;
                is_changed = true;
            }
            for write in &summary.writes {
                if self.is_of_test(index, summary, write) {
                    let end = write.address.saturating_add(write.size_bytes);
                    is_changed |= self.features.insert(write.address, end);
                }
            }
        }
        is_changed
    }

    /// Whether what a function with a test writes depends on the test.
    fn is_of_test(&self, function: usize, summary: &Summary, write: &Write) -> bool {
        let call = write.call.and_then(|call| summary.edges.get(call as usize));
        let answered = call.is_some_and(|call| self.answers[call.to as usize]);
        if write.is_given_away {
            return answered;
        }
        self.answers[function]
            || summary.asks_processor
            || answered
            || write.read.is_some_and(|read| self.is_feature(read, 1))
    }

    /// Whether the caller uses what the call at `at` returned, in one register or in two. Judged by
    /// the next instructions: the first that reads or overwrites it decides.
    fn is_result_used(&self, at: u64) -> bool {
        if let Some(&is_used) = self.used.borrow().get(&at) {
            return is_used;
        }
        let bytes = self.code.bytes_from(at).unwrap_or_default();
        let mut decoder = Decoder::with_ip(64, bytes, at, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        let mut is_used = false;
        let mut results = vec![Register::RAX, Register::RDX];
        for step in 0..=SOON {
            if !decoder.can_decode() {
                break;
            }
            decoder.decode_out(&mut instruction);
            if step == 0 {
                continue; // the call itself
            }
            let reads = |result: &Register| reads(&instruction, *result);
            if results.iter().any(reads) || instruction.flow_control() == FlowControl::Return {
                is_used = true;
                break;
            }
            results.retain(|result| !overwrites(&instruction, *result));
            let goes_on = instruction.flow_control() == FlowControl::Next;
            if !goes_on || instruction.is_invalid() || !results.contains(&Register::RAX) {
                break;
            }
        }
        self.used.borrow_mut().insert(at, is_used);
        is_used
    }
}

impl Tests for Knowledge<'_> {
    fn answer(&self, callee: u32, at: u64) -> Source {
        let callee = callee as usize;
        if !self.answers[callee] {
            Source::Nothing
        } else if self.answers_beside[callee] {
            Source::ResultOrArgument
        } else if self.is_result_used(at) {
            Source::Result
        } else {
            Source::Nothing
        }
    }

    fn is_feature(&self, address: u64, size_bytes: u64) -> bool {
        let end = address.saturating_add(size_bytes);
        self.features.meet(address, end)
    }
}

/// Whether `register` is read, as a whole or in part.
fn reads(instruction: &Instruction, register: Register) -> bool {
    let is_it = |other: Register| other.full_register() == register;
    let is_address = is_it(instruction.memory_base()) || is_it(instruction.memory_index());
    let is_zeroed = matches!(instruction.mnemonic(), Mnemonic::Xor | Mnemonic::Sub)
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register();
    let is_operand = |place: u32| {
        instruction.op_kind(place) == OpKind::Register
            && is_it(instruction.op_register(place))
            && (place > 0 || !only_writes(instruction.mnemonic()))
    };
    is_address && instruction.op_count() > 0
        || !is_zeroed && (0..instruction.op_count()).any(is_operand)
}

fn overwrites(instruction: &Instruction, register: Register) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op0_register().full_register() == register
}
