//! What runs behind a test of the processor, in the ways in which libraries write it.

use crate::{c_compilers, cpp_compilers, cpp_with_kernels, expect, gcc, rustc, with_kernels};

/// What every test here expects of `scale`.
const DISPATCHED: &[&str] = &["info: scale"];

#[test]
fn the_compilers_own_test() {
    for source in [
        r#"void scale(float *x, int64_t n, float k) {
               if (__builtin_cpu_supports("avx2")) k_avx2(x, n, k); else k_base(x, n, k);
           }"#,
        r#"void scale(float *x, int64_t n, float k) {
               __builtin_cpu_init();
               if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
                   return k_avx2(x, n, k);
               for (int64_t i = 0; i < n; i++) x[i] = x[i] * k + k;
           }"#,
        r#"void scale(float *x, int64_t n, float k) {
               for (int64_t i = 0; i + 64 < n; i += 64)
                   if (__builtin_cpu_supports("avx2")) k_avx2(x + i, 64, k); else k_base(x + i, 64, k);
           }"#,
    ] {
        expect(&c_compilers(), &with_kernels(source), &["scale"], DISPATCHED);
    }
}

#[test]
fn a_function_that_asks_for_its_caller() {
    for asks in [
        "#include <cpuid.h>
         __attribute__((noinline)) static int has_avx2(void) {
             unsigned a, b, c, d;
             if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
             return b >> 5 & 1;
         }",
        r#"__attribute__((noinline)) static void cpuid(int leaf, unsigned *r) {
               __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
           }
           __attribute__((noinline)) static int has_avx2(void) { unsigned r[4]; cpuid(7, r); return r[1] >> 5 & 1; }"#,
        r#"struct features { int sse, avx2; };
           __attribute__((noinline)) static void cpuid(int leaf, unsigned *r) {
               __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
           }
           __attribute__((noinline)) static void detect(struct features *f) {
               unsigned r[4]; cpuid(7, r); f->avx2 = r[1] >> 5 & 1; f->sse = 1;
           }
           static inline int has_avx2(void) { struct features f; detect(&f); return f.avx2; }"#,
        "#include <sys/auxv.h>
         static int has_avx2(void) { return getauxval(AT_HWCAP2) & 2; }",
    ] {
        let source = "void scale(float *x, int64_t n, float k) {
            if (has_avx2()) k_avx2(x, n, k); else k_base(x, n, k);
        }";
        expect(&c_compilers(), &with_kernels(&format!("{asks}\n{source}")), &["scale"], DISPATCHED);
    }
}

#[test]
fn a_variable_that_holds_the_answer() {
    for source in [
        r#"static int have;
           __attribute__((constructor)) static void init(void) {
               __builtin_cpu_init();
               have = __builtin_cpu_supports("avx2") ? 1 : 0;
           }
           void scale(float *x, int64_t n, float k) { if (have) k_avx2(x, n, k); else k_base(x, n, k); }"#,
        r#"#include <pthread.h>
           static int have;
           static pthread_once_t once = PTHREAD_ONCE_INIT;
           static void init(void) { if (__builtin_cpu_supports("avx2")) have = 1; }
           void scale(float *x, int64_t n, float k) {
               pthread_once(&once, init);
               if (have) k_avx2(x, n, k); else k_base(x, n, k);
           }"#,
        r#"static int have = -1;
           __attribute__((noinline)) static int detect(void) { return __builtin_cpu_supports("avx2") != 0; }
           void scale(float *x, int64_t n, float k) {
               if (have < 0) have = detect();
               if (have) k_avx2(x, n, k); else k_base(x, n, k);
           }"#,
    ] {
        expect(&c_compilers(), &with_kernels(source), &["scale"], DISPATCHED);
    }
}

#[test]
fn a_pointer_that_a_constructor_chose() {
    let source = with_kernels(
        r#"static void (*chosen)(float *, int64_t, float) = k_base;
           __attribute__((constructor)) static void init(void) {
               __builtin_cpu_init();
               if (__builtin_cpu_supports("avx2")) chosen = k_avx2;
           }
           void scale(float *x, int64_t n, float k) { chosen(x, n, k); }"#,
    );
    for compiler in c_compilers() {
        for (run, library) in compiler.libraries(&source, &[]) {
            let found = crate::judge(&library, hoist_schema::manifest::IsaLevel::V2, &["scale"]);
            assert!(!found.iter().any(|found| found.starts_with("error")), "{run}: {found:?}");
        }
    }
}

#[test]
fn cpp_statics_and_classes_that_hold_the_answer() {
    let class = "
        #include <cpuid.h>
        struct Cpu { bool avx2, avx512; Cpu(); };
        Cpu::Cpu() : avx2(false), avx512(false) {
            unsigned a, b, c, d;
            if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) { avx2 = b >> 5 & 1; avx512 = b >> 16 & 1; }
        }";
    for source in [
        r#"__attribute__((noinline)) static bool detect() {
               __builtin_cpu_init();
               return __builtin_cpu_supports("avx2");
           }
           extern "C" void scale(float *x, int64_t n, float k) {
               static const bool have = detect();
               if (have) k_avx2(x, n, k); else k_base(x, n, k);
           }"#
        .to_owned(),
        format!(
            r#"{class}
               const Cpu &cpu() {{ static const Cpu it; return it; }}
               extern "C" void scale(float *x, int64_t n, float k) {{
                   if (cpu().avx2) k_avx2(x, n, k); else k_base(x, n, k);
               }}"#
        ),
        format!(
            r#"{class}
               Cpu cpu;
               extern "C" void scale(float *x, int64_t n, float k) {{
                   if (cpu.avx2) k_avx2(x, n, k); else k_base(x, n, k);
               }}"#
        ),
    ] {
        expect(&cpp_compilers(), &cpp_with_kernels(&source), &["scale"], DISPATCHED);
    }
}

#[test]
fn what_a_resolver_returns() {
    let by_hand = with_kernels(
        r#"static void (*pick(void))(float *, int64_t, float) {
               __builtin_cpu_init();
               return __builtin_cpu_supports("avx2") ? k_avx2 : k_base;
           }
           void scale(float *x, int64_t n, float k) __attribute__((ifunc("pick")));"#,
    );
    expect(&c_compilers(), &by_hand, &["scale"], DISPATCHED);
    let clones = r#"
        #include <stdint.h>
        __attribute__((target_clones("avx2", "avx512f", "default")))
        void scale(float *x, int64_t n, float k) { for (int64_t i = 0; i < n; i++) x[i] = x[i] * k + k; }"#;
    expect(&gcc(), clones, &["scale"], DISPATCHED);
    let inner = format!(
        "{}\nvoid scale(float *x, int64_t n, float k) {{ inner(x, n, k); }}",
        clones.replace("void scale", "static void inner")
    );
    expect(&gcc(), &inner, &["scale"], DISPATCHED);
}

#[test]
fn rusts_own_test() {
    let source = r#"
        #[target_feature(enable = "avx2,fma")]
        #[inline(never)]
        fn fast(x: &mut [f32], k: f32) { for v in x { *v = *v * k + k; } }
        #[inline(never)]
        fn slow(x: &mut [f32], k: f32) { for v in x { *v = *v * k + k; } }
        #[unsafe(no_mangle)]
        pub extern "C" fn scale(x: &mut [f32; 1024], k: f32) {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: the processor was asked.
                unsafe { fast(x, k) }
            } else {
                slow(x, k);
            }
        }
        #[unsafe(no_mangle)]
        pub extern "C" fn add(a: i32, b: i32) -> i32 { a.wrapping_add(b) }"#;
    expect(&rustc(), source, &["scale", "add"], DISPATCHED);
}
