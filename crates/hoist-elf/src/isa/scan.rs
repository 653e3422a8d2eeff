//! What each function does that matters: what it needs, where it leads to, which variables it
//! reads and writes.

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::code::{Code, Slot};
use super::functions::{Function, Functions};
use super::guards::{Flow, Guards, Steps};
use super::need::{Need, need};
use super::registers::{ARGUMENTS, Registers};
use super::taint::Source;
use super::walk::{Visitor, Walker, is_near_branch};

/// An instruction above the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Above {
    pub(super) need: Need,
    pub(super) address: u64,
}

/// How one function leads to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A call, which comes back.
    Call,
    /// A jump out of the function, or the flow out of its end.
    Jump,
    /// Its address is given away: as the argument of a call, or as what a resolver returns.
    Pointer,
}

/// One function leads to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    /// Index of the function it leads to.
    pub(super) to: u32,
    pub(super) way: Way,
    /// Whether it is taken only behind a test of the processor.
    pub(super) is_guarded: bool,
    /// Address of the instruction.
    pub(super) at: u64,
}

/// A variable that is written, or whose address is given to a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub(super) address: u64,
    pub(super) size_bytes: u64,
    /// The call shortly before, by the index of its edge in its function; for an address that is
    /// given away, the call it is given to.
    pub(super) call: Option<u32>,
    /// The variable read shortly before.
    pub(super) read: Option<u64>,
    pub(super) is_given_away: bool,
}

/// What one function does.
#[derive(Debug, Clone, Default)]
pub(super) struct Summary {
    pub(super) edges: Vec<Edge>,
    /// Functions whose addresses it takes, for whatever use.
    pub(super) taken: Vec<Edge>,
    /// The highest need of instructions that some path leads to without a test.
    pub(super) above: Option<Above>,
    /// The highest need of those behind a test.
    pub(super) guarded_above: Option<Above>,
    /// Variables it reads, with their sizes in bytes.
    pub(super) reads: Vec<(u64, u64)>,
    pub(super) writes: Vec<Write>,
    /// Whether it runs `cpuid` or `xgetbv`.
    pub(super) asks_processor: bool,
    /// Whether it calls a function, or reads a variable, of another library that tells what the
    /// processor has.
    pub(super) asks_others: bool,
    /// Whether it writes where a pointer leads.
    pub(super) writes_through_pointers: bool,
    /// Places without a known function that it calls, and how.
    pub(super) unknown: Vec<(u64, Edge)>,
}

impl Summary {
    /// Takes it as of a function that chooses others by a test: addresses of functions are taken
    /// for what the test allows, wherever that is; compilers move it before the test.
    pub(super) fn guard_pointers(&mut self) {
        for edge in self.edges.iter_mut().filter(|edge| edge.way == Way::Pointer) {
            edge.is_guarded = true;
        }
        self.edges.append(&mut self.taken);
    }

    /// Makes edges of the calls to places without a known function, by what `find` knows.
    pub(super) fn resolve_unknown(&mut self, mut find: impl FnMut(u64) -> Option<u32>) {
        for (address, edge) in std::mem::take(&mut self.unknown) {
            self.edges.extend(find(address).map(|to| Edge { to, ..edge }));
        }
    }
}

/// What is known about tests of the processor when a function is looked at.
pub(super) trait Tests {
    /// How the function, at this call, tells its caller what the processor has.
    fn answer(&self, callee: u32, at: u64) -> Source;
    /// Whether the variable holds what the processor has.
    fn is_feature(&self, address: u64, size_bytes: u64) -> bool;
}

/// Nothing is known.
pub(super) struct NoTests;

impl Tests for NoTests {
    fn answer(&self, _callee: u32, _at: u64) -> Source {
        Source::Nothing
    }

    fn is_feature(&self, _address: u64, _size_bytes: u64) -> bool {
        false
    }
}

/// The library, to look at its functions one after the other.
pub(super) struct Scanner<'a> {
    pub(super) code: &'a Code<'a>,
    pub(super) baseline: Need,
    /// Whether each import tells what the processor has.
    pub(super) asking_imports: &'a [bool],
}

impl Scanner<'_> {
    /// Looks at a function, with what is known about tests of the processor.
    pub(super) fn scan(
        &self,
        walker: &mut Walker<'_>,
        functions: &Functions<'_>,
        function: Function,
        tests: &impl Tests,
    ) -> Summary {
        let mut visit = Visit::new(self, functions, function, tests);
        walker.walk(function, &mut visit);
        visit.summary
    }

    /// Looks at a function that holds a test: first for what each test decides.
    pub(super) fn scan_guarded(
        &self,
        walker: &mut Walker<'_>,
        functions: &Functions<'_>,
        function: Function,
        tests: &impl Tests,
        steps: &mut Steps,
    ) -> Summary {
        let mut visit = Visit::new(self, functions, function, tests);
        visit.flow = Some(Flow::default());
        walker.walk(function, &mut visit);
        let guards = visit.flow.take().and_then(|flow| flow.guards(steps));
        let Some(guards) = guards else { return visit.summary };
        let mut visit = Visit::new(self, functions, function, tests);
        visit.guards = Some(guards);
        walker.walk(function, &mut visit);
        visit.summary
    }
}

/// How many instructions later a write may still be of what a call or a read gave.
const NEAR: u8 = 16;

/// How much of a variable is taken to be changed by who is given its address, in bytes.
const GIVEN_BYTES: u64 = 64;

struct Visit<'v, T> {
    scanner: &'v Scanner<'v>,
    functions: &'v Functions<'v>,
    function: Function,
    tests: &'v T,
    /// Collects the instructions, if that is what it is for.
    flow: Option<Flow>,
    /// What is guarded; where absent, all that only comes behind a test is.
    guards: Option<Guards>,
    summary: Summary,
    is_last_guarded: bool,
    recent_call: Option<u32>,
    recent_read: Option<u64>,
    /// Instructions since either.
    age: u8,
}

/// Where a call or jump leads.
#[derive(Debug, Clone, Copy)]
enum Target {
    Function(u32),
    /// What this resolver returns.
    Resolved(u32),
    Import(usize),
    /// To code that no table lists.
    Unknown(u64),
    Nowhere,
}

impl<'v, T: Tests> Visit<'v, T> {
    fn new(
        scanner: &'v Scanner<'v>,
        functions: &'v Functions<'v>,
        function: Function,
        tests: &'v T,
    ) -> Self {
        Self {
            scanner,
            functions,
            function,
            tests,
            flow: None,
            guards: None,
            summary: Summary::default(),
            is_last_guarded: false,
            recent_call: None,
            recent_read: None,
            age: 0,
        }
    }

    fn target(&self, address: u64) -> Target {
        match self.scanner.code.stub_slot(address) {
            Some(slot) => match self.slot_target(slot) {
                Target::Nowhere => self.plain_target(address),
                target => target,
            },
            None => self.plain_target(address),
        }
    }

    fn plain_target(&self, address: u64) -> Target {
        match self.functions.at(address) {
            Some(index) => Target::Function(index),
            None if self.scanner.code.executable_at(address).is_some() => Target::Unknown(address),
            None => Target::Nowhere,
        }
    }

    fn slot_target(&self, slot: u64) -> Target {
        match self.scanner.code.slot(slot) {
            Some(Slot::Address(address)) => self.plain_target(address),
            Some(Slot::Resolved(address)) => {
                self.functions.at(address).map_or(Target::Nowhere, Target::Resolved)
            }
            Some(Slot::Import(index)) => Target::Import(index),
            None => Target::Nowhere,
        }
    }

    /// Where a call or a jump out of the function leads; `None` for other instructions.
    fn leads_to(&self, instruction: &Instruction, registers: &Registers) -> Option<(Way, Target)> {
        let way = match instruction.flow_control() {
            FlowControl::Call | FlowControl::IndirectCall => Way::Call,
            FlowControl::ConditionalBranch
            | FlowControl::UnconditionalBranch
            | FlowControl::IndirectBranch => Way::Jump,
            _ => return None,
        };
        let target = if is_near_branch(instruction) {
            let address = instruction.near_branch_target();
            let is_inside = address >= self.function.start && address < self.function.end;
            if is_inside && (way == Way::Jump || address == self.function.start) {
                return None;
            }
            self.target(address)
        } else {
            match instruction.op0_kind() {
                OpKind::Memory => registers
                    .memory_address(instruction)
                    .map_or(Target::Nowhere, |slot| self.slot_target(slot)),
                OpKind::Register => registers
                    .get(instruction.op0_register())
                    .map_or(Target::Nowhere, |address| self.target(address)),
                _ => Target::Nowhere,
            }
        };
        Some((way, target))
    }

    /// Notes the edge; returns how its end tells what the processor has.
    fn follow(&mut self, at: u64, way: Way, target: Target, is_guarded: bool) -> Source {
        let edge = |to, is_guarded| Edge { to, way, is_guarded, at };
        match target {
            Target::Function(to) => {
                self.summary.edges.push(edge(to, is_guarded));
                if way == Way::Call { self.tests.answer(to, at) } else { Source::Nothing }
            }
            Target::Resolved(to) => {
                self.summary.edges.push(Edge { way: Way::Pointer, ..edge(to, true) });
                Source::Nothing
            }
            Target::Import(index) => {
                let asks = self.scanner.asking_imports.get(index).copied().unwrap_or(false);
                self.summary.asks_others |= asks;
                if asks { Source::ResultOrArgument } else { Source::Nothing }
            }
            Target::Unknown(address) => {
                self.summary.unknown.push((address, edge(0, is_guarded)));
                Source::Nothing
            }
            Target::Nowhere => Source::Nothing,
        }
    }

    /// Notes the functions and variables whose addresses are given to the call that was noted last.
    fn note_arguments(&mut self, at: u64, registers: &Registers, is_guarded: bool) {
        let call = self.recent_call;
        for address in ARGUMENTS.into_iter().filter_map(|register| registers.get(register)) {
            if self.scanner.code.is_writable(address) {
                self.summary.writes.push(Write {
                    address,
                    size_bytes: GIVEN_BYTES,
                    call,
                    read: None,
                    is_given_away: true,
                });
            } else {
                let given = self.pointer(at, address, is_guarded);
                self.summary.edges.extend(given);
            }
        }
    }

    /// The function that starts at `address`, as one whose address is taken.
    fn pointer(&self, at: u64, address: u64, is_guarded: bool) -> Option<Edge> {
        let to = self.functions.at(address)?;
        let is_start = self.functions.get(to as usize).start == address;
        is_start.then_some(Edge { to, way: Way::Pointer, is_guarded, at })
    }

    /// Notes what the instruction reads or writes; returns whether it reads what the processor has.
    fn note_memory(&mut self, instruction: &Instruction, registers: &Registers) -> bool {
        let Some(place) = memory_operand(instruction) else { return false };
        let is_read = place > 0 || only_reads(instruction.mnemonic());
        let Some(address) = registers.memory_address(instruction) else {
            let base = instruction.memory_base();
            let is_own = matches!(base, Register::RSP | Register::RBP | Register::None);
            self.summary.writes_through_pointers |= !is_read && !is_own;
            return false;
        };
        if !self.scanner.code.is_writable(address) {
            return is_read && self.reads_asking_import(address);
        }
        let size_bytes = (instruction.memory_size().size() as u64).clamp(1, 64);
        if !is_read {
            let is_near = self.age < NEAR;
            self.summary.writes.push(Write {
                address,
                size_bytes,
                call: self.recent_call.filter(|_| is_near),
                read: self.recent_read.filter(|_| is_near),
                is_given_away: false,
            });
            return false;
        }
        if self.reads_asking_import(address) {
            return true;
        }
        if self.summary.reads.last() != Some(&(address, size_bytes)) {
            self.summary.reads.push((address, size_bytes));
        }
        (self.recent_read, self.age) = (Some(address), 0);
        self.tests.is_feature(address, size_bytes)
    }

    fn reads_asking_import(&mut self, slot: u64) -> bool {
        let Some(Slot::Import(index)) = self.scanner.code.slot(slot) else { return false };
        let asks = self.scanner.asking_imports.get(index).copied().unwrap_or(false);
        self.summary.asks_others |= asks;
        asks
    }
}

impl<T: Tests> Visit<'_, T> {
    /// Notes all that matters of one instruction; returns where it gets an answer from.
    fn look(
        &mut self,
        instruction: &Instruction,
        registers: &Registers,
        is_guarded: bool,
    ) -> Source {
        let need = need(instruction);
        if need > self.scanner.baseline {
            let above =
                if is_guarded { &mut self.summary.guarded_above } else { &mut self.summary.above };
            if above.is_none_or(|above| above.need < need) {
                *above = Some(Above { need, address: instruction.ip() });
            }
        }
        self.age = self.age.saturating_add(1);
        if let Some((way, target)) = self.leads_to(instruction, registers) {
            let edges = self.summary.edges.len();
            let at = instruction.ip();
            let is_guarded =
                is_guarded || self.guards.as_ref().is_some_and(|guards| guards.decide(at));
            let source = self.follow(at, way, target, is_guarded);
            let edge = (self.summary.edges.len() > edges).then(|| u32::try_from(edges).ok());
            (self.recent_call, self.age) = (edge.flatten(), 0);
            if instruction.flow_control() != FlowControl::ConditionalBranch {
                self.note_arguments(at, registers, is_guarded);
            }
            return source;
        }
        match instruction.mnemonic() {
            Mnemonic::Cpuid | Mnemonic::Xgetbv => {
                self.summary.asks_processor = true;
                Source::Processor
            }
            Mnemonic::Lea => {
                if instruction.is_ip_rel_memory_operand() {
                    let address = instruction.ip_rel_memory_address();
                    let taken = self.pointer(instruction.ip(), address, true);
                    self.summary.taken.extend(taken);
                }
                Source::Nothing
            }
            Mnemonic::Nop => Source::Nothing,
            _ if self.note_memory(instruction, registers) => Source::Variable,
            _ => Source::Nothing,
        }
    }
}

impl<T: Tests> Visitor for Visit<'_, T> {
    fn visit(
        &mut self,
        instruction: &Instruction,
        registers: &Registers,
        is_guarded: bool,
    ) -> bool {
        let is_decided = self.guards.as_ref().map(|guards| guards.hold(instruction.ip()));
        let source = self.look(instruction, registers, is_decided.unwrap_or(is_guarded));
        if let Some(flow) = &mut self.flow {
            flow.add(instruction, source);
        }
        self.is_last_guarded = is_decided.unwrap_or(is_guarded);
        is_decided.is_none() && source != Source::Nothing
    }

    fn falls_out(&mut self) {
        let is_guarded = self.is_last_guarded;
        if let Target::Function(to) = self.plain_target(self.function.end) {
            let at = self.function.end;
            self.summary.edges.push(Edge { to, way: Way::Jump, is_guarded, at });
        }
    }
}

/// The place of the memory operand among the operands.
fn memory_operand(instruction: &Instruction) -> Option<u32> {
    (0..instruction.op_count()).find(|&place| instruction.op_kind(place) == OpKind::Memory)
}

/// Whether an instruction whose first operand is in memory only reads it.
pub(super) fn only_reads(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Bt | Mnemonic::Push | Mnemonic::Fld
    )
}

/// Whether an instruction writes its first operand without reading it.
pub(super) fn only_writes(mnemonic: Mnemonic) -> bool {
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
