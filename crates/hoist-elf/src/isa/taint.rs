//! How an answer about the processor moves through registers, flags and the stack.

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::registers::number;
use super::scan::{only_reads, only_writes};

/// What holds something that depends on an answer: a bit for each general register, and those below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Taint {
    held: u32,
    /// Places on the stack: a bit for each of 64 groups of them.
    stack: u64,
    /// Registers that an instruction put it into on purpose, not merely by running `cpuid`.
    chosen: u16,
}

const FLAGS: u32 = 1 << 16;
const RAX: u32 = 1;
const RCX: u32 = 1 << 1;
const RDX: u32 = 1 << 2;
const RBX: u32 = 1 << 3;
/// rdi, rsi, rdx, rcx, r8 and r9.
const ARGUMENTS: u16 = 0b0000_0011_1100_0110;
/// What a call may change: rax, rcx, rdx, rsi, rdi, r8 to r11 and the flags.
const CHANGED_BY_CALLS: u32 = 0b0000_1111_1100_0111 | FLAGS;

/// rbx and r12 to r15.
const KEPT_BY_CALLS: u32 = 0b1111_0000_0000_1000;

/// Where an instruction gets an answer from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// It is no test.
    Nothing,
    /// It runs `cpuid` or `xgetbv`.
    Processor,
    /// It reads a variable.
    Variable,
    /// It calls a function that returns an answer.
    Result,
    /// It calls a function that may also write its answer where an argument points to.
    ResultOrArgument,
}

/// What one instruction does with what it is given.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is one property of an instruction")]
pub(super) struct Effect {
    source: Source,
    /// Registers it reads, those of addresses included.
    uses: u32,
    /// Registers it overwrites.
    gives: u32,
    /// Places on the stack that it reads, and that it writes, as bits.
    loads: u64,
    stores: u64,
    /// It writes where a pointer leads.
    stores_elsewhere: bool,
    writes_flags: bool,
    reads_flags: bool,
    is_call: bool,
    /// It moves what it reads to where it is not followed, such as a vector register.
    loses: bool,
}

impl Effect {
    pub(super) fn of(instruction: &Instruction, source: Source) -> Self {
        let mnemonic = instruction.mnemonic();
        let flow = instruction.flow_control();
        let mut effect = Self {
            source,
            uses: 0,
            gives: 0,
            loads: 0,
            stores: 0,
            stores_elsewhere: false,
            writes_flags: instruction.rflags_modified() != 0,
            reads_flags: instruction.rflags_read() != 0,
            is_call: matches!(flow, FlowControl::Call | FlowControl::IndirectCall),
            loses: false,
        };
        let is_zeroed = matches!(mnemonic, Mnemonic::Xor | Mnemonic::Sub)
            && instruction.op1_kind() == OpKind::Register
            && instruction.op0_register() == instruction.op1_register();
        for place in 0..instruction.op_count() {
            let is_target = place == 0 && !only_reads(mnemonic);
            let is_read = !is_zeroed && (place > 0 || !only_writes(mnemonic));
            match instruction.op_kind(place) {
                OpKind::Register => match number(instruction.op_register(place)) {
                    Some(number) => {
                        effect.gives |= if is_target { 1 << number } else { 0 };
                        effect.uses |= if is_read { 1 << number } else { 0 };
                    }
                    None => effect.loses |= is_target,
                },
                OpKind::Memory => effect.take_memory(instruction, is_target, is_read),
                _ => {}
            }
        }
        match mnemonic {
            Mnemonic::Mul | Mnemonic::Div | Mnemonic::Idiv => {
                effect.uses |= RAX;
                effect.gives |= RAX | RDX;
            }
            _ => {}
        }
        effect
    }

    fn take_memory(&mut self, instruction: &Instruction, is_target: bool, is_read: bool) {
        let base = instruction.memory_base();
        for register in [base, instruction.memory_index()] {
            self.uses |= number(register).map_or(0, |number| 1 << number);
        }
        let is_stack = matches!(base, Register::RSP | Register::RBP);
        if instruction.mnemonic() == Mnemonic::Lea {
            // Who is given the address may read whatever lies there.
            self.loads |= if is_stack { u64::MAX } else { 0 };
            return;
        }
        if is_stack {
            let place = instruction.memory_displacement64() / 4 % 64;
            let is_one = instruction.memory_index() == Register::None;
            let places = if is_one { 1 << place } else { u64::MAX };
            self.loads |= if is_read { places } else { 0 };
            self.stores |= if is_target { places } else { 0 };
        } else {
            self.stores_elsewhere |= is_target && !instruction.is_ip_rel_memory_operand();
        }
    }
}

impl Taint {
    /// Joins what is known on two paths; returns whether that added anything.
    pub(super) fn join(&mut self, other: Self) -> bool {
        let before = *self;
        self.held |= other.held;
        self.stack |= other.stack;
        self.chosen |= other.chosen;
        *self != before
    }

    /// Whether a branch on the flags depends on an answer.
    pub(super) fn holds_flags(self) -> bool {
        self.held & FLAGS != 0
    }

    /// Whether a call would give it to the callee.
    pub(super) fn is_argument(self) -> bool {
        self.chosen & ARGUMENTS != 0
    }

    /// Whether a jump out of the function would take it along: assembly passes it so in any
    /// register. The register of results is what compilers leave behind.
    pub(super) fn is_taken_along(self) -> bool {
        u32::from(self.chosen) & !RAX != 0
    }

    /// What holds it after an instruction, and whether it also went where it is not followed.
    pub(super) fn after(mut self, effect: &Effect) -> (Self, bool) {
        if effect.is_call {
            let is_lost = self.is_argument();
            self.held &= !CHANGED_BY_CALLS;
            self.chosen &= u16::try_from(self.held & 0xffff).unwrap_or(0);
            match effect.source {
                Source::Nothing => {}
                Source::ResultOrArgument => {
                    // Registers that calls leave alone may hold the pointer.
                    self.held |= RAX | RDX | KEPT_BY_CALLS;
                    self.stack = u64::MAX;
                }
                // Results of 16 bytes take two registers.
                _ => self.held |= RAX | RDX,
            }
            return (self, is_lost);
        }
        if effect.source == Source::Processor {
            self.held |= RAX | RBX | RCX | RDX;
            return (self, false);
        }
        let is_given = self.held & effect.uses != 0
            || self.stack & effect.loads != 0
            || effect.reads_flags && self.held & FLAGS != 0
            || effect.source == Source::Variable;
        let chosen = u16::try_from(effect.gives & 0xffff).unwrap_or(0);
        if effect.writes_flags {
            self.held &= !FLAGS;
        }
        if !is_given {
            self.held &= !effect.gives;
            self.chosen &= !chosen;
            self.stack &= if effect.stores == u64::MAX { u64::MAX } else { !effect.stores };
            return (self, false);
        }
        self.held |= effect.gives;
        self.chosen |= chosen;
        self.held |= if effect.writes_flags { FLAGS } else { 0 };
        self.stack |= effect.stores;
        (self, effect.stores_elsewhere || effect.loses)
    }
}
