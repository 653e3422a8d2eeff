//! Pairs of sources, each with one change, and what hoist says about it.

/// Two builds of one library that differ in one thing.
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    /// Both sources begin with it.
    pub(crate) common: &'static str,
    pub(crate) old: &'static str,
    pub(crate) new: &'static str,
    pub(crate) is_cpp: bool,
    /// What hoist finds, each as `severity rule symbol`, sorted; what is only worth knowing is not
    /// among it.
    pub(crate) found: &'static [&'static str],
    /// Why abidiff sees a change where hoist sees none, or the reverse.
    pub(crate) differs: Option<&'static str>,
}

const C: Pair = Pair {
    name: "",
    common: "#include <stdint.h>\n",
    old: "",
    new: "",
    is_cpp: false,
    found: &[],
    differs: None,
};
const CPP: Pair = Pair { is_cpp: true, ..C };

pub(crate) const PAIRS: &[Pair] = &[
    Pair {
        name: "nothing changed but a body",
        old: "int32_t f(int32_t a) { return a; }",
        new: "int32_t f(int32_t b) { return b + 1; }",
        ..C
    },
    Pair {
        name: "an export was added",
        old: "int32_t f(int32_t a) { return a; }",
        new: "int32_t f(int32_t a) { return a; } int32_t g(void) { return 2; }",
        ..C
    },
    Pair {
        name: "an export was removed",
        old: "int32_t f(int32_t a) { return a; } int32_t g(void) { return 2; }",
        new: "int32_t f(int32_t a) { return a; }",
        found: &["error abi.removed g"],
        ..C
    },
    Pair {
        name: "an export was renamed",
        old: "int32_t scan(int32_t a) { return a; }",
        new: "int32_t scan_v2(int32_t a) { return a; }",
        found: &["error abi.removed scan"],
        ..C
    },
    Pair {
        name: "a parameter is wider",
        old: "int32_t f(const float *p, int32_t n) { return p[n] > 0; }",
        new: "int32_t f(const float *p, int64_t n) { return p[n] > 0; }",
        found: &["error abi.signature_changed f"],
        ..C
    },
    Pair {
        name: "a parameter is unsigned",
        old: "int32_t f(int32_t n) { return n > 0; }",
        new: "int32_t f(uint32_t n) { return n > 0; }",
        found: &["error abi.signature_changed f"],
        ..C
    },
    Pair {
        name: "a parameter more",
        old: "int32_t f(int32_t a) { return a; }",
        new: "int32_t f(int32_t a, int32_t b) { return a + b; }",
        found: &["error abi.signature_changed f"],
        ..C
    },
    Pair {
        name: "parameters in another order",
        old: "double f(double a, int32_t b) { return a + b; }",
        new: "double f(int32_t b, double a) { return a + b; }",
        found: &["error abi.signature_changed f"],
        ..C
    },
    Pair {
        name: "another result",
        old: "float f(float a) { return a; }",
        new: "double f(float a) { return a; }",
        found: &["error abi.signature_changed f"],
        ..C
    },
    Pair {
        name: "a result where there was none",
        old: "void f(int32_t *a) { *a = 1; }",
        new: "int32_t f(int32_t *a) { return *a = 1; }",
        found: &["warning abi.signature_changed f"],
        ..C
    },
    Pair {
        name: "no result where there was one",
        old: "int32_t f(int32_t *a) { return *a = 1; }",
        new: "void f(int32_t *a) { *a = 1; }",
        found: &["error abi.signature_changed f"],
        ..C
    },
    Pair {
        name: "another type behind a pointer",
        old: "double f(const float *a) { return *a; }",
        new: "double f(const double *a) { return *a; }",
        found: &["error abi.signature_changed f"],
        ..C
    },
    Pair {
        name: "a pointer to anything in place of one to numbers",
        old: "int f(const float *a) { return a != 0; }",
        new: "int f(const void *a) { return a != 0; }",
        differs: Some("callers hand over the same address; hoist takes `void *` for any pointer"),
        ..C
    },
    Pair {
        name: "a const more behind a pointer",
        old: "int f(float *a) { return *a > 0; }",
        new: "int f(const float *a) { return *a > 0; }",
        ..C
    },
    Pair {
        name: "a const less behind a pointer",
        old: "int f(const float *a) { return *a > 0; }",
        new: "int f(float *a) { return (*a = 1) > 0; }",
        found: &["warning abi.signature_changed f"],
        differs: Some(
            "abidiff passes over qualifiers; the memory may be one that cannot be written",
        ),
        ..C
    },
    Pair {
        name: "a typedef for the same type",
        old: "int64_t f(int64_t a) { return a; }",
        new: "typedef long count_t; count_t f(count_t a) { return a; }",
        ..C
    },
    Pair {
        name: "a variadic function",
        old: "int f(const char *a) { return *a; }",
        new: "int f(const char *a, ...) { return *a; }",
        found: &["error abi.signature_changed f"],
        ..C
    },
    Pair {
        name: "a callback with another parameter",
        old: "int f(int (*call)(int32_t)) { return call(1); }",
        new: "int f(int (*call)(int64_t)) { return call(1); }",
        found: &["error abi.signature_changed f"],
        ..C
    },
    Pair {
        name: "a struct grew in the middle",
        old: "struct s { int32_t a; int32_t b; }; int f(const struct s *s) { return s->b; }",
        new: "struct s { int32_t a; double x; int32_t b; }; int f(const struct s *s) { return s->b; }",
        found: &["error abi.layout_changed f"],
        ..C
    },
    Pair {
        name: "a struct grew at its end",
        old: "struct s { int32_t a; int32_t b; }; int f(const struct s *s) { return s->b; }",
        new: "struct s { int32_t a; int32_t b; int32_t c; }; int f(const struct s *s) { return s->b; }",
        found: &["error abi.layout_changed f"],
        ..C
    },
    Pair {
        name: "a struct by value grew",
        old: "struct s { float x, y; }; float f(struct s s) { return s.x; }",
        new: "struct s { float x, y, z; }; float f(struct s s) { return s.x; }",
        found: &["error abi.layout_changed f"],
        ..C
    },
    Pair {
        name: "a field of another type",
        old: "struct s { int32_t a; int32_t b; }; int f(const struct s *s) { return s->b; }",
        new: "struct s { int32_t a; float b; }; int f(const struct s *s) { return s->b > 0; }",
        found: &["error abi.layout_changed f"],
        ..C
    },
    Pair {
        name: "two fields changed places",
        old: "struct s { int32_t a; int32_t b; }; int f(const struct s *s) { return s->b; }",
        new: "struct s { int32_t b; int32_t a; }; int f(const struct s *s) { return s->b; }",
        found: &["error abi.layout_changed f"],
        ..C
    },
    Pair {
        name: "a field got another name",
        old: "struct s { int32_t a; int32_t b; }; int f(const struct s *s) { return s->b; }",
        new: "struct s { int32_t a; int32_t count; }; int f(const struct s *s) { return s->count; }",
        ..C
    },
    Pair {
        name: "a struct inside a struct behind two pointers grew",
        old: "struct in { int32_t a; }; struct s { struct in in[2]; }; int f(struct s **s) { return (*s)->in[1].a; }",
        new: "struct in { int64_t a; }; struct s { struct in in[2]; }; int f(struct s **s) { return (*s)->in[1].a; }",
        found: &["error abi.layout_changed f", "error abi.layout_changed f"],
        ..C
    },
    Pair {
        name: "bits of a field moved",
        old: "struct s { unsigned a : 3, b : 5; }; int f(const struct s *s) { return s->b; }",
        new: "struct s { unsigned a : 4, b : 5; }; int f(const struct s *s) { return s->b; }",
        found: &["error abi.layout_changed f"],
        ..C
    },
    Pair {
        name: "a union got a larger member",
        old: "union u { int32_t a; float b; }; int f(const union u *u) { return u->a; }",
        new: "union u { int32_t a; float b; double c; }; int f(const union u *u) { return u->a; }",
        found: &["error abi.layout_changed f"],
        ..C
    },
    Pair {
        name: "a reserved field was used",
        old: "struct s { int32_t a; int32_t reserved; }; int f(const struct s *s) { return s->a; }",
        new: "struct s { int32_t a; int32_t flags; }; int f(const struct s *s) { return s->a; }",
        ..C
    },
    Pair {
        name: "a struct that is only declared",
        old: "struct s; int f(const struct s *s) { return s != 0; }",
        new: "struct s { int32_t a; }; int f(const struct s *s) { return s->a; }",
        ..C
    },
    Pair {
        name: "an enumerator has another value",
        old: "enum e { A, B, C }; int f(enum e e) { return e; }",
        new: "enum e { A, C, B }; int f(enum e e) { return e; }",
        found: &["error abi.enum_changed f"],
        ..C
    },
    Pair {
        name: "an enumerator is gone",
        old: "enum e { A, B, C }; int f(enum e e) { return e; }",
        new: "enum e { A, C = 2 }; int f(enum e e) { return e; }",
        found: &["error abi.enum_changed f"],
        ..C
    },
    Pair {
        name: "an enumerator was added at the end",
        old: "enum e { A, B }; int f(enum e e) { return e; }",
        new: "enum e { A, B, C }; int f(enum e e) { return e; }",
        ..C
    },
    Pair {
        name: "an integer in place of an enum",
        old: "enum e { A, B }; int f(enum e e) { return e; }",
        new: "int f(unsigned e) { return e; }",
        ..C
    },
    Pair {
        name: "a variable grew",
        old: "int32_t table[4] = {1};",
        new: "int32_t table[8] = {1};",
        found: &["error abi.size_changed table"],
        ..C
    },
    Pair {
        name: "a variable of another type and the same size",
        old: "int32_t limit = 4;",
        new: "float limit = 4;",
        found: &["error abi.signature_changed limit"],
        ..C
    },
    Pair {
        name: "a variable became a function",
        old: "int32_t limit = 4; int g(void) { return 1; }",
        new: "int32_t limit(void) { return 4; } int g(void) { return 1; }",
        found: &["error abi.kind_changed limit"],
        ..C
    },
    Pair {
        name: "a member function with another parameter",
        old: "struct S { int32_t a; int f(int32_t); }; int S::f(int32_t n) { return a + n; }",
        new: "struct S { int32_t a; int f(int64_t); }; int S::f(int64_t n) { return a + n; }",
        found: &["error abi.removed _ZN1S1fEi"],
        ..CPP
    },
    Pair {
        name: "a class grew",
        old: "class S { int32_t a = 1; public: int f(); }; int S::f() { return a; }",
        new: "class S { int32_t a = 1; int64_t b = 2; public: int f(); }; int S::f() { return a + b; }",
        found: &["error abi.layout_changed _ZN1S1fEv"],
        ..CPP
    },
    Pair {
        name: "a virtual function before another",
        old: "struct S { virtual int f(); virtual int g(); }; int S::f() { return 1; } int S::g() { return 2; }",
        new: "struct S { virtual int h(); virtual int f(); virtual int g(); }; int S::h() { return 0; } int S::f() { return 1; } int S::g() { return 2; }",
        found: &[
            "error abi.layout_changed _ZN1S1fEv",
            "error abi.layout_changed _ZN1S1gEv",
            "warning abi.size_changed _ZTV1S",
        ],
        ..CPP
    },
    Pair {
        name: "a reference in place of a pointer, behind a C name",
        old: "extern \"C\" int f(int32_t *a) { return *a; }",
        new: "extern \"C\" int f(int32_t &a) { return a; }",
        differs: Some("both hand over an address"),
        ..CPP
    },
    Pair {
        name: "a text of the C++ library",
        common: "#include <string>\n",
        old: "int f(const std::string &s) { return s.size(); }",
        new: "int f(const std::string &s) { return s.size() + 1; }",
        ..CPP
    },
    Pair {
        name: "a base class grew",
        old: "struct B { int32_t a; }; struct S : B { int32_t b; }; int f(S *s) { return s->b; }",
        new: "struct B { int64_t a; }; struct S : B { int32_t b; }; int f(S *s) { return s->b; }",
        found: &["error abi.layout_changed _Z1fP1S", "error abi.layout_changed _Z1fP1S"],
        ..CPP
    },
];
