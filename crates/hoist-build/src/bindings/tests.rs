use hoist_elf::header::parse_header;
use hoist_schema::abi::{ABI_EDITION, AbiField, AbiFile, AbiLibrary, AbiStruct, AbiType};

use super::*;

/// The ABI file of a library with this header.
fn abi(header: &str) -> AbiFile {
    let parsed = parse_header(header).unwrap();
    AbiFile {
        edition: ABI_EDITION,
        package: "adder".to_owned(),
        version: "1.0".to_owned(),
        system: "x86_64-linux".to_owned(),
        libraries: vec![AbiLibrary {
            path: "lib/libadder.so".to_owned(),
            hash: String::new(),
            structs: parsed.structs,
            functions: parsed.functions,
        }],
    }
}

fn refusal(abi: &AbiFile) -> String {
    match python_bindings(abi) {
        Ok(bindings) => panic!("it was taken: {}", bindings.module),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_written_is_the_same_each_time() {
    let abi = abi("#include <stdint.h>\nint32_t add(int32_t a, int32_t b);");
    assert_eq!(python_bindings(&abi), python_bindings(&abi));
}

#[test]
fn a_small_library_gives_this_module_and_this_stub() {
    let header = "#include <stdint.h>\ntypedef struct { double x; double y; } adder_point;\n\
                  int32_t adder_add(int32_t a, int32_t b);\n\
                  adder_point adder_mirror(adder_point point);\n\
                  void adder_scale(adder_point *point, double factor);";
    let bindings = python_bindings(&abi(header)).unwrap();
    let (begin, end) = bindings.module.split_once(module::PRELUDE).unwrap();
    insta::assert_snapshot!("module", format!("{begin}# (what every module has)\n{end}"));
    insta::assert_snapshot!("stub", bindings.stub);
}

#[test]
fn each_kind_of_parameter_has_its_converter() {
    let module = python_bindings(&abi(
        "#include <stdint.h>\n#include <stdbool.h>\n#include <stddef.h>\nstruct opaque; \
         typedef struct { double x; float *row; } point;\n\
         point f(point p, const point *q, point *out, struct opaque *o, const float *a, int64_t *b, \
         const char *text, char *room, const void *any, size_t n, bool on, void (*call)(int), \
         char **words);",
    ));
    let module = module.unwrap().module;
    let bound = module.lines().find(|line| line.trim_start().starts_with("[point, ")).unwrap();
    assert_eq!(
        bound.trim(),
        "[point, _hoist_memory(point, False), _hoist_memory(point, True), \
         _hoist_ctypes.POINTER(opaque), _hoist_memory(_hoist_ctypes.c_float, False), \
         _hoist_memory(_hoist_ctypes.c_int64, True), _hoist_memory(_hoist_ctypes.c_char, False), \
         _hoist_memory(_hoist_ctypes.c_char, True), _hoist_memory(None, False), \
         _hoist_ctypes.c_uint64, _hoist_ctypes.c_bool, _hoist_Callback, _hoist_memory(None, True)],"
    );
}

#[test]
fn names_that_python_keeps_get_an_underscore() {
    let abi =
        abi("struct Library { int class; int _fields_; int self; };\nstruct bytes { int def; };\n\
         int lambda(struct Library *from, struct bytes *, int self);\nint load(void);\n\
         int paths(int, int import);\nint lambda_(void);\nint __init__(int __x);");
    let bindings = python_bindings(&abi).unwrap();
    for part in [
        "class Library_(_hoist_ctypes.Structure):",
        "class bytes_(_hoist_ctypes.Structure):",
        "(\"class_\", _hoist_ctypes.c_int32)",
        "(\"_fields_c\", _hoist_ctypes.c_int32)",
        "(\"def_\", _hoist_ctypes.c_int32)",
    ] {
        assert!(bindings.module.contains(part), "{part}: {}", bindings.module);
    }
    for part in [
        "def lambda_c(self, from_: _hoist_Writable, argument_1: _hoist_Writable, self_: int, /) -> int:",
        "def load(self) -> int:",
        "def paths_(self, argument_0: int, import_: int, /) -> int:",
        "def lambda_(self) -> int:",
        "def __init__c(self, argument_x_: int, /) -> int:",
        "def __init__(_hoist_self, /, class_: int = ..., _fields_c: int = ..., self: int = ...) -> None: ...",
    ] {
        assert!(bindings.stub.contains(part), "{part}: {}", bindings.stub);
    }
}

#[test]
fn no_name_becomes_code() {
    let good = abi("typedef struct { double x; } point; int f(point *p);");
    let evil = "x = 1\nimport os #";
    let mut abi = good.clone();
    abi.libraries[0].functions[0].name = evil.to_owned();
    assert_eq!(refusal(&abi), "the function `x = 1\\nimport os #` is no C identifier");
    let mut abi = good.clone();
    abi.libraries[0].structs[0].name = "a):\n".to_owned();
    assert!(refusal(&abi).contains("is no C identifier"));
    let mut abi = good.clone();
    abi.libraries[0].structs[0].fields[0].name = "\"".to_owned();
    assert!(refusal(&abi).contains("the field"));
    let mut abi = good.clone();
    abi.libraries[0].functions[0].signature.as_mut().unwrap().parameters[0].name =
        "\u{e9}".to_owned();
    assert!(refusal(&abi).contains("the parameter"));
    let mut abi = good.clone();
    let evil_type = AbiType::Struct { name: "int\n".to_owned() };
    let signature = abi.libraries[0].functions[0].signature.as_mut().unwrap();
    signature.result = AbiType::Pointer { is_const: false, to: Box::new(evil_type) };
    assert!(refusal(&abi).contains("which the ABI file does not define"));
    let mut abi = good.clone();
    abi.libraries[0].structs[0].fields[0].kind = AbiType::Pointer {
        is_const: false,
        to: Box::new(AbiType::Struct { name: "print(1)".to_owned() }),
    };
    assert!(refusal(&abi).contains("which the ABI file does not define"));
}

#[test]
fn texts_become_literals() {
    let mut abi = abi("int f(void);");
    abi.package = "a\"\"\"\nimport os\\".to_owned();
    abi.libraries[0].path = "lib/\u{2028}\".so".to_owned();
    let module = python_bindings(&abi).unwrap().module;
    assert!(module.contains("PACKAGE = \"a\\\"\\\"\\\"\\U0000000aimport os\\\\\"\n"), "{module}");
    assert!(module.contains("LIBRARIES = (\"lib/\\U00002028\\\".so\",)"), "{module}");
    assert!(module.lines().all(|line| !line.starts_with("import os\"")));
    assert!(module.is_ascii());
}

#[test]
fn a_layout_that_its_fields_do_not_give_is_refused() {
    let good = abi("typedef struct { char c; double x; } point; int f(point p);");
    let mut abi = good.clone();
    abi.libraries[0].structs[0].fields[1].offset = 1;
    assert!(refusal(&abi).contains("`x` is said to lie at 1, and would at 8"));
    let mut abi = good.clone();
    abi.libraries[0].structs[0].size = 24;
    assert!(refusal(&abi).contains("24 bytes"));
    let mut abi = good.clone();
    abi.libraries[0].structs[0].fields[1].kind = AbiType::Int { bits: 24, signed: true };
    assert!(refusal(&abi).contains("`x` has no size"));
}

#[test]
fn a_struct_that_contains_itself_is_refused() {
    let mut abi = abi("typedef struct { double x; } point; int f(point p);");
    abi.libraries[0].structs[0].fields[0].kind = AbiType::Struct { name: "point".to_owned() };
    assert!(refusal(&abi).contains("contains itself"));
}

#[test]
fn hostile_sizes_end_in_a_refusal() {
    let mut abi = abi("typedef struct { double x; } point; int f(point *p);");
    let array = |length, of| AbiType::Array { length, of: Box::new(of) };
    abi.libraries[0].structs[0].fields[0].kind = array(u64::MAX, AbiType::Float { bits: 64 });
    assert!(refusal(&abi).contains("`x` has no size"));
    abi.libraries[0].structs[0].fields[0].kind = array(1 << 40, AbiType::Char);
    assert!(refusal(&abi).contains("more than 1073741824 bytes"));
    let mut deep = AbiType::Char;
    for _ in 0..100 {
        deep = AbiType::Pointer { is_const: false, to: Box::new(deep) };
    }
    abi.libraries[0].structs[0] = AbiStruct {
        name: "point".to_owned(),
        size: 8,
        align: 8,
        fields: vec![AbiField { name: "x".to_owned(), offset: 0, kind: deep }],
    };
    assert!(refusal(&abi).contains("nested too deep"));
}

#[test]
fn two_libraries_share_what_they_define_alike() {
    let mut both = abi("typedef struct { double x; } point; int f(point *p);");
    let mut other = both.libraries[0].clone();
    other.path = "lib/libother.so".to_owned();
    other.functions[0].name = "g".to_owned();
    both.libraries.push(other.clone());
    let module = python_bindings(&both).unwrap().module;
    assert_eq!(module.matches("class point(").count(), 1);
    assert!(module.contains("LIBRARIES = (\"lib/libadder.so\", \"lib/libother.so\",)"));

    both.libraries[1].functions[0].name = "f".to_owned();
    assert_eq!(refusal(&both), "the function `f` is defined twice");
    both.libraries[1] = other;
    both.libraries[1].structs[0].fields[0].name = "y".to_owned();
    assert_eq!(refusal(&both), "the struct `point` is defined twice");
}
