//! Which functions and variables tell what the processor has.
//!
//! It begins with functions that run `cpuid` or ask another library. From there it spreads: a
//! function that asks and leads to nothing above the baseline *answers*, so what its caller does
//! after the call is guarded; a variable that such a function writes is a *feature*, so what runs
//! after reading it is guarded. A function that leads to something above the baseline is a
//! dispatcher: it guards that, and nothing in its callers.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::code::Code;
use super::scan::{Edge, Summary, Tests, Way, Write};

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
    /// Bytes of variables.
    features: BTreeSet<u64>,
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
                .map(|summary| summary.asks_processor || summary.writes_through_pointers)
                .collect(),
            features: BTreeSet::new(),
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
                    Way::Call => self.is_answered(edge.to, edge.at),
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
                    for byte in write.address..write.address.saturating_add(write.size_bytes) {
                        is_changed |= self.features.insert(byte);
                    }
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

    /// Whether the caller uses what the call at `at` returned. Judged by the next instructions: the
    /// first that reads or overwrites the register decides.
    fn is_result_used(&self, at: u64) -> bool {
        if let Some(&is_used) = self.used.borrow().get(&at) {
            return is_used;
        }
        let bytes = self.code.bytes_from(at).unwrap_or_default();
        let mut decoder = Decoder::with_ip(64, bytes, at, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        let mut is_used = false;
        for step in 0..=SOON {
            if !decoder.can_decode() {
                break;
            }
            decoder.decode_out(&mut instruction);
            if step == 0 {
                continue; // the call itself
            }
            if reads_result(&instruction) || instruction.flow_control() == FlowControl::Return {
                is_used = true;
                break;
            }
            let goes_on = instruction.flow_control() == FlowControl::Next;
            if !goes_on || instruction.is_invalid() || overwrites_result(&instruction) {
                break;
            }
        }
        self.used.borrow_mut().insert(at, is_used);
        is_used
    }
}

impl Tests for Knowledge<'_> {
    fn is_answered(&self, callee: u32, at: u64) -> bool {
        let callee = callee as usize;
        self.answers[callee] && (self.answers_beside[callee] || self.is_result_used(at))
    }

    fn is_feature(&self, address: u64, size_bytes: u64) -> bool {
        let end = address.saturating_add(size_bytes);
        self.features.range(address..end).next().is_some()
    }
}

/// Whether the register of results is read, as a whole or in part.
fn reads_result(instruction: &Instruction) -> bool {
    let is_result = |register: Register| register.full_register() == Register::RAX;
    let is_address = is_result(instruction.memory_base()) || is_result(instruction.memory_index());
    let is_zeroed = matches!(instruction.mnemonic(), Mnemonic::Xor | Mnemonic::Sub)
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register();
    is_address && instruction.op_count() > 0
        || !is_zeroed
            && (0..instruction.op_count()).any(|place| {
                instruction.op_kind(place) == OpKind::Register
                    && is_result(instruction.op_register(place))
                    && (place > 0 || !only_writes(instruction.mnemonic()))
            })
}

fn overwrites_result(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op0_register().full_register() == Register::RAX
}

/// Whether an instruction writes its first operand without reading it.
fn only_writes(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Mov
            | Mnemonic::Movzx
            | Mnemonic::Movsx
            | Mnemonic::Movsxd
            | Mnemonic::Lea
            | Mnemonic::Pop
    )
}
