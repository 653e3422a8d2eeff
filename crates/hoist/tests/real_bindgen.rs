//! Generated Python modules, run by a real Python on real libraries.

use std::process::Command;

use hoist_testkit::{Hoist, Run, not_checked, tool};

const HEADER: &str = "\
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counter;
typedef struct { double x; double y; } point;
struct item {
    int32_t id;
    char tag[8];
    point at;
    struct item *next;
    const char *text;
    float row[3];
};

point mirror(point p);
void scale(point *p, double factor);
double total(const double *values, size_t count);
float dot(const float *a, const float *b, int32_t count);
void fill(int64_t *out, size_t count, int64_t value);
int32_t apply(int32_t (*call)(int32_t), int32_t value);
const char *greeting(void);
size_t length(const char *text);
bool is_even(uint64_t number);
struct counter *counter_new(void);
int32_t counter_next(struct counter *counter);
void counter_free(struct counter *counter);
int32_t sum_ids(const struct item *items, size_t count);
size_t bytes_of_item(void);
int32_t lambda(int32_t from, int32_t);
void *same(void *address);
int8_t small(int8_t number);
char letter(char c);
void upper(char *text);
void swap(void **a, void **b);
";

const SOURCE: &str = "\
#include <stdlib.h>
#include <string.h>
#include \"shapes.h\"
struct counter { int32_t value; };
point mirror(point p) { point q = {p.y, p.x}; return q; }
void scale(point *p, double f) { p->x *= f; p->y *= f; }
double total(const double *v, size_t n) { double s = 0; for (size_t i = 0; i < n; i++) s += v[i]; return s; }
float dot(const float *a, const float *b, int32_t n) { float s = 0; for (int i = 0; i < n; i++) s += a[i] * b[i]; return s; }
void fill(int64_t *o, size_t n, int64_t v) { for (size_t i = 0; i < n; i++) o[i] = v; }
int32_t apply(int32_t (*call)(int32_t), int32_t value) { return call ? call(value) : -1; }
const char *greeting(void) { return \"hello\"; }
size_t length(const char *text) { return text ? strlen(text) : 0; }
bool is_even(uint64_t n) { return n % 2 == 0; }
struct counter *counter_new(void) { return calloc(1, sizeof(struct counter)); }
int32_t counter_next(struct counter *c) { return ++c->value; }
void counter_free(struct counter *c) { free(c); }
int32_t sum_ids(const struct item *items, size_t n) { int32_t s = 0; for (size_t i = 0; i < n; i++) s += items[i].id; return s; }
size_t bytes_of_item(void) { return sizeof(struct item); }
int32_t lambda(int32_t a, int32_t b) { return a - b; }
void *same(void *a) { return a; }
int8_t small(int8_t n) { return n; }
char letter(char c) { return c; }
void upper(char *t) { for (; *t; t++) if (*t >= 'a' && *t <= 'z') *t -= 32; }
void swap(void **a, void **b) { void *t = *a; *a = *b; *b = t; }
";

const MANIFEST: &str = "\
[package]
name = \"shapes-c\"
version = \"1.0\"
python = \"shapes\"
[build]
toolchain = \"cc\"
sources = [\"shapes.c\", \"shapes.h\"]
[[library]]
path = \"lib/libshapes.so\"
header = \"shapes.h\"
";

/// Every kind of parameter and result, called through the module.
const CALLS: &str = "
import ctypes
from array import array
import shapes
lib = shapes.load()
assert lib is shapes.load()
p = lib.mirror(shapes.point(1.5, -2.0))
assert (p.x, p.y) == (-2.0, 1.5)
lib.scale(p, 2.0); lib.scale(ctypes.byref(p), 2.0); lib.scale(ctypes.pointer(p), 0.5)
assert (p.x, p.y) == (-4.0, 3.0)
assert lib.total(array('d', [1, 2, 3.5]), 3) == 6.5
assert lib.total(None, 0) == 0.0
assert lib.dot(array('f', [1, 2]), memoryview(array('f', [3, 4])), 2) == 11.0
out = array('q', [0, 0, 0]); lib.fill(out, 2, -(1 << 62)); assert out.tolist() == [-(1 << 62)] * 2 + [0]
numbers = (ctypes.c_int64 * 2)(); lib.fill(numbers, 2, 7); assert list(numbers) == [7, 7]
twice = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32)(lambda n: 2 * n)
assert lib.apply(twice, 21) == 42 and lib.apply(None, 1) == -1
assert lib.greeting() == b'hello'
assert lib.length(b'four') == 4 and lib.length(None) == 0
assert lib.is_even(1 << 63) is True and lib.is_even(3) is False
counter = lib.counter_new()
assert [lib.counter_next(counter), lib.counter_next(counter)] == [1, 2]
lib.counter_free(counter)
items = (shapes.item * 2)(shapes.item(id=4, tag=b'x', at=p), shapes.item(5))
items[0].next = ctypes.pointer(items[1])
assert lib.sum_ids(items, 2) == 9 and lib.sum_ids(items[0], 1) == 4
assert items[0].next.contents.id == 5 and items[0].tag == b'x' and items[0].at.y == 3.0
assert lib.bytes_of_item() == ctypes.sizeof(shapes.item)
assert lib.lambda_(5, 3) == 2
assert lib.same(None) is None and lib.same(1 << 40) == 1 << 40
assert lib.small(-3) == -3 and lib.letter(b'q') == b'q'
text = bytearray(b'abc\\0'); lib.upper(text); assert text == b'ABC\\0'
a, b = ctypes.c_void_p(1), ctypes.c_void_p(2)
lib.swap(ctypes.byref(a), ctypes.byref(b)); assert (a.value, b.value) == (2, 1)
assert lib.dot.__doc__ == 'float dot(const float *a, const float *b, int32_t count)', lib.dot.__doc__
assert lib.paths[0].endswith('libshapes.so')
print('all')
";

/// Calls that must be refused, with a part of why.
const REFUSED: &[(&str, &str)] = &[
    ("lib.total(array('f', [1]), 1)", "wanted c_double of 8 bytes"),
    ("lib.fill(b'12345678', 1, 0)", "read-only memory"),
    ("lib.total(memoryview(array('d', [1, 2, 3]))[::2], 2)", "do not lie in a row"),
    ("lib.length('text')", "wanted bytes"),
    ("lib.counter_next(1)", "expected LP_counter"),
    ("lib.apply(print, 1)", "wrap it by ctypes.CFUNCTYPE"),
    ("lib.scale(ctypes.pointer(ctypes.c_int(1)), 1.0)", "a pointer to c_int"),
    ("lib.mirror((1, 2))", "expected point"),
    ("lib.dot(array('i', [1]), None, 0)", "format 'i'"),
];

/// A home with the project, shipped.
fn shipped() -> Hoist {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.write("hoist.toml", MANIFEST);
    hoist.write("shapes.h", HEADER);
    hoist.write("shapes.c", SOURCE);
    let _ = hoist.run(["ship"]).ended(0);
    hoist
}

#[test]
fn the_packed_module_calls_what_the_header_declares() {
    if tool("python3", "python3").is_none() {
        return;
    }
    let hoist = shipped();
    let run = hoist.run(["run", "--", "python3", "-c", CALLS]).ended(0);
    assert_eq!(run.stdout, "all\n", "{}", run.stderr);
    for (call, why) in REFUSED {
        let script = format!(
            "import ctypes\nfrom array import array\nimport shapes\nlib = shapes.load()\n{call}\n"
        );
        let run = hoist.run(["run", "--", "python3", "-c", &script]).ended(1);
        assert!(
            run.stderr.contains("ArgumentError") && run.stderr.contains(why),
            "{call}: {}",
            run.stderr
        );
    }
}

#[test]
fn a_module_for_a_project_a_package_and_an_artifact_is_the_same() {
    let hoist = shipped();
    let project = hoist.stdout(["bindgen", "python", "--out", "a"]);
    assert_eq!(project, "a/shapes.py\na/shapes.pyi");
    let store_path = hoist.stdout(["build", "--quiet"]);
    for (of, out) in [("shapes-c", "b"), (store_path.trim(), "c")] {
        hoist.stdout(["bindgen", "python", of, "--name", "shapes", "--out", out]);
    }
    let read = |path: &str| std::fs::read_to_string(hoist.project().join(path)).unwrap();
    for file in ["shapes.py", "shapes.pyi"] {
        assert_eq!(read(&format!("a/{file}")), read(&format!("b/{file}")));
        assert_eq!(read(&format!("a/{file}")), read(&format!("c/{file}")));
    }
}

#[test]
fn a_module_finds_its_library_beside_it_by_a_path_and_by_the_profile() {
    let Some(python) = tool("python3", "python3") else { return };
    let hoist = shipped();
    hoist.stdout(["bindgen", "python", "--out", "app"]);
    let call = |setup: &dyn Fn(&mut Command), load: &str| {
        let mut command = python.command();
        let script = format!("import shapes; print(shapes.load({load}).small(5))");
        command.args(["-c", &script]).current_dir(hoist.project().join("app"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        setup(&mut command);
        Run::of(&mut command)
    };
    let lost = call(&|_| (), "").ended(1);
    assert!(lost.stderr.contains("the libraries of shapes-c are not there"), "{}", lost.stderr);

    let runtime = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python");
    let by_profile = |command: &mut Command| {
        command.env("HOIST_ROOT", hoist.root()).env("PYTHONPATH", runtime);
    };
    assert_eq!(call(&by_profile, "").ended(0).stdout, "5\n");

    let library = std::fs::read_dir(hoist.root().join("nix/store"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path().join("lib/libshapes.so"))
        .find(|path| path.is_file())
        .unwrap();
    let folder = library.parent().unwrap();
    let in_env = |command: &mut Command| {
        command.env("HOIST_LIB_PATH", folder);
    };
    assert_eq!(call(&in_env, "").ended(0).stdout, "5\n");
    assert_eq!(
        call(&|_| (), &format!("{:?}", library.display().to_string())).ended(0).stdout,
        "5\n"
    );
    assert_eq!(
        call(&|_| (), &format!("{:?}", folder.display().to_string())).ended(0).stdout,
        "5\n"
    );
    std::fs::copy(&library, hoist.project().join("app/libshapes.so")).unwrap();
    assert_eq!(call(&|_| (), "").ended(0).stdout, "5\n");
}

#[test]
fn a_header_and_a_library_from_elsewhere_are_enough() {
    let Some(python) = tool("python3", "python3") else { return };
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.write("x.h", "int twice(int number);\n");
    let source = hoist.write("x.c", "int twice(int n) { return 2 * n; }\n");
    let library = hoist.project().join("libtwo-x.so.1");
    let run = Run::of(gcc.command().args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source));
    assert_eq!(run.code, 0, "{}", run.stderr);
    let said = hoist.stdout([
        "bindgen",
        "python",
        "--header",
        "x.h",
        "--library",
        library.to_str().unwrap(),
    ]);
    assert_eq!(said, "./two_x.py\n./two_x.pyi");
    let mut command = python.command();
    command
        .args(["-c", "import two_x; print(two_x.load().twice(21))"])
        .current_dir(hoist.project());
    assert_eq!(Run::of(&mut command).ended(0).stdout, "42\n");
    let missing = hoist.write("y.h", "int twice(int number);\nint gone(void);\n");
    hoist.stdout([
        "bindgen",
        "python",
        "--header",
        missing.to_str().unwrap(),
        "--library",
        library.to_str().unwrap(),
    ]);
    let mut command = python.command();
    command.args(["-c", "import two_x; two_x.load()"]).current_dir(hoist.project());
    let run = Run::of(&mut command).ended(1);
    assert!(run.stderr.contains("does not export gone, which it promises"), "{}", run.stderr);
}

#[test]
fn a_file_that_somebody_else_wrote_is_not_replaced() {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.write("x.h", "int twice(int number);\n");
    let bindgen = ["bindgen", "python", "--header", "x.h", "--library", "libx.so"];
    let own = hoist.write("x.pyi", "# mine\n");
    let run = hoist.run(bindgen).ended(1);
    assert!(run.stderr.contains("./x.pyi is there, and `hoist bindgen` did not write it"));
    assert!(run.stderr.contains("hint: name the module otherwise with --name"), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(&own).unwrap(), "# mine\n");
    assert!(!hoist.project().join("x.py").exists(), "half of them were written");

    std::fs::remove_file(&own).unwrap();
    hoist.stdout(bindgen);
    let before = std::fs::read(&own).unwrap();
    hoist.write("x.h", "int thrice(int number);\n");
    hoist.stdout(bindgen);
    assert_ne!(std::fs::read(&own).unwrap(), before, "its own may change");

    let module = hoist.project().join("x.py");
    std::fs::remove_file(&module).unwrap();
    std::os::unix::fs::symlink("elsewhere.py", &module).unwrap();
    let _ = hoist.run(bindgen).ended(1);
    assert!(!hoist.project().join("elsewhere.py").exists());
}

#[test]
fn the_same_project_gives_the_same_store_path_and_another_name_another() {
    let hoist = shipped();
    let first = hoist.stdout(["build", "--quiet"]);
    assert_eq!(hoist.stdout(["build", "--quiet", "--cold"]), first);
    hoist.write("hoist.toml", MANIFEST.replace("python = \"shapes\"", "python = \"forms\""));
    assert_ne!(hoist.stdout(["build", "--quiet"]), first);
    hoist.write("hoist.toml", MANIFEST.replace("python = \"shapes\"\n", ""));
    let without = hoist.stdout(["build", "--quiet"]);
    assert_ne!(without, first);
}

#[test]
fn type_checkers_read_the_stub() {
    let Some(mypy) = tool("mypy", "mypy") else { return };
    let hoist = shipped();
    hoist.stdout(["bindgen", "python"]);
    hoist.write(
        "good.py",
        "\
import ctypes
from array import array
import shapes
lib = shapes.load(\"lib\")
p: shapes.point = lib.mirror(shapes.point(1.0, y=2.0))
x: float = p.x
lib.scale(p, 2.0)
lib.scale(ctypes.byref(p), 2.0)
lib.scale(ctypes.pointer(p), 2.0)
n: int = lib.apply(ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32)(abs), 1)
t: bytes | None = lib.greeting()
e: bool = lib.is_even(4)
counter = lib.counter_new()
lib.counter_next(counter)
lib.total(array(\"d\"), 0)
lib.fill(bytearray(8), 1, 2)
item = shapes.item(id=1, tag=b\"x\")
after: int = item.next.contents.id
address: int | None = lib.same(None)
",
    );
    let check = |file: &str| {
        let mut command = mypy.command();
        command.args(["--strict", "--no-incremental", "--cache-dir=/dev/null", file]);
        Run::of(command.current_dir(hoist.project()))
    };
    let run = check("good.py");
    if run.code == 2 {
        not_checked(&format!("mypy: {}", run.stderr));
        return;
    }
    assert_eq!(run.code, 0, "{}", run.stdout);
    for wrong in [
        "lib.is_even('4')",
        "lib.mirror(3)",
        "lib.total('x', 1)",
        "lib.counter_next(lib.same(None))",
        "lib.gone()",
        "shapes.point(z=1.0)",
        "x: str = lib.small(1)",
    ] {
        hoist.write("wrong.py", format!("import shapes\nlib = shapes.load()\n{wrong}\n"));
        assert_eq!(check("wrong.py").code, 1, "{wrong} was taken");
    }
}
