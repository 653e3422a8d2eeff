//! One function, instruction by instruction, along its flow: what no path leads to may be a table
//! or padding.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind};

use super::code::{Code, Slot};
use super::functions::Function;
use super::registers::Registers;

/// Sees every instruction that can run.
pub(super) trait Visitor {
    /// Returns whether `instruction` asks what the processor has, so that what follows runs
    /// guarded by that.
    ///
    /// - `registers`: what is known before it runs.
    /// - `is_guarded`: whether every path to it comes by such a test.
    fn visit(&mut self, instruction: &Instruction, registers: &Registers, is_guarded: bool)
    -> bool;

    /// The flow runs out of the function, into what lies behind it.
    fn falls_out(&mut self);
}

/// Where a block starts, and what is known there by the path that was walked.
#[derive(Debug, Clone, Copy)]
struct Block {
    start: u64,
    registers: Registers,
}

impl Block {
    fn at(start: u64) -> Self {
        Self { start, registers: Registers::default() }
    }
}

/// Walks functions of one library; keeps its memory from one to the next.
pub(super) struct Walker<'a> {
    code: &'a Code<'a>,
    /// One for each executable part.
    decoders: Vec<Decoder<'a>>,
    /// A bit for each byte of the function: whether an instruction there was seen.
    seen: Vec<u64>,
    /// The words of `seen` that are not 0: clearing those alone is as much work as walking was.
    touched: Vec<usize>,
    /// Words of `seen` before this one are full.
    full_words: usize,
    /// Blocks still to walk: first those that need no test.
    open: [Vec<Block>; 2],
    /// How many bytes may still be decoded.
    bytes_left: u64,
    /// Whether a walk ended because none may.
    is_cut: bool,
}

impl<'a> Walker<'a> {
    /// How often each byte of code may be decoded on average; functions whose ends are not known
    /// may overlap, and those that test the processor are walked twice.
    const REPEATS: u64 = 4;

    pub(super) fn new(code: &'a Code<'a>) -> Self {
        let decoder = |part: &super::code::Executable<'a>| {
            Decoder::with_ip(64, part.bytes, part.address, DecoderOptions::NONE)
        };
        let total: u64 = code.executables.iter().map(|part| part.bytes.len() as u64).sum();
        Self {
            code,
            decoders: code.executables.iter().map(decoder).collect(),
            seen: Vec::new(),
            touched: Vec::new(),
            full_words: 0,
            open: [Vec::new(), Vec::new()],
            bytes_left: total.saturating_mul(Self::REPEATS),
            is_cut: false,
        }
    }

    /// Whether everything it was asked for was walked.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_cut
    }

    pub(super) fn walk(&mut self, function: Function, visitor: &mut impl Visitor) {
        let Some((part, _)) = self.code.executable_at(function.start) else { return };
        let length = usize::try_from(function.end - function.start).unwrap_or(0);
        for word in self.touched.drain(..) {
            self.seen[word] = 0;
        }
        let words = length.div_ceil(64);
        if self.seen.len() < words {
            self.seen.resize(words, 0);
        }
        self.full_words = 0;
        self.open[0].push(Block::at(function.start));
        // A jump through a table, and an exception, lead to blocks that no path shows: without a
        // test if any of them does.
        let mut is_entered = [function.has_landing_pads, false];
        loop {
            let (block, is_guarded) = if let Some(block) = self.open[0].pop() {
                (block, false)
            } else if let Some(block) = self.open[1].pop() {
                (block, true)
            } else if is_entered.contains(&true) && function.is_bounded {
                let Some(at) = self.first_unseen(length) else { return };
                (Block::at(function.start + at as u64), !is_entered[0])
            } else {
                return;
            };
            is_entered[usize::from(is_guarded)] |=
                self.walk_block(part, function, block, is_guarded, visitor);
        }
    }

    /// Walks from the start of `block` to where the flow ends or was; returns whether it jumps through a table.
    fn walk_block(
        &mut self,
        part: usize,
        function: Function,
        block: Block,
        is_guarded: bool,
        visitor: &mut impl Visitor,
    ) -> bool {
        let Block { start, mut registers } = block;
        let decoder = &mut self.decoders[part];
        let at = usize::try_from(start - self.code.executables[part].address).unwrap_or(usize::MAX);
        if decoder.set_position(at).is_err() {
            return false;
        }
        decoder.set_ip(start);
        let mut instruction = Instruction::default();
        let mut is_call = false;
        loop {
            let address = decoder.ip();
            if address >= function.end {
                // What follows a call at the very end is not run: the callee never returns.
                if !is_call {
                    visitor.falls_out();
                }
                return false;
            }
            let offset = usize::try_from(address - function.start).unwrap_or(usize::MAX);
            if self.seen[offset / 64] & 1 << (offset % 64) != 0 {
                return false;
            }
            if self.bytes_left == 0 {
                self.is_cut = true;
                return false;
            }
            decoder.decode_out(&mut instruction);
            let next = instruction.next_ip();
            let end = usize::try_from(next.min(function.end) - function.start).unwrap_or(offset);
            // At least the first byte is seen, so that a sweep goes on behind what is no instruction.
            for byte in offset..end.max(offset + 1) {
                let word = &mut self.seen[byte / 64];
                if *word == 0 {
                    self.touched.push(byte / 64);
                }
                *word |= 1 << (byte % 64);
            }
            self.bytes_left = self.bytes_left.saturating_sub(instruction.len() as u64);
            if instruction.is_invalid() || next > function.end {
                return false;
            }
            let is_test = visitor.visit(&instruction, &registers, is_guarded);
            let flow = instruction.flow_control();
            is_call = matches!(flow, FlowControl::Call | FlowControl::IndirectCall);
            if is_near_branch(&instruction) && !is_call {
                let target = instruction.near_branch_target();
                if target >= function.start && target < function.end {
                    self.open[usize::from(is_guarded)].push(Block { start: target, registers });
                }
            }
            match flow {
                FlowControl::IndirectBranch => {
                    return !instruction.is_ip_rel_memory_operand();
                }
                FlowControl::UnconditionalBranch
                | FlowControl::Return
                | FlowControl::Interrupt
                | FlowControl::Exception => return false,
                _ => {}
            }
            registers.follow(&instruction, |address| match self.code.slot(address) {
                Some(Slot::Address(address)) => Some(address),
                _ => None,
            });
            if is_test && !is_guarded {
                self.open[1].push(Block { start: next, registers });
                return false;
            }
        }
    }

    /// The first byte that no instruction was seen at.
    fn first_unseen(&mut self, length: usize) -> Option<usize> {
        let words = &self.seen[self.full_words..length.div_ceil(64)];
        let open = words.iter().position(|&word| word != u64::MAX)?;
        self.full_words += open;
        let word = self.full_words;
        let at = word * 64 + self.seen[word].trailing_ones() as usize;
        (at < length).then_some(at)
    }
}

/// Whether the first operand is a place in the code to go to.
pub(super) fn is_near_branch(instruction: &Instruction) -> bool {
    matches!(
        instruction.op0_kind(),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
    )
}
