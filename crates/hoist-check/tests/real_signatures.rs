//! Promised headers against what compilers of several languages made of them.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::fs;
use std::path::Path;

use hoist_check::{Candidate, Contract, NoSiblings, Promise, Target, check_against, check_library};
use hoist_elf::header::parse_header_for_check;
use hoist_schema::{Finding, Severity};
use hoist_testkit::{Tool, tool};

/// Findings about signatures and debug information under the promise of `header`.
fn check(library: &Path, header: &str) -> Vec<Finding> {
    let header = parse_header_for_check(header).unwrap();
    let contract = Contract {
        exports: header.function_names().map(Promise::function).collect(),
        header: Some(header),
        promised_by: "include/case.h".to_owned(),
        ..Contract::new(Target::HOST)
    };
    let bytes = fs::read(library).unwrap();
    let report = check_library(&Candidate::new("lib/libcase.so", &bytes), &contract, &NoSiblings);
    let is_about_types =
        |found: &Finding| found.rule.starts_with("export.") || found.rule == "debug.unreadable";
    report.findings.into_iter().filter(is_about_types).collect()
}

fn lines(findings: &[Finding]) -> Vec<String> {
    let line = |found: &Finding| {
        let severity = format!("{:?}", found.severity).to_lowercase();
        format!("{severity} {} {}", found.rule, found.symbol.as_deref().unwrap_or("-"))
    };
    findings.iter().map(line).collect()
}

fn compile(
    compiler: &Tool,
    folder: &Path,
    name: &str,
    source: &str,
    flags: &[&str],
) -> std::path::PathBuf {
    let (file, library) = (folder.join(name), folder.join("libcase.so"));
    fs::write(&file, source).unwrap();
    let mut arguments = flags.to_vec();
    arguments.extend(["-o", library.to_str().unwrap(), file.to_str().unwrap()]);
    compiler.stdout(arguments);
    library
}

const C_FLAGS: [&str; 4] = ["-shared", "-fPIC", "-w", "-g"];

const HEADER: &str = r"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef struct point { float x, y; } point;
struct opts { int32_t k; double eps; const char *name; uint8_t tag[16]; };
struct hidden;
enum mode { FAST, EXACT };
double dot(const float *a, const float *b, int64_t n);
bool is_on(uint8_t flag, char letter);
size_t count(const char *text, const uint8_t *bytes);
point middle(point a, point b);
int32_t use_opts(const struct opts *o, enum mode mode);
struct hidden *open_it(const void *any);
void each(void (*call)(int32_t), int32_t *out);
";

#[test]
fn a_header_that_the_source_includes_is_kept() {
    let source = format!(
        r"{HEADER}
struct hidden {{ int a; }};
double dot(const float *restrict a, const float *b, int64_t n) {{ return a[n] * b[0]; }}
bool is_on(uint8_t flag, char letter) {{ return flag > letter; }}
size_t count(const char *text, const uint8_t *bytes) {{ return text[0] + bytes[0]; }}
point middle(point a, point b) {{ a.x += b.x; return a; }}
int32_t use_opts(const struct opts *o, enum mode mode) {{ return o->k + mode; }}
struct hidden *open_it(const void *any) {{ return (struct hidden *)any; }}
void each(void (*call)(int32_t), int32_t *out) {{ call(*out); }}
"
    );
    let folder = tempfile::tempdir().unwrap();
    for (name, package) in [("gcc", "gcc"), ("clang", "clang")] {
        let Some(compiler) = tool(name, package) else { continue };
        for form in ["-gdwarf-4", "-gdwarf-5"] {
            let flags = [&C_FLAGS[..], &[form]].concat();
            let library = compile(&compiler, folder.path(), "case.c", &source, &flags);
            assert_eq!(check(&library, HEADER), [], "{name} {form}");
        }
    }
}

/// The same promise, kept in other words.
#[test]
fn what_is_the_same_to_callers_is_no_finding() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let source = r"
typedef unsigned char byte;
typedef struct { struct { float v[2]; } both; } wrapped;
double dot(const float *a, const void *b, long long n) { return a[n]; }
byte is_on(_Bool flag, signed char letter) { return flag > letter; }
unsigned long count(const byte *text, const char *bytes) { return text[0] + bytes[0]; }
struct point { float x; float why; };
struct point middle(struct point a, struct point b) { return b; }
struct options { int k; double eps; char *name; union { byte tag[16]; long words[2]; } u; };
int use_opts(struct options *o, unsigned mode) { return o->k + mode; }
void *open_it(char *any) { return any; }
void each(void *call, int *out) { *out = 1; }
";
    let folder = tempfile::tempdir().unwrap();
    let library = compile(&gcc, folder.path(), "case.c", source, &C_FLAGS);
    assert_eq!(check(&library, HEADER), []);
}

#[test]
fn both_declarations_and_the_parameter_are_shown() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let header = "#include <stdint.h>\nint32_t add_i32(int32_t a, int32_t b);\n\
                  double dot_f32(const float *a, const float *b, int64_t n);\n";
    let source = "#include <stdint.h>\nint32_t add_i32(int32_t a, int32_t b) { return a + b; }\n\
                  float dot_f32(const float *a, const float *b, int32_t n) { return a[n] * b[n]; }\n";
    let folder = tempfile::tempdir().unwrap();
    let library = compile(&gcc, folder.path(), "case.c", source, &C_FLAGS);
    let findings = check(&library, header);
    assert_eq!(lines(&findings), ["error export.signature dot_f32"]);
    assert_eq!(
        findings[0].message,
        "`dot_f32` is not what include/case.h says; header: `double dot_f32(const float *, const \
         float *, int64_t)`; library: `float dot_f32(const float *, const float *, int32_t)`; \
         result: 64-bit float → 32-bit float; parameter 3 (`n`): 64-bit signed integer → 32-bit \
         signed integer"
    );
}

#[test]
fn each_difference_that_callers_notice_is_an_error() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (header, source) in [
        ("int f(int a);", "int f(void) { return 1; }"),
        ("int f(int a);", "int f(int a, int b) { return 1; }"),
        ("int f(int a);", "int f(unsigned a) { return 1; }"),
        ("int f(int a);", "int f(float a) { return 1; }"),
        ("int f(int a);", "int f(int a, ...) { return 1; }"),
        ("int f(int a);", "void f(int a) { }"),
        ("int f(int *a);", "int f(int a) { return 1; }"),
        ("int f(float *a);", "int f(double *a) { return 1; }"),
        ("int f(short a);", "int f(int a) { return 1; }"),
        ("double f(double a);", "long double f(double a) { return 1; }"),
        (
            "struct s { int a; int b; }; int f(struct s s);",
            "struct s { int a; float b; }; int f(struct s s) { return 1; }",
        ),
        (
            "struct s { int a; int b; }; int f(struct s *s);",
            "struct s { int a; int b; int c; }; int f(struct s *s) { return 1; }",
        ),
        ("struct s { int a; int b; }; int f(struct s s);", "int f(long s) { return 1; }"),
    ] {
        let library = compile(&gcc, folder.path(), "case.c", source, &C_FLAGS);
        let findings = check(&library, header);
        assert_eq!(lines(&findings), ["error export.signature f"], "{source}: {findings:#?}");
    }
    let layout = "struct s { int a; int b; };\nint f(const struct s *s);\n";
    let source = "struct s { int a; double x; int b; }; int f(const struct s *s) { return s->b; }";
    let library = compile(&gcc, folder.path(), "case.c", source, &C_FLAGS);
    let findings = check(&library, layout);
    assert_eq!(findings[0].object.as_deref(), Some("s"));
    assert_eq!(
        findings[0].message,
        "`f` uses `struct s`, which include/case.h lays out otherwise than the library (header → \
         library): size: 8 → 24 bytes; `b`: byte 4 → byte 16; `x` is new at byte 8"
    );
}

#[test]
fn what_may_be_meant_is_a_warning() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (header, source) in [
        ("#include <stdint.h>\nint f(uint8_t *bytes);", "int f(float *a) { return 1; }"),
        ("#include <stdint.h>\nint f(int32_t *a);", "int f(unsigned *a) { return 1; }"),
        ("enum e { A }; int f(enum e e);", "int f(int e) { return 1; }"),
        ("int f(void *a);", "int f(unsigned long a) { return 1; }"),
        ("void f(int a);", "int f(int a) { return 1; }"),
    ] {
        let library = compile(&gcc, folder.path(), "case.c", source, &C_FLAGS);
        let findings = check(&library, header);
        assert_eq!(lines(&findings), ["warning export.signature f"], "{source}: {findings:#?}");
    }
}

#[test]
fn rust_keeps_a_header_or_is_told_where_not() {
    let Some(rustc) = tool("rustc", "rustc") else { return };
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--edition=2024", "--crate-type=cdylib", "-Copt-level=1", "-g", "-Awarnings"];
    let kept = r#"
use std::ffi::{c_char, c_void};
#[repr(C)] #[derive(Clone, Copy)] pub struct Point { x: f32, y: f32 }
#[repr(C)] pub struct Opts { k: i32, eps: f64, name: *const c_char, tag: [u8; 16] }
#[repr(C)] pub enum Mode { Fast, Exact }
#[repr(transparent)] pub struct Flag(u8);
pub struct Hidden(Vec<u8>);
#[unsafe(no_mangle)] pub unsafe extern "C" fn dot(a: *const f32, b: &f32, n: i64) -> f64 { f64::from(unsafe { *a.add(n as usize) } * b) }
#[unsafe(no_mangle)] pub extern "C" fn is_on(flag: Flag, letter: c_char) -> bool { flag.0 as c_char > letter }
#[unsafe(no_mangle)] pub unsafe extern "C" fn count(text: *const c_char, bytes: Option<&u8>) -> usize { text as usize + bytes.is_some() as usize }
#[unsafe(no_mangle)] pub extern "C" fn middle(a: Point, b: Point) -> Point { Point { x: a.x, y: b.y } }
#[unsafe(no_mangle)] pub extern "C" fn use_opts(o: &Opts, mode: Mode) -> i32 { o.k + mode as i32 }
#[unsafe(no_mangle)] pub extern "C" fn open_it(any: *const c_void) -> Option<Box<Hidden>> { if any.is_null() { None } else { Some(Box::new(Hidden(vec![1]))) } }
#[unsafe(no_mangle)] pub extern "C" fn each(call: Option<extern "C" fn(i32)>, out: Option<&mut i32>) { if let (Some(call), Some(out)) = (call, out) { call(*out) } }
"#;
    let library = compile(&rustc, folder.path(), "case.rs", kept, &flags);
    assert_eq!(check(&library, HEADER), []);

    let broken = kept
        .replace("n: i64) -> f64 { f64::from(", "n: i32) -> f32 { (")
        .replace("eps: f64", "eps: f32")
        .replace("call: Option<extern \"C\" fn(i32)>, ", "");
    let broken = broken.replace(
        "if let (Some(call), Some(out)) = (call, out) { call(*out) }",
        "if let Some(out) = out { *out = 1 }",
    );
    let library = compile(&rustc, folder.path(), "case.rs", &broken, &flags);
    let findings = check(&library, HEADER);
    let mut found = lines(&findings);
    found.sort();
    let error = |symbol| format!("error export.signature {symbol}");
    assert_eq!(found, ["dot", "each", "use_opts"].map(error), "{findings:#?}");
}

#[test]
fn cpp_keeps_a_header_by_references_and_classes() {
    let source = r#"
#include <cstdint>
#include <cstddef>
struct Point { float x = 0, y = 0; Point operator+(const Point &) const; };
class Opts { public: int32_t k; double eps; const char *name; uint8_t tag[16]; int get() const { return k; } static int made; };
enum class Mode : int { Fast, Exact };
class Hidden { public: virtual ~Hidden(); };
Hidden::~Hidden() {}
extern "C" {
double dot(const float &a, const float *b, int64_t n) { return a * b[n]; }
bool is_on(uint8_t flag, char letter) { return flag > letter; }
size_t count(const char *text, const std::byte *bytes) { return text - (const char *)bytes; }
Point middle(Point a, Point b) { a.x += b.x; return a; }
int32_t use_opts(const Opts &o, Mode mode) { return o.get() + (int)mode; }
Hidden *open_it(const void *) { return new Hidden; }
void each(void (&call)(int32_t), int32_t &out) { call(out); }
}
"#;
    let folder = tempfile::tempdir().unwrap();
    for (name, package) in [("g++", "g++"), ("clang++", "clang")] {
        let Some(compiler) = tool(name, package) else { continue };
        let flags = [&C_FLAGS[..], &["-std=c++17"]].concat();
        let library = compile(&compiler, folder.path(), "case.cc", source, &flags);
        assert_eq!(check(&library, HEADER), [], "{name}");
    }
}

#[test]
fn a_library_without_debug_information_is_told_once() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let folder = tempfile::tempdir().unwrap();
    let source = "int f(int a) { return a; } int g(int a) { return a; }";
    let flags = ["-shared", "-fPIC", "-g0"];
    let library = compile(&gcc, folder.path(), "case.c", source, &flags);
    let findings = check(&library, "int f(int a); int g(int a);");
    assert_eq!(lines(&findings), ["warning export.signature_unverified -"]);
    assert_eq!(
        findings[0].message,
        "`f` and `g`: not held against include/case.h, because there is no debug information"
    );
    let findings = check(&library, "int f(int a);");
    assert_eq!(lines(&findings), ["warning export.signature_unverified f"]);
    assert_eq!(findings[0].severity, Severity::Warning);
}

#[test]
fn damaged_debug_information_is_told() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let Some(objcopy) = tool("objcopy", "binutils") else { return };
    let folder = tempfile::tempdir().unwrap();
    let library = compile(&gcc, folder.path(), "case.c", "int f(int a) { return a; }", &C_FLAGS);
    let (junk, damaged) = (folder.path().join("junk"), folder.path().join("damaged.so"));
    fs::write(&junk, b"this is no debug information at all").unwrap();
    let update = format!("--update-section=.debug_info={}", junk.display());
    objcopy.stdout([update.as_ref(), library.as_os_str(), damaged.as_os_str()]);
    let findings = check(&damaged, "int f(int a);");
    assert_eq!(
        lines(&findings),
        ["warning debug.unreadable -", "warning export.signature_unverified f"]
    );
}

#[test]
fn debug_information_without_types_describes_no_function() {
    let folder = tempfile::tempdir().unwrap();
    let header = "int f(int a); void g(void);";
    let source = |f: &str| format!("{f} {{ return a; }} void g(void) {{}}");
    let (old, new) = (source("int f(int a)"), source("int f(int a, int b)"));
    for (name, flag) in [("gcc", "-g1"), ("clang", "-g1"), ("clang", "-gline-tables-only")] {
        let Some(compiler) = tool(name, name) else { continue };
        let flags = ["-shared", "-fPIC", flag];
        let library = compile(&compiler, folder.path(), "old.c", &old, &flags);
        assert_eq!(
            lines(&check(&library, header)),
            ["warning export.signature_unverified -"],
            "{name} {flag}"
        );
        let before = fs::read(&library).unwrap();
        let after = fs::read(compile(&compiler, folder.path(), "new.c", &new, &flags)).unwrap();
        let (before, after) = (Candidate::new("old", &before), Candidate::new("new", &after));
        let contract = Contract::new(Target::HOST);
        let comparison = check_against(&after, &before, &contract).unwrap();
        assert_eq!(lines(&comparison.findings), ["warning abi.unverified -"], "{name} {flag}");
    }
}

#[test]
fn functions_without_parameters_and_result_are_described_with_all_information() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let folder = tempfile::tempdir().unwrap();
    let source = "void f(void) {}";
    let library = compile(&gcc, folder.path(), "case.c", source, &C_FLAGS);
    assert_eq!(check(&library, "void f(void);"), []);
    assert_eq!(lines(&check(&library, "int f(int a);")), ["error export.signature f"]);
}

#[test]
fn what_an_assembler_says_of_functions_is_no_signature() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let folder = tempfile::tempdir().unwrap();
    let source = ".text\n.globl f\n.type f,@function\nf: ret\n.size f,.-f\n\
                  .section .note.GNU-stack,\"\",@progbits\n";
    let library = compile(&gcc, folder.path(), "case.S", source, &C_FLAGS);
    assert_eq!(lines(&check(&library, "int f(int a);")), ["warning export.signature_unverified f"]);
}

#[test]
fn a_declaration_that_cannot_be_held_against_anything_leaves_the_others() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let folder = tempfile::tempdir().unwrap();
    let source = "union u { int a; float b; }; struct bits { unsigned a : 3, b : 5; };
        int log_it(const char *format, ...) { return *format; }
        int take(union u *u, struct bits *bits) { return u->a + bits->a; }
        int add(int a, int b) { return a + b; }";
    let header = "union u { int a; float b; }; struct bits { unsigned a : 3, b : 5; };
        int log_it(const char *format, ...);
        int take(union u *u, struct bits *bits);
        int add(int a, long b); int gone(long double);";
    let library = compile(&gcc, folder.path(), "case.c", source, &C_FLAGS);
    let findings = check(&library, header);
    assert_eq!(
        lines(&findings),
        [
            "error export.missing gone",
            "error export.signature add",
            "warning export.signature_unverified log_it",
            "warning export.signature_unverified -",
        ]
    );
    assert_eq!(
        findings[3].message,
        "the fields of `u` and `bits`: not held against include/case.h, because of 1:1: a union \
         cannot be promised; 1:53: a bit-field cannot be promised"
    );
    assert_eq!(
        findings[2].message,
        "`log_it`: not held against include/case.h, because of 2:40: `log_it` with a variable \
         number of arguments cannot be promised"
    );
}

#[test]
fn empty_parentheses_promise_the_result_alone() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let folder = tempfile::tempdir().unwrap();
    let library = compile(&gcc, folder.path(), "case.c", "int f(int a) { return a; }", &C_FLAGS);
    assert_eq!(check(&library, "int f();"), []);
    assert_eq!(lines(&check(&library, "double f();")), ["error export.signature f"]);
}
