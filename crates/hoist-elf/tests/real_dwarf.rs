//! Signatures are those that were compiled, whichever compiler wrote the debug information and in
//! whichever form.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hoist_elf::debug::{DebugError, DebugInfo, debug_summary, read_debug_info};
use hoist_elf::{ElfFacts, Place};
use hoist_testkit::{Tool, tool};

const SOURCE: &str = r"
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
enum mode { FAST = 1, EXACT = -2, LATER = 40000 };
struct opts { int32_t k; unsigned low : 3, high : 9; double weights[2][4]; enum mode mode; };
typedef struct { float x, y; } point;
union word { uint32_t bits; float value; };
typedef int (*callback)(void *, const char *);
struct node { struct node *next; struct hidden *hidden; union word word; callback call; };

double dot(const float *restrict a, const float *b, int64_t n) { return a[n] * b[n]; }
point middle(point a, point b) { a.x += b.x; return a; }
int32_t use_opts(const struct opts *o, enum mode mode) { return o->k + mode; }
bool visit(struct node **nodes, uint8_t count, callback call) { return call(*nodes, 0) > count; }
void print(const char *format, ...) { (void)format; }
int apply(int rows[][3], int (*pick(int))(char)) { return pick(1)(rows[0][1]); }
uint16_t table[3] = {1, 2, 3};
const struct opts defaults = {7};
int32_t same(int32_t a) { return a; }
extern int32_t alias(int32_t) __attribute__((alias(#same#)));
";

const WANTED: [(&str, &str); 10] = [
    ("alias", "int32_t alias(int32_t)"),
    ("apply", "int apply(int (*)[3], int (*(*)(int))(char))"),
    ("defaults", "const struct opts defaults"),
    ("dot", "double dot(const float *, const float *, int64_t)"),
    ("middle", "point middle(point, point)"),
    ("print", "void print(const char *, ...)"),
    ("same", "int32_t same(int32_t)"),
    ("table", "uint16_t table[3]"),
    ("use_opts", "int32_t use_opts(const struct opts *, enum mode)"),
    ("visit", "_Bool visit(struct node **, uint8_t, callback)"),
];

fn build(compiler: &Tool, folder: &Path, source: &str, flags: &[&str]) -> Vec<u8> {
    let file = folder.join(if flags.contains(&"-xc++") { "case.cc" } else { "case.c" });
    fs::write(&file, source).unwrap();
    let library = folder.join("libcase.so");
    let mut arguments = vec!["-shared", "-fPIC", "-w", "-o", library.to_str().unwrap()];
    arguments.extend(flags);
    arguments.push(file.to_str().unwrap());
    compiler.stdout(arguments);
    fs::read(library).unwrap()
}

fn read(bytes: &[u8]) -> Result<DebugInfo, DebugError> {
    read_debug_info(bytes, &ElfFacts::read(bytes).unwrap(), |_| true)
}

/// Every export as a declaration.
fn declarations(bytes: &[u8]) -> BTreeMap<String, String> {
    let info = read(bytes).unwrap();
    assert_eq!(info.damage, None);
    let facts = ElfFacts::read(bytes).unwrap();
    let spell = |symbol: &hoist_elf::Symbol| {
        let name = symbol.name.to_string();
        let spelled = match symbol.place {
            Place::Code => info.types.spell_function(info.function(symbol)?, &name),
            _ => info.types.spell_as(info.variable(symbol)?, &name),
        };
        // DWARF 2 has no word for it.
        Some((name, spelled.replace("restrict", "")))
    };
    facts.exports().filter_map(spell).collect()
}

fn source() -> String {
    SOURCE.replace('#', "\"").replace("\"include", "#include")
}

fn wanted() -> BTreeMap<String, String> {
    WANTED.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

#[test]
fn signatures_are_those_that_were_compiled() {
    let folder = tempfile::tempdir().unwrap();
    for (name, package) in [("gcc", "gcc"), ("clang", "clang")] {
        let Some(compiler) = tool(name, package) else { continue };
        for flags in [
            &["-gdwarf-2"][..],
            &["-gdwarf-3"],
            &["-gdwarf-4"],
            &["-gdwarf-5"],
            &["-gdwarf-4", "-fdebug-types-section"],
            &["-gdwarf-5", "-fdebug-types-section"],
            &["-gdwarf-5", "-O2", "-flto"],
            &["-gdwarf-4", "-O3", "-ffunction-sections"],
            &["-gdwarf-5", "-gz=zlib"],
        ] {
            let bytes = build(&compiler, folder.path(), &source(), flags);
            let found = declarations(&bytes);
            assert_eq!(found, wanted(), "{name} {flags:?}");
        }
    }
}

#[test]
fn compressed_debug_information_says_the_same() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let Some(objcopy) = tool("objcopy", "binutils") else { return };
    let folder = tempfile::tempdir().unwrap();
    build(&gcc, folder.path(), &source(), &["-g"]);
    let (plain, packed) = (folder.path().join("libcase.so"), folder.path().join("packed.so"));
    for method in ["zlib-gnu", "zlib-gabi", "zstd"] {
        let option = format!("--compress-debug-sections={method}");
        objcopy.stdout([option.as_ref(), plain.as_os_str(), packed.as_os_str()]);
        assert_eq!(declarations(&fs::read(&packed).unwrap()), wanted(), "{method}");
    }
}

#[test]
fn information_that_is_elsewhere_is_told_so() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let Some(objcopy) = tool("objcopy", "binutils") else { return };
    let folder = tempfile::tempdir().unwrap();
    let split = build(&gcc, folder.path(), &source(), &["-g", "-gsplit-dwarf"]);
    let info = read(&split).unwrap();
    assert!(info.is_split);
    let facts = ElfFacts::read(&split).unwrap();
    assert!(facts.exports().all(|symbol| info.function(symbol).is_none()));

    build(&gcc, folder.path(), &source(), &["-g"]);
    let (whole, debug) = (folder.path().join("libcase.so"), folder.path().join("libcase.debug"));
    let stripped = folder.path().join("stripped.so");
    objcopy.stdout(["--only-keep-debug".as_ref(), whole.as_os_str(), debug.as_os_str()]);
    let link = format!("--add-gnu-debuglink={}", debug.display());
    let strip = [link.as_ref(), "--strip-debug".as_ref(), whole.as_os_str(), stripped.as_os_str()];
    objcopy.stdout(strip);
    let bytes = fs::read(&stripped).unwrap();
    assert_eq!(read(&bytes), Err(DebugError::Absent));
    let summary = debug_summary(&bytes);
    assert_eq!(summary.link.as_deref(), Some("libcase.debug"));
    assert!(!summary.has_info);
}
