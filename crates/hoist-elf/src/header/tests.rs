use hoist_schema::abi::{AbiSignature, AbiType};

use super::*;

const INT32: AbiType = AbiType::Int { bits: 32, signed: true };
const FLOAT: AbiType = AbiType::Float { bits: 32 };

fn pointer(is_const: bool, to: AbiType) -> AbiType {
    AbiType::Pointer { is_const, to: Box::new(to) }
}

fn signature(text: &str) -> AbiSignature {
    let header = parse_header(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
    header.functions.into_iter().next_back().unwrap().signature.unwrap()
}

fn parameters(text: &str) -> Vec<AbiType> {
    signature(text).parameters.into_iter().map(|parameter| parameter.kind).collect()
}

fn refusal(text: &str) -> String {
    parse_header(text).unwrap_err().to_string()
}

#[test]
fn reads_a_header_as_people_write_them() {
    let header = parse_header(
        r#"
/* Nearest patterns. */
#ifndef PATTERN_SEARCH_H
#define PATTERN_SEARCH_H
#include <stdint.h>
#if defined(_WIN32)
#  define PS_API __declspec(dllexport)
#else
#  define PS_API __attribute__((visibility("default")))
#endif
#ifdef __cplusplus
extern "C" {
#endif

#define PS_MAX_DIM (1u << 4) // columns

typedef struct ps_hit { int32_t index; double score; float row[PS_MAX_DIM]; } ps_hit;
typedef struct ps_index ps_index;
struct unused { char c; };

/** Doc comment's apostrophe. */
PS_API double pattern_search_ffi(const float *query, const float *patterns, int32_t n,
                                 int32_t dim, int32_t top_k, int32_t *out_idx,
                                 float *out_score);
PS_API ps_index *ps_open(const char *path) PS_WARN_UNUSED;
PS_API int ps_best(const ps_index *index, ps_hit hits[], size_t count);
static inline int ps_abs(int x) { if (x < 0) { return -x; } return x; }
static const int ps_table[2] = { 1, 2 };

#ifdef __cplusplus
}
#endif
#endif
"#,
    )
    .unwrap();
    let names: Vec<_> = header.functions.iter().map(|function| &*function.name).collect();
    assert_eq!(names, ["pattern_search_ffi", "ps_open", "ps_best"]);
    let search = header.functions[0].signature.as_ref().unwrap();
    assert_eq!(search.result, AbiType::Float { bits: 64 });
    let parameters: Vec<_> = search
        .parameters
        .iter()
        .map(|parameter| (&*parameter.name, parameter.kind.clone()))
        .collect();
    assert_eq!(
        parameters,
        [
            ("query", pointer(true, FLOAT)),
            ("patterns", pointer(true, FLOAT)),
            ("n", INT32),
            ("dim", INT32),
            ("top_k", INT32),
            ("out_idx", pointer(false, INT32)),
            ("out_score", pointer(false, FLOAT)),
        ]
    );
    let layouts: Vec<_> = header
        .structs
        .iter()
        .map(|layout| {
            let offsets: Vec<_> = layout.fields.iter().map(|field| field.offset).collect();
            (&*layout.name, layout.size, layout.align, offsets)
        })
        .collect();
    assert_eq!(layouts, [("ps_hit", 80, 8, vec![0, 8, 16]), ("ps_index", 0, 0, vec![])]);
}

#[test]
fn knows_every_spelling_of_the_integers() {
    let kinds = parameters(
        "void f(unsigned, long unsigned int, short, signed char, unsigned long long, size_t,
                intptr_t, uint8_t, bool, _Bool, char);",
    );
    let int = |bits, signed| AbiType::Int { bits, signed };
    assert_eq!(
        kinds,
        [
            int(32, false),
            int(64, false),
            int(16, true),
            int(8, true),
            int(64, false),
            int(64, false),
            int(64, true),
            int(8, false),
            AbiType::Bool,
            AbiType::Bool,
            AbiType::Char,
        ]
    );
}

#[test]
fn arrays_and_functions_become_pointers_in_parameters() {
    let kinds = parameters(
        "typedef int (*compare)(const void *, const void *);
         void f(const float row[static 4], float m[][3], int callback(int), compare c,
                void (*done)(int, ...), float *const *rows);",
    );
    let row = AbiType::Array { length: 3, of: Box::new(FLOAT) };
    assert_eq!(
        kinds,
        [
            pointer(true, FLOAT),
            pointer(false, row),
            pointer(false, AbiType::Function),
            pointer(false, AbiType::Function),
            pointer(false, AbiType::Function),
            pointer(true, pointer(false, FLOAT)),
        ]
    );
}

#[test]
fn a_function_may_return_a_pointer_to_a_function() {
    let signature = signature("void (*handler(int number))(int);");
    assert_eq!(signature.result, pointer(false, AbiType::Function));
    assert_eq!(signature.parameters.len(), 1);
}

#[test]
fn macros_stand_for_what_they_were_defined_as() {
    let kinds = parameters("#define REAL double\n#define N 2\nREAL f(REAL x, const REAL v[N]);");
    assert_eq!(kinds, [AbiType::Float { bits: 64 }, pointer(true, AbiType::Float { bits: 64 })]);
}

#[test]
fn an_enum_is_unsigned_unless_an_enumerator_is_negative() {
    let kinds = parameters(
        "enum tract { INTERNAL, EXTERNAL = 1 << 1, LAST };
         typedef enum { FAILED = -1, FINE } outcome;
         struct counts { int per_tract[LAST]; };
         void f(enum tract t, outcome o, struct counts c);",
    );
    assert_eq!(kinds[0], AbiType::Int { bits: 32, signed: false });
    assert_eq!(kinds[1], INT32);
    assert_eq!(kinds[2], AbiType::Struct { name: "counts".to_owned() });
}

#[test]
fn a_struct_without_a_tag_is_called_by_its_typedef() {
    let header = parse_header("typedef struct { char c; void *p; } box; box f(const box *b);");
    let header = header.unwrap();
    assert_eq!(header.structs[0].name, "box");
    assert_eq!((header.structs[0].size, header.structs[0].fields[1].offset), (16, 8));
}

#[test]
fn structs_that_lead_to_each_other_are_listed_once() {
    let header = parse_header(
        "struct node { struct node *next; struct list *owner; };
         struct list { struct node *first; };
         void f(struct list *l);",
    )
    .unwrap();
    let names: Vec<_> = header.structs.iter().map(|layout| &*layout.name).collect();
    assert_eq!(names, ["node", "list"]);
}

#[test]
fn conditions_choose_as_the_compiler_does() {
    let text = "#if defined(__GNUC__) && __GNUC__ >= 4 && !defined(_MSC_VER)
#if 0
this isn't C
#elif LIMIT > 3
void wrong(void);
#else
void right(void);
#endif
#else
#error only gcc
#endif
#if __has_attribute(cold) || __STDC_VERSION__ < 199901L
void wrong(void);
#endif
";
    let header = parse_header(text).unwrap();
    let names: Vec<_> = header.functions.iter().map(|function| &*function.name).collect();
    assert_eq!(names, ["right"]);
}

#[test]
fn the_same_declaration_twice_is_one_promise() {
    let header = parse_header("int f(int a); int f(int b);").unwrap();
    assert_eq!(header.functions.len(), 1);
    assert_eq!(
        refusal("int f(int a);\nint f(long a);"),
        "2:5: `f` is declared again, and differently"
    );
}

#[test]
fn refuses_what_other_languages_cannot_call() {
    for (text, wanted) in [
        (
            "int log_it(const char *format, ...);",
            "1:32: `log_it` with a variable number of arguments cannot be promised",
        ),
        ("struct s {\n  int a : 3;\n};", "2:7: a bit-field cannot be promised"),
        ("union u { int a; };", "1:1: a union cannot be promised"),
        ("long double f(void);", "1:1: the type `long double` cannot be promised"),
        (
            "struct __attribute__((packed)) s { char c; int i; };",
            "1:23: the attribute `packed`, which changes how data is laid out or called, cannot be promised",
        ),
        ("#pragma pack(push, 1)", "1:1: a layout changed by `#pragma pack` cannot be promised"),
        (
            "extern int counter;",
            "1:12: `counter`, which is a variable or declared through a typedef, cannot be promised",
        ),
        (
            "int f(void) { return 1; }",
            "1:5: a function with its body in the header cannot be promised",
        ),
        ("int f(void) __asm__(\"g\");", "1:13: another name for the linker cannot be promised"),
        ("struct s { int n; char text[]; };", "1:24: a field without a length cannot be promised"),
        ("struct { int a; } f(void);", "1:1: a struct without a name cannot be promised"),
    ] {
        assert_eq!(refusal(text), wanted, "{text}");
    }
}

#[test]
fn says_what_was_found_and_wanted_and_where() {
    for (text, wanted) in [
        ("int f(int a", "1:11: found the end of the header, wanted `,` or `)` behind a parameter"),
        ("int f(void)\nint g(void);", "2:1: found `int`, wanted `;` behind a declaration"),
        ("void f(HANDLE h);", "1:8: `HANDLE` is not a known type"),
        ("HANDLE open_it(void);", "1:1: `HANDLE` is not a known type"),
        ("void f(\n    float4 v);", "2:5: `float4` is not a known type"),
        (
            "struct later; void f(struct later l);",
            "1:20: `struct later` is used by value, but its fields are not known here",
        ),
        ("struct s { int a[1 / 0]; };", "1:20: `1 / 0` has no value in a constant expression"),
        ("struct s { int a[-1]; };", "1:18: an array of length -1 in a constant expression"),
        (
            "struct s { int a[SIZE]; };",
            "1:18: `SIZE` is not a known number in a constant expression",
        ),
        ("#ifdef X\n", "1:1: the `#if` is not closed"),
        ("/* never", "1:1: the comment is not closed"),
        ("extern \"C\" { void f(void);", "1:1: `extern \"C\" {` is not closed"),
        ("#error no such machine", "1:1: `#error` is reached: no such machine"),
        ("int double;", "1:1: found `int double`, wanted the name of one type"),
        ("int *struct;", "1:6: found `struct`, wanted a name"),
        ("int @;", "1:5: found `@`, wanted a name"),
        ("struct s { int a; long a; };", "1:24: `a` is declared again, and differently"),
    ] {
        let found = match parse_header(text) {
            Err(refusal) => refusal.to_string(),
            Ok(header) => format!("{header:?}"),
        };
        assert_eq!(found, wanted, "{text}");
    }
}

#[test]
fn deep_nesting_is_refused_before_the_stack_ends() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(5000), close.repeat(5000));
    for text in [
        format!("void f(int {});", deep("(*", ")(void)")),
        format!("struct s {{ int a[{}]; }};", deep("(", ")")),
        format!("int {}x;", "*".repeat(5000)),
        deep("struct s { ", "} x;"),
        (0..5000).fold("typedef int *t0;".to_owned(), |text, index| {
            text + &format!("typedef t{index} *t{};", index + 1)
        }),
    ] {
        let refusal = refusal(&text);
        assert!(refusal.contains("nested more than 64 deep"), "{refusal}");
    }
}

#[test]
fn macros_that_multiply_are_refused() {
    let text = (1..40).fold("#define M0 int int\n".to_owned(), |text, index| {
        text + &format!("#define M{index} M{0} M{0}\n", index - 1)
    }) + "M39 f(void);";
    assert_eq!(refusal(&text), "the header has more than 1048576 tokens");
}

/// The functions that are left of `text` when it is read for a check, and what was passed over.
fn for_check(text: &str) -> (Vec<String>, Vec<(String, bool, String)>) {
    let header = parse_header_for_check(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
    let names = header.functions.into_iter().map(|function| function.name).collect();
    let skipped = header.skipped.into_iter();
    let skipped =
        skipped.map(|skipped| (skipped.name, skipped.is_function, skipped.why.to_string()));
    (names, skipped.collect())
}

#[test]
fn a_check_passes_over_what_cannot_be_promised_and_names_it() {
    let function = true;
    for (declaration, name, is_function, why) in [
        ("int f(int n, ...);", "f", function, "1:14: `f` with a variable number of arguments"),
        (
            "int f(int, ...) __attribute__((format(printf, 1, 2)));",
            "f",
            function,
            "1:12: `f` with a variable number of arguments",
        ),
        ("__int128 f(void);", "f", function, "1:1: the type `__int128`"),
        ("void f(long double x);", "f", function, "1:8: the type `long double`"),
        ("double _Complex f(int a);", "f", function, "1:1: the type `double _Complex`"),
        ("union u { int a; float b; }; int f(union u v);", "u", false, "1:1: a union"),
        ("struct s { int a : 3; }; int f(struct s v);", "s", false, "1:16: a bit-field"),
        (
            "struct s { char c; int i; } __attribute__((packed)); int f(struct s v);",
            "s",
            false,
            "1:44: the attribute `packed`, which changes how data is laid out or called,",
        ),
        (
            "extern const char *version;",
            "version",
            false,
            "1:20: `version`, which is a variable or declared through a typedef,",
        ),
        ("int f(int) __asm__(\"g\");", "f", false, "1:12: another name for the linker"),
    ] {
        let text = format!("{declaration} extern int g(double x);");
        let (names, skipped) = for_check(&text);
        assert_eq!(names, ["g"], "{text}");
        let first = (name.to_owned(), is_function, format!("{why} cannot be promised"));
        assert_eq!(skipped.first(), Some(&first), "{text}");
        // By value, the function is passed over for the same reason.
        let by_value = declaration.contains(" v)").then(|| ("f".to_owned(), function, first.2));
        assert_eq!(skipped.get(1), by_value.as_ref(), "{text}");
        assert!(parse_header(&text).is_err(), "{text}");
    }
}

#[test]
fn a_check_finds_where_the_next_declaration_begins() {
    for text in [
        "FILE *f(FILE *file); int g(int);",
        "static inline int f(union u { int a; } x) { return x.a; } int g(int);",
        "typedef struct { FILE *file; } log; int g(int);",
        "extern \"C\" { int f(int, ...); } int g(int);",
        "typedef int (*callback)(FILE *); int f(callback call); int g(int);",
        "struct s { struct { FILE *file; } in; struct { int b : 1; } bits; }; int g(int);",
        "int (*f(int a, ...))(long), x; int g(int);",
    ] {
        assert_eq!(for_check(text).0, ["g"], "{text}");
    }
}

#[test]
fn a_check_knows_what_cannot_be_laid_out_by_its_name() {
    let text = "union u { int a; }; typedef union { int b; } v; typedef struct { int c : 1; } w;\
                struct __attribute__((packed)) x { char d; int e; };\
                int f(union u *u, v *v, w *w, struct x *x);";
    let header = parse_header_for_check(text).unwrap();
    assert_eq!(header.functions.len(), 1);
    let structs: Vec<_> = header.structs.iter().map(|known| (&*known.name, known.size)).collect();
    assert_eq!(structs, [("u", 0), ("v", 0), ("w", 0), ("x", 0)]);
    assert!(header.is_partial());
}

#[test]
fn a_check_refuses_what_is_no_c_and_what_leaves_nothing() {
    let refusal = |text| parse_header_for_check(text).unwrap_err().to_string();
    assert_eq!(
        refusal("int f(int a; int g(int);"),
        "1:12: found `;`, wanted `,` or `)` behind a parameter"
    );
    assert_eq!(refusal("this is no header;"), "1:1: `this` is not a known type");
    assert_eq!(parse_header_for_check("int f(int, ...);").unwrap().function_names().count(), 1);
}

#[test]
fn empty_parentheses_are_told_from_no_parameters() {
    let header = parse_header("int f(); int g(void); int h(int);").unwrap();
    assert_eq!(header.unprototyped.into_iter().collect::<Vec<_>>(), ["f"]);
}
