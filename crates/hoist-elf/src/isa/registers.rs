//! Which registers hold an address that is known: enough to see through `lea` and a load from the
//! global offset table, no more.

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};

/// Known contents of the 16 general registers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Registers {
    values: [u64; 16],
    known: u16,
}

/// The registers that a call may change: rax, rcx, rdx, rsi, rdi and r8 to r11.
const CHANGED_BY_CALLS: u16 = 0b0000_1111_1100_0111;

/// The registers that hold the arguments of a call.
pub(super) const ARGUMENTS: [Register; 6] =
    [Register::RDI, Register::RSI, Register::RDX, Register::RCX, Register::R8, Register::R9];

impl Registers {
    /// What `register`, of any width, holds if that is known.
    pub(super) fn get(&self, register: Register) -> Option<u64> {
        let index = index(register)?;
        (self.known & 1 << index != 0).then(|| self.values[index])
    }

    /// The address of the memory operand, if it is known.
    pub(super) fn memory_address(&self, instruction: &Instruction) -> Option<u64> {
        if instruction.is_ip_rel_memory_operand() {
            return Some(instruction.ip_rel_memory_address());
        }
        let is_plain = instruction.memory_index() == Register::None
            && instruction.segment_prefix() == Register::None;
        let base = self.get(instruction.memory_base()).filter(|_| is_plain)?;
        Some(base.wrapping_add(instruction.memory_displacement64()))
    }

    /// Follows `instruction`; `loaded` gives what a word in memory holds, if that is known.
    pub(super) fn follow(
        &mut self,
        instruction: &Instruction,
        loaded: impl Fn(u64) -> Option<u64>,
    ) {
        if matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall) {
            self.known &= !CHANGED_BY_CALLS;
            return;
        }
        if instruction.op0_kind() != OpKind::Register {
            return;
        }
        let target = instruction.op0_register();
        let value = match instruction.mnemonic() {
            Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Bt | Mnemonic::Push => return,
            Mnemonic::Lea => self.memory_address(instruction),
            Mnemonic::Mov if instruction.op1_kind() == OpKind::Register => {
                self.get(instruction.op1_register())
            }
            Mnemonic::Mov if instruction.op1_kind() == OpKind::Memory => {
                self.memory_address(instruction).and_then(loaded)
            }
            Mnemonic::Xchg | Mnemonic::Xadd => {
                self.set(instruction.op1_register(), None);
                None
            }
            Mnemonic::Mul | Mnemonic::Imul | Mnemonic::Div | Mnemonic::Idiv => {
                self.set(Register::RAX, None);
                self.set(Register::RDX, None);
                None
            }
            _ => None,
        };
        self.set(target, value.filter(|_| target.is_gpr64()));
    }

    fn set(&mut self, register: Register, value: Option<u64>) {
        let Some(index) = index(register) else { return };
        match value {
            Some(value) => {
                self.values[index] = value;
                self.known |= 1 << index;
            }
            None => self.known &= !(1 << index),
        }
    }
}

/// The number of the general register that `register` is or is a part of.
fn index(register: Register) -> Option<usize> {
    register.is_gpr().then(|| register.full_register().number())
}
