//! What runs without a test of the processor.

use hoist_schema::manifest::IsaLevel;

use crate::{c_compilers, cpp_compilers, expect, expect_with, gcc, judge, rustc, with_kernels};

#[test]
fn an_export_that_uses_it_is_an_error_and_its_neighbour_is_not() {
    let source = r#"
        #include <stdint.h>
        int add(int a, int b) { return a + b; }
        __attribute__((target("avx512f"))) void scale(float *x, int64_t n, float k) {
            for (int64_t i = 0; i + 16 <= n; i += 16) for (int j = 0; j < 16; j++) x[i + j] *= k;
        }"#;
    expect(&c_compilers(), source, &["add", "scale"], &["error: scale"]);
    expect(&c_compilers(), source, &["add"], &[]);
    expect(&c_compilers(), source, &[], &["error: scale"]);
}

#[test]
fn helpers_are_followed_through_calls_and_jumps() {
    let source = with_kernels(
        "__attribute__((noinline)) static void mid(float *x, int64_t n, float k) { k_avx2(x, n, k); }
         void tail(float *x, int64_t n, float k) { mid(x, n, k); }
         float call(float *x, int64_t n, float k) { mid(x, n, k); return x[0] + 1; }
         void base(float *x, int64_t n, float k) { k_base(x, n, k); }",
    );
    expect(&c_compilers(), &source, &["tail", "call", "base"], &["error: call", "error: tail"]);
}

#[test]
fn calls_of_own_exports_go_through_the_tables() {
    let source = with_kernels(
        "void inner(float *x, int64_t n, float k) { k_avx2(x, n, k); }
         void outer(float *x, int64_t n, float k) { inner(x, n, k); }",
    );
    expect(&c_compilers(), &source, &["outer"], &["error: outer"]);
    expect_with(&c_compilers(), &source, &["-fno-plt"], &["outer"], &["error: outer"]);
}

#[test]
fn a_function_given_to_a_call_is_followed() {
    let source = r#"
        #include <stdlib.h>
        __attribute__((target("avx2"), noinline)) static int compare(const void *a, const void *b) {
            double sum = 0;
            for (int i = 0; i < 32; i++) sum += ((double *)a)[i] - ((double *)b)[i];
            return sum > 0;
        }
        void sort(float *x, long n) { qsort(x, n, 256, compare); }"#;
    expect(&c_compilers(), source, &["sort"], &["error: sort"]);
    let parallel = r#"
        __attribute__((target("avx2"))) void scale(float *x, long n, float k) {
        #pragma omp parallel for
            for (long i = 0; i < n; i++) x[i] = x[i] * k + k;
        }"#;
    expect_with(&gcc(), parallel, &["-fopenmp"], &["scale"], &["error: scale"]);
}

#[test]
fn pointers_in_tables_are_not_followed() {
    let source = with_kernels(
        "typedef void (*kernel)(float *, int64_t, float);
         kernel table[2] = { k_base, k_avx2 };
         void scale(float *x, int64_t n, float k) { table[n & 1](x, n, k); }",
    );
    expect(&c_compilers(), &source, &["scale"], &[]);
}

#[test]
fn what_runs_while_loading_and_unloading_is_looked_at() {
    let source = with_kernels(
        "float table[64];
         __attribute__((constructor)) void at_start(void) { k_avx2(table, 64, 2); }
         int add(int a, int b) { return a + b; }",
    );
    expect(&c_compilers(), &source, &["add"], &["error: at_start"]);
    let source = source.replace("constructor", "destructor").replace("at_start", "at_end");
    expect(&c_compilers(), &source, &["add"], &["error: at_end"]);
    let global = "
        #include <cstddef>
        struct Table { float values[64]; __attribute__((target(\"avx2\"))) Table(float k) {
            for (size_t i = 0; i < 64; i++) values[i] = values[i] * k + k; } };
        volatile float seed = 2;
        Table table(seed);
        extern \"C\" int add(int a, int b) { return a + b; }";
    for compiler in cpp_compilers() {
        for (run, library) in compiler.libraries(global, &[]) {
            let found = judge(&library, IsaLevel::V2, &["add"]);
            assert!(matches!(&found[..], [one] if one.starts_with("error: ")), "{run}: {found:?}");
        }
    }
}

#[test]
fn what_runs_before_the_test_is_an_error() {
    let source = with_kernels(
        r#"__attribute__((target("avx2,fma"), noinline)) static void early(float *x) {
               for (int i = 0; i < 32; i++) x[i] = x[i] * 3 + 1;
           }
           void scale(float *x, int64_t n, float k) {
               early(x);
               if (__builtin_cpu_supports("avx2")) k_avx2(x, n, k); else k_base(x, n, k);
           }"#,
    );
    expect(&c_compilers(), &source, &["scale"], &["error: scale", "info: scale"]);
}

#[test]
fn a_test_elsewhere_in_the_library_guards_nothing_here() {
    let source = with_kernels(
        r#"void scale(float *x, int64_t n, float k) {
               if (__builtin_cpu_supports("avx2")) k_avx2(x, n, k); else k_base(x, n, k);
           }
           void hasty(float *x, int64_t n, float k) { k_avx2(x, n, k); }
           extern void note(int);
           __attribute__((noinline)) static void report(void) { note(__builtin_cpu_supports("avx2")); }
           void talkative(float *x, int64_t n, float k) { report(); k_avx2(x, n, k); }"#,
    );
    let wanted = ["error: hasty", "error: talkative", "info: scale"];
    expect(&c_compilers(), &source, &["scale", "hasty", "talkative"], &wanted);
}

#[test]
fn extensions_of_no_level_are_errors_at_every_level() {
    let source = "
        #include <wmmintrin.h>
        void encrypt(__m128i *x, __m128i k) { *x = _mm_aesenc_si128(*x, k); }
        int add(int a, int b) { return a + b; }";
    for compiler in c_compilers() {
        for (run, library) in compiler.libraries(source, &["-maes"]) {
            for level in [IsaLevel::V1, IsaLevel::V2, IsaLevel::V3, IsaLevel::V4] {
                let found = judge(&library, level, &["encrypt", "add"]);
                assert_eq!(found, ["error: encrypt"], "{run}, {level:?}");
            }
        }
    }
}

#[test]
fn a_level_has_what_those_below_it_have() {
    let source = with_kernels("void scale(float *x, int64_t n, float k) { k_avx2(x, n, k); }");
    for compiler in c_compilers() {
        for (run, library) in compiler.libraries(&source, &[]) {
            for (level, is_right) in [
                (IsaLevel::V1, false),
                (IsaLevel::V2, false),
                (IsaLevel::V3, true),
                (IsaLevel::V4, true),
            ] {
                let found = judge(&library, level, &["scale"]);
                assert_eq!(found.is_empty(), is_right, "{run}, {level:?}: {found:?}");
            }
        }
    }
}

#[test]
fn a_note_that_makes_the_loader_refuse_is_an_error() {
    let source = "int add(int a, int b) { return a + b; }";
    let flags = ["-Wl,-z,x86-64-v3"];
    expect_with(&gcc(), source, &flags, &["add"], &["error: "]);
    for (run, library) in gcc().iter().flat_map(|gcc| gcc.libraries(source, &flags)) {
        assert_eq!(judge(&library, IsaLevel::V3, &["add"]), Vec::<String>::new(), "{run}");
    }
}

#[test]
fn a_rust_library_for_the_machine_it_was_built_on_is_an_error() {
    let source = "
        #[unsafe(no_mangle)]
        #[target_feature(enable = \"avx2,fma\")]
        pub extern \"C\" fn scale(x: &mut [f32; 64], k: f32) { for v in x { *v = *v * k + k; } }
        #[unsafe(no_mangle)]
        pub extern \"C\" fn add(a: i32, b: i32) -> i32 { a.wrapping_add(b) }";
    expect(&rustc(), source, &["scale", "add"], &["error: scale"]);
}
