//! Hand-written assembly: functions that no table bounds, and data among the code.

use crate::{Compiler, expect, expect_with};
use hoist_testkit::tool;

fn assembler() -> Vec<Compiler> {
    const RUNS: &[&[&str]] = &[&["-nostdlib"], &["-nostdlib", "-s"]];
    let of = |tool| Compiler { tool, extension: "s", runs: RUNS };
    tool("gcc", "gcc").map(of).into_iter().collect()
}

#[test]
fn functions_without_type_size_or_unwinding_are_followed() {
    let source = "
        .text
        .globl scale
        scale: call helper
               ret
        helper: vaddps %ymm0, %ymm1, %ymm2
               ret
        .globl add
        add:   lea (%rdi,%rsi), %eax
               ret
        .section .note.GNU-stack,\"\",@progbits";
    expect(&assembler(), source, &["scale", "add"], &["error: scale"]);
    expect(&assembler(), source, &["add"], &[]);
}

#[test]
fn data_behind_a_function_is_not_code() {
    // The bytes are those of `vaddps zmm0, zmm1, zmm2`, behind a return, a jump and a call that
    // does not come back.
    let data = ".byte 0x62, 0xf1, 0x74, 0x48, 0x58, 0xc2";
    let source = format!(
        "
        .text
        .globl returns
        returns: movups pool(%rip), %xmm0
                 ret
        pool:    {data}
        .globl jumps
        jumps:   lea table(%rip), %rax
                 movslq (%rax,%rdi,4), %rdx
                 add %rax, %rdx
                 jmp *%rdx
        table:   .long first - table, first - table
                 {data}
        first:   ret
        .globl stops
        stops:   ud2
                 {data}
        .section .note.GNU-stack,\"\",@progbits"
    );
    expect(&assembler(), &source, &["returns", "jumps", "stops"], &[]);
}

#[test]
fn a_table_of_jumps_is_swept_where_the_function_is_bounded() {
    let source = "
        .text
        .globl choose
        .type choose, @function
        choose:  lea table(%rip), %rax
                 movslq (%rax,%rdi,4), %rdx
                 add %rax, %rdx
                 jmp *%rdx
        first:   ret
        second:  vaddps %ymm0, %ymm1, %ymm2
                 ret
        .size choose, . - choose
        .section .rodata
        table:   .long first - table, second - table
        .section .note.GNU-stack,\"\",@progbits";
    expect(&assembler(), source, &["choose"], &["error: choose"]);
}

#[test]
fn instructions_that_old_processors_take_for_others_are_harmless() {
    let source = "
        .text
        .globl harmless
        harmless: endbr64
                  rep bsf %rdi, %rax
                  rdsspq %rdx
                  pause
                  prefetchw (%rdi)
                  xacquire lock cmpxchg %ecx, (%rdi)
                  mov $0, %ecx
                  xgetbv
                  ret
        .section .note.GNU-stack,\"\",@progbits";
    expect(&assembler(), source, &["harmless"], &[]);
}

#[test]
fn a_function_that_runs_into_the_next_is_followed() {
    let source = "
        .text
        .globl first
        first:  xor %eax, %eax
        .globl second
        second: vaddps %ymm0, %ymm1, %ymm2
                ret
        .section .note.GNU-stack,\"\",@progbits";
    expect(&assembler(), source, &["first"], &["error: first"]);
}

#[test]
fn a_cold_part_belongs_to_its_function() {
    let source = "
        .text
        .globl search
        .type search, @function
        search: test %edi, %edi
                js search.cold
                ret
        .size search, . - search
        .section .text.unlikely, \"ax\", @progbits
        search.cold: vaddps %ymm0, %ymm1, %ymm2
                ret
        .section .note.GNU-stack,\"\",@progbits";
    expect(&assembler(), source, &["search"], &["error: search"]);
    expect_with(&assembler(), source, &["-Wl,-z,separate-code"], &["search"], &["error: search"]);
}
