//! Libraries that real compilers and linkers make, good and bad, each with the findings it must give
//! in the neutral format, and no error beside them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use hoist_testkit::{Run, tool};
use serde_json::{Value, json};
use tempfile::TempDir;

const ADD: &str = "int add(int a, int b) { return a + b; }\n";

/// What a linker is told for a library that nothing is to be said about.
const GOOD: &[&str] = &["-Wl,-soname,libcase.so", "-Wl,-z,relro", "-Wl,-z,now"];

/// A library and what is asked of it.
struct Case {
    home: TempDir,
    policy: Value,
}

impl Case {
    /// A folder without a library, and a policy that promises `add`.
    fn empty() -> Self {
        let policy = json!({
            "format": "elf-policy/1",
            "arch": "x86_64",
            "page_size": 4096,
            "exports": [{ "name": "add", "kind": "func" }],
        });
        Self { home: tempfile::tempdir().unwrap(), policy }
    }

    fn file(&self) -> std::path::PathBuf {
        self.home.path().join("libcase.so")
    }

    /// A library of the C source `source`, linked with `flags` besides.
    fn c(source: &str, flags: &[&str]) -> Self {
        Self::empty().compiled("gcc", "case.c", source, &[GOOD, flags].concat())
    }

    fn asm(source: &str) -> Self {
        let source = format!("{source}\n.section .note.GNU-stack,\"\",@progbits\n");
        Self::empty().compiled("gcc", "case.S", &source, GOOD)
    }

    fn compiled(self, compiler: &str, name: &str, source: &str, flags: &[&str]) -> Self {
        let folder = self.home.path();
        fs::write(folder.join(name), source).unwrap();
        let mut command = Command::new(compiler);
        command.current_dir(folder).args(["-shared", "-fPIC", "-O2", "-o", "libcase.so", name]);
        let run = Run::of(command.args(flags));
        assert_eq!(run.code, 0, "{}", run.stderr);
        fs::remove_file(folder.join(name)).unwrap();
        self
    }

    /// The library with its bytes changed.
    fn patched(self, patch: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = fs::read(self.file()).unwrap();
        patch(&mut bytes);
        fs::write(self.file(), bytes).unwrap();
        self
    }

    fn asked(mut self, key: &str, value: Value) -> Self {
        self.policy[key] = value;
        self
    }

    /// Asserts the verdict, that each of `must` (`check severity [symbol]`) was found, and that no
    /// other error was.
    #[track_caller]
    fn gives(self, verdict: &str, must: &[&str]) {
        let policy = self.home.path().join("policy.json");
        fs::write(&policy, self.policy.to_string()).unwrap();
        let mut hoist = Command::new(env!("CARGO_BIN_EXE_hoist"));
        hoist.current_dir(self.home.path()).args(["check", "--policy", "policy.json"]);
        let run = Run::of(hoist.args(["--format", "neutral", "libcase.so"]));
        assert!(run.code == 0 || run.code == 1, "{}", run.stderr);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(report["verdict"], verdict, "{report:#}");
        assert_eq!(run.code == 1, verdict == "fail", "{report:#}");
        let findings = report["findings"].as_array().unwrap();
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or("").to_owned();
        let found: Vec<String> = findings
            .iter()
            .map(|found| ["check", "severity", "symbol"].map(|key| text(found, key)).join(" "))
            .map(|line| line.trim_end().to_owned())
            .collect();
        for wanted in must {
            assert!(found.iter().any(|line| line == wanted), "{wanted} in {report:#}");
        }
        for line in found.iter().filter(|line| line.contains(" error")) {
            assert!(must.contains(&line.as_str()), "{line} is a false alarm: {report:#}");
        }
    }
}

fn has_gcc() -> bool {
    tool("gcc", "gcc").is_some()
}

/// Little-endian integers of a 64-bit file.
fn read(bytes: &[u8], at: usize, width: usize) -> u64 {
    bytes[at..at + width].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn write(bytes: &mut [u8], at: usize, width: usize, value: u64) {
    bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
}

/// Offsets of the program headers of this type.
fn headers(bytes: &[u8], kind: u64) -> Vec<usize> {
    let table = usize::try_from(read(bytes, 32, 8)).unwrap();
    let count = usize::try_from(read(bytes, 56, 2)).unwrap();
    (0..count).map(|index| table + index * 56).filter(|at| read(bytes, *at, 4) == kind).collect()
}

/// Sets an entry of the dynamic section.
fn set_dynamic(bytes: &mut [u8], tag: u64, value: u64) {
    let header = headers(bytes, 2)[0];
    let start = usize::try_from(read(bytes, header + 8, 8)).unwrap();
    let entry = (start..).step_by(16).find(|at| read(bytes, *at, 8) == tag).unwrap();
    write(bytes, entry + 8, 8, value);
}

const LOAD: u64 = 1;

/// How a library is spoilt.
type Damage = fn(&mut Vec<u8>);

#[test]
fn what_is_no_library_is_named() {
    Case::empty().gives("fail", &["file.missing error"]);
    let case = Case::empty();
    symlink("nowhere", case.file()).unwrap();
    case.gives("fail", &["file.missing error"]);
    let case = Case::empty();
    fs::create_dir(case.file()).unwrap();
    case.gives("fail", &["file.not_regular error"]);
    let case = Case::empty();
    symlink("/dev/zero", case.file()).unwrap();
    case.gives("fail", &["file.not_regular error"]);
    for bytes in [&b"!<thin>\n"[..], b"MZ\x90\0", b"BC\xc0\xde", b"\0asm\x01\0\0\0", &[0; 4096]] {
        let case = Case::empty();
        fs::write(case.file(), bytes).unwrap();
        case.gives("fail", &["file.not_elf error"]);
    }
    let case = Case::empty();
    fs::write(case.file(), "").unwrap();
    case.gives("fail", &["file.empty error"]);
}

#[test]
fn what_was_linked_otherwise_is_no_library() {
    if !has_gcc() {
        return;
    }
    let main = format!("{ADD}int main(void) {{ return 0; }}\n");
    for flags in [&["-no-pie"][..], &["-static"], &["-static-pie"]] {
        let case = Case::empty();
        fs::write(case.home.path().join("main.c"), &main).unwrap();
        let mut gcc = Command::new("gcc");
        gcc.current_dir(case.home.path()).args(["-o", "libcase.so", "main.c"]);
        let run = Run::of(gcc.args(flags));
        assert_eq!(run.code, 0, "{}", run.stderr);
        case.gives("fail", &["file.not_dso error"]);
    }
    let case = Case::c(ADD, &["-g"]);
    let mut objcopy = Command::new("objcopy");
    objcopy.current_dir(case.home.path()).args(["--only-keep-debug", "libcase.so"]);
    let _ = Run::of(&mut objcopy).ended(0);
    case.gives("fail", &["file.not_dso error"]);
}

#[test]
fn a_file_that_was_cut_is_truncated_and_one_that_grew_is_not() {
    if !has_gcc() {
        return;
    }
    for length in [5, 16, 63, 64, 65, 100, 300, 600, 1000, 4096, 8192] {
        let cut = |bytes: &mut Vec<u8>| bytes.truncate(length);
        Case::c(ADD, &[]).patched(cut).gives("fail", &["file.truncated error"]);
    }
    Case::c(ADD, &[])
        .patched(|bytes| bytes.extend([7; 999]))
        .gives("pass", &["file.trailing_data info"]);
    Case::c(ADD, &["-s"]).gives("pass", &[]);
}

#[test]
fn fields_that_cannot_be_are_malformed() {
    if !has_gcc() {
        return;
    }
    let damages: [(&str, Damage); 16] = [
        ("e_phentsize", |bytes| write(bytes, 54, 2, 32)),
        ("e_version", |bytes| write(bytes, 20, 4, 9)),
        ("e_phnum of PN_XNUM", |bytes| write(bytes, 56, 2, 0xffff)),
        ("p_filesz above p_memsz", |bytes| {
            let load = headers(bytes, LOAD)[0];
            write(bytes, load + 40, 8, 16);
        }),
        ("p_memsz of more than all memory", |bytes| {
            let load = *headers(bytes, LOAD).last().unwrap();
            write(bytes, load + 40, 8, 1 << 62);
        }),
        ("p_vaddr at the end of addresses", |bytes| {
            let load = *headers(bytes, LOAD).last().unwrap();
            write(bytes, load + 16, 8, 0xffff_ffff_ffff_f000);
        }),
        ("p_align", |bytes| {
            let load = headers(bytes, LOAD)[0];
            write(bytes, load + 48, 8, 0x1801);
        }),
        ("no PT_DYNAMIC", |bytes| {
            let dynamic = headers(bytes, 2)[0];
            write(bytes, dynamic, 4, 0);
        }),
        ("DT_STRTAB", |bytes| set_dynamic(bytes, 5, 0x7fff_fff0)),
        ("DT_STRSZ", |bytes| set_dynamic(bytes, 10, 1 << 40)),
        ("DT_SYMENT", |bytes| set_dynamic(bytes, 11, 8)),
        ("DT_INIT", |bytes| set_dynamic(bytes, 12, 0x7fff_fff0)),
        ("DT_SONAME", |bytes| set_dynamic(bytes, 14, 0xff_ffff)),
        ("DT_INIT_ARRAYSZ", |bytes| set_dynamic(bytes, 27, 1 << 40)),
        ("DT_RELASZ", |bytes| set_dynamic(bytes, 8, 1 << 40)),
        ("DT_GNU_HASH", |bytes| set_dynamic(bytes, 0x6fff_fef5, 0x7fff_fff0)),
    ];
    for (what, damage) in damages {
        println!("{what}");
        Case::c(ADD, &[]).patched(damage).gives("fail", &["file.malformed error"]);
    }
    for at in [58, 60, 62] {
        // The loader does not read section headers.
        let spoil = |bytes: &mut Vec<u8>| write(bytes, at, 2, 0xfe00);
        Case::c(ADD, &[]).patched(spoil).gives("warn", &["file.malformed warn"]);
    }
}

#[test]
fn other_machines_are_named_by_what_differs() {
    if !has_gcc() {
        return;
    }
    for (at, value, finding) in [
        (18, 183, "target.machine error"), // EM_AARCH64
        (7, 9, "target.osabi error"),      // FreeBSD
        (7, 6, "target.osabi error"),      // Solaris
    ] {
        Case::c(ADD, &[]).patched(|bytes| bytes[at] = value).gives("fail", &[finding]);
    }
    Case::c(ADD, &[]).patched(|bytes| bytes[7] = 3).gives("pass", &[]); // GNU
    Case::c(ADD, &[]).asked("page_size", json!(65536)).gives("fail", &["target.page_align error"]);
    Case::c(ADD, &["-Wl,-z,max-page-size=65536"])
        .asked("page_size", json!(65536))
        .gives("pass", &[]);
}

#[test]
fn a_promised_function_must_be_one_that_can_be_called() {
    if !has_gcc() {
        return;
    }
    for good in [
        ADD,
        "__attribute__((weak)) int add(int a, int b) { return a + b; }",
        "__attribute__((visibility(\"protected\"))) int add(int a, int b) { return a + b; }",
        "static int one(int a) { return a; } int add(int) __attribute__((alias(\"one\")));",
    ] {
        Case::c(good, &[]).gives("pass", &[]);
    }
    for (source, rule) in [
        ("int add_(int a) { return a; }", "export.missing"),
        ("int Add(int a) { return a; }", "export.missing"),
        ("int add(int); int call(int a) { return add(a); }", "export.undefined"),
        ("const int add = 7;", "export.kind"),
        ("int add[100];", "export.kind"),
        ("__thread int add; int *at(void) { return &add; }", "export.kind"),
        ("static int f(int a) { return a; } int (*add)(int) = f;", "export.kind"),
        (
            "__attribute__((visibility(\"hidden\"), noinline)) int add(int a) { return a; } \
             int call(int a) { return add(a); }",
            "export.hidden",
        ),
    ] {
        Case::c(source, &[]).gives("fail", &[&format!("{rule} error add")]);
    }
    let label = ".globl add\nadd: lea (%rdi,%rsi), %eax\nret";
    Case::asm(&format!(".text\n{label}")).gives("warn", &["export.kind warn add"]);
    for place in [".data", ".data\n.type add,@function"] {
        Case::asm(&format!("{place}\n{label}")).gives("fail", &["export.kind error add"]);
    }
    let number = ".globl add\n.type add,@function\n.set add, 0x1234\n.text\nret";
    Case::asm(number).gives("fail", &["export.kind error add"]);
}

#[test]
fn a_mangled_name_does_not_stand_in_for_the_promised_one() {
    if tool("g++", "g++").is_none() {
        return;
    }
    let case = Case::empty().compiled("g++", "case.cc", ADD, GOOD);
    case.gives("fail", &["export.missing error add"]);
    let source = format!("extern \"C\" {ADD}int more(int a) {{ return a; }}\n");
    let case = Case::empty().compiled("g++", "case.cc", &source, GOOD);
    case.asked("exports_exact", json!(true)).gives("fail", &["export.extra error _Z4morei"]);
}

#[test]
fn a_promised_variable_or_version_must_be_there() {
    if !has_gcc() {
        return;
    }
    let data = json!([{ "name": "table", "kind": "data" }]);
    for good in ["int table[4] = {1};", "int table[4];", "const int table[4] = {1};"] {
        Case::c(good, &[]).asked("exports", data.clone()).gives("pass", &[]);
    }
    for (source, rule) in [
        ("int table(void) { return 1; }", "export.kind"),
        ("__thread int table; int *at(void) { return &table; }", "export.kind"),
        ("int other;", "export.missing"),
    ] {
        let case = Case::c(source, &[]).asked("exports", data.clone());
        case.gives("fail", &[&format!("{rule} error table")]);
    }
    let versioned = || {
        let case = Case::empty();
        let map = case.home.path().join("case.map");
        fs::write(&map, "CASE_1 { global: add; local: *; };\n").unwrap();
        let script = format!("-Wl,--version-script,{}", map.display());
        case.compiled("gcc", "case.c", ADD, &[GOOD, &[&script]].concat())
            .asked("exports_exact", json!(true))
    };
    let of = |version: &str| json!([{ "name": "add", "kind": "func", "version": version }]);
    versioned().asked("exports", of("CASE_1")).gives("pass", &[]);
    versioned().asked("exports", of("CASE_2")).gives("fail", &["export.missing error add"]);
    Case::c(ADD, &[]).asked("exports", of("CASE_1")).gives("fail", &["export.missing error add"]);
}

#[test]
fn hardening_is_seen_whatever_linker_left_it_out() {
    if !has_gcc() {
        return;
    }
    let calls = format!("#include <stdlib.h>\n{ADD}int use(void) {{ return rand(); }}\n");
    for good in [&[][..], &["-fno-plt"], &["-Wl,-z,pack-relative-relocs"], &["-s"]] {
        Case::c(&calls, good).gives("pass", &[]);
    }
    if Path::new("/usr/bin/ld.lld").exists() {
        Case::c(&calls, &["-fuse-ld=lld"]).gives("pass", &[]);
    }
    let lazy = || Case::c(&calls, &["-Wl,-z,lazy", "-Wl,-z,norelro"]);
    lazy().gives("warn", &["harden.bind_now warn", "harden.relro warn"]);
    let strict = ["harden.bind_now error", "harden.relro error"];
    lazy().asked("strict", json!(true)).gives("fail", &strict);
    Case::c(&calls, &[]).asked("strict", json!(true)).gives("pass", &[]);

    Case::c(ADD, &["-Wl,-z,execstack"]).gives("fail", &["harden.execstack error"]);
    let nested = "int add(int a, int b) { int f(int x) { return x + a; } \
                  int (*volatile p)(int) = f; return p(b); }";
    Case::c(nested, &[]).gives("fail", &["harden.execstack error"]);
    let writable = |bytes: &mut Vec<u8>| {
        let data = *headers(bytes, LOAD).last().unwrap();
        write(bytes, data + 4, 4, 7);
    };
    Case::c(ADD, &[]).patched(writable).gives("fail", &["harden.wx_segment error"]);
    let stackless = |bytes: &mut Vec<u8>| {
        let stack = headers(bytes, 0x6474_e551)[0];
        write(bytes, stack, 4, 0);
    };
    Case::c(ADD, &[]).patched(stackless).gives("fail", &["harden.gnu_stack_missing error"]);
}

#[test]
fn a_header_that_cannot_be_read_is_a_warning_about_what_was_not_compared() {
    if !has_gcc() {
        return;
    }
    let case = Case::c(ADD, &["-g", "-ffile-prefix-map=/tmp=."]).asked("header", json!("case.h"));
    fs::write(case.home.path().join("case.h"), "int add(int, nothing);\n").unwrap();
    case.gives("warn", &["export.signature_unverified warn add"]);
}

#[test]
fn what_a_policy_compares_with_and_cannot_be_read_is_a_warning_and_the_rest_is_checked() {
    if !has_gcc() {
        return;
    }
    let case = || Case::c(ADD, &["-g", "-ffile-prefix-map=/tmp=."]);
    case().asked("header", json!("gone.h")).gives("warn", &["export.signature_unverified warn"]);
    case().asked("previous", json!("gone.so")).gives("warn", &["abi.unverified warn"]);
    let case =
        case().asked("previous", json!("text.so")).asked("exports", json!([{"name": "gone"}]));
    fs::write(case.home.path().join("text.so"), "a text").unwrap();
    case.gives("fail", &["abi.unverified warn", "export.missing error gone"]);
}

#[test]
fn the_functions_of_a_header_of_a_policy_are_promised() {
    if !has_gcc() {
        return;
    }
    let case = Case::c(ADD, &["-g", "-ffile-prefix-map=/tmp=."]).asked("header", json!("case.h"));
    fs::write(case.home.path().join("case.h"), "int add(int, int);\nint gone(int, ...);\n")
        .unwrap();
    case.gives("fail", &["export.missing error gone"]);
}

#[test]
fn a_policy_that_cannot_be_used_says_what_is_wrong_with_it() {
    for (key, value, why) in [
        ("format", json!("elf-policy/9"), "its format is `elf-policy/9`, wanted `elf-policy/1`"),
        ("arch", json!("pdp11"), "`arch` is `pdp11`, which is not known"),
        ("libc", json!("newlib"), "`libc` is `newlib`, wanted `glibc` or `musl`"),
        ("glibc_max", json!("new"), "`glibc_max`: `new` is not a version"),
        ("page_size", json!(4095), "`page_size` is 4095, wanted a power of two"),
        ("exports", json!([{ "name": "x", "kind": "macro" }]), "the export `x` is of kind `macro`"),
        ("probe_timeout_s", json!(-1), "`probe_timeout_s` is -1"),
    ] {
        let case = Case::empty().asked(key, value);
        fs::write(case.home.path().join("policy.json"), case.policy.to_string()).unwrap();
        let mut hoist = Command::new(env!("CARGO_BIN_EXE_hoist"));
        hoist.current_dir(case.home.path()).args(["check", "--policy", "policy.json", "x.so"]);
        let run = Run::of(&mut hoist).ended(2);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
    let case = Case::empty().asked("weather", json!("fair"));
    fs::write(case.home.path().join("policy.json"), case.policy.to_string()).unwrap();
    let mut hoist = Command::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.current_dir(case.home.path()).args(["check", "--policy", "policy.json", "x.so"]);
    let run = Run::of(&mut hoist).ended(1);
    assert!(run.stderr.contains("`weather` is not known and passed over"), "{}", run.stderr);
}
