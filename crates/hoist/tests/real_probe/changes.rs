//! Libraries that change the process which loads them, and leave it alive.

use crate::Case;

fn constructor(includes: &str, body: &str) -> String {
    let includes: Vec<String> =
        includes.split(' ').map(|name| format!("#include <{name}.h>\n")).collect();
    format!(
        "#define _GNU_SOURCE\n{}__attribute__((constructor)) static void begin(void) {{ {body} }}\n",
        includes.concat()
    )
}

#[track_caller]
fn changes(includes: &str, body: &str, parts: &[&str]) {
    let Some(case) = Case::c(&constructor(includes, body), &["-lpthread"]) else { return };
    let Some(probed) = case.probe() else { return };
    probed.is("load.side_effect", parts);
}

#[test]
fn output_is_quoted() {
    changes("stdio", "puts(\"welcome to libx\");", &["prints 16 bytes", "`welcome to libx`"]);
    changes("unistd", "write(2, \"\\033[1mx\\n\", 6);", &["prints 6 bytes", "`[1mx`"]);
}

#[test]
fn threads_are_counted_and_named() {
    let body = "pthread_t t; pthread_create(&t, 0, work, 0); usleep(50000);";
    let source = format!(
        "#include <sys/prctl.h>\n#include <unistd.h>\n\
         static void *work(void *p) {{ prctl(PR_SET_NAME, \"pool one\"); pause(); return p; }}\n{}",
        constructor("pthread", body)
    );
    let Some(case) = Case::c(&source, &["-lpthread"]) else { return };
    let Some(probed) = case.probe() else { return };
    probed.is("load.side_effect", &["starts 1 thread", "`pool one`"]);
}

#[test]
fn processes_are_counted_and_their_programs_named() {
    changes("stdlib", "system(\"exec /bin/true\");", &["starts 1 process", "running `/usr/bin/"]);
    changes("unistd", "if (fork() == 0) _exit(0);", &["starts 1 process when it is loaded"]);
}

#[test]
fn a_daemon_that_holds_everything_open_delays_nothing() {
    let body =
        "if (fork() == 0) { setsid(); if (fork() == 0) for (;;) pause(); _exit(0); } wait(0);";
    let start = std::time::Instant::now();
    changes("unistd sys/wait", body, &["starts 2 processes"]);
    assert!(start.elapsed() < std::time::Duration::from_secs(8), "{:?}", start.elapsed());
}

#[test]
fn signals_are_named() {
    let body = "signal(SIGINT, (void (*)(int))begin); signal(SIGTERM, (void (*)(int))begin);";
    changes("signal", body, &["installs a handler in libx.so", "`SIGINT` and `SIGTERM`"]);
    changes("signal", "signal(SIGPIPE, SIG_IGN);", &["ignores `SIGPIPE`"]);
    let body =
        "sigset_t s; sigemptyset(&s); sigaddset(&s, SIGUSR1); sigprocmask(SIG_BLOCK, &s, 0);";
    changes("signal", body, &["blocks `SIGUSR1`"]);
    changes("unistd", "alarm(1000);", &["timer"]);
}

#[test]
fn settings_of_the_process_are_named() {
    changes("stdlib", "setenv(\"OMP_NUM_THREADS\", \"1\", 1);", &["sets `OMP_NUM_THREADS`"]);
    changes("unistd", "chdir(\"/tmp\");", &["working directory to `/tmp`"]);
    changes("unistd", "chdir(\"/\");", &["working directory to `/`"]);
    changes("sys/stat", "umask(0);", &["umask to 000"]);
    changes("locale", "setlocale(LC_ALL, \"C.UTF-8\");", &["locale", "`C.UTF-8`"]);
    changes("unistd", "nice(5);", &["priority", "5"]);
    let body = "struct rlimit l = {64, 64}; setrlimit(RLIMIT_NOFILE, &l);";
    changes("sys/resource", body, &["`RLIMIT_NOFILE`"]);
    changes("sys/personality", "personality(ADDR_NO_RANDOMIZE);", &["personality"]);
}

#[test]
fn a_variable_that_is_changed_or_gone_is_named() {
    changes("stdlib", "setenv(\"HOME\", \"/x\", 1);", &["it sets `HOME` in the environment"]);
    changes("stdlib", "unsetenv(\"HOME\");", &["it removes `HOME` from the environment"]);
    changes("stdlib", "clearenv();", &["it removes", "`HOIST_PROBE`", "`HOME`", "`PATH`"]);
    changes("stdlib", "putenv(\"X=1\"); clearenv();", &["it removes"]);
}

#[test]
fn a_library_finds_what_every_process_has() {
    let body = "if (strlen(getenv(\"HOME\")) == 0 || strlen(getenv(\"PATH\")) == 0) abort();";
    let Some(case) = Case::c(&constructor("stdlib string", body), &[]) else { return };
    case.is_clean();
}

#[test]
fn files_that_stay_open_or_are_closed_are_named() {
    changes(
        "fcntl",
        "open(\"/dev/zero\", O_RDONLY);",
        &["opens 1 file and leaves it open", "`/dev/zero`"],
    );
    changes("unistd", "close(0);", &["closes files of the program: `0`"]);
    changes(
        "stdio",
        "FILE *f = fopen(\"/tmp/libx.lock\", \"w\"); fputs(\"1\", f); fclose(f);",
        &["writes `/tmp/libx.lock`"],
    );
    let body = "fclose(fopen(\"here.log\", \"w\"));";
    changes("stdio", body, &["writes `/tmp/work/here.log`"]);
}

#[test]
fn a_full_tmp_ends_by_itself() {
    let body = "FILE *f = fopen(\"/tmp/big\", \"w\"); static char b[1 << 20]; while (fwrite(b, 1, sizeof b, f) == sizeof b); fclose(f);";
    let Some(case) = Case::c(
        &constructor(
            "stdio signal",
            &format!("signal(SIGXFSZ, SIG_IGN); {body} signal(SIGXFSZ, SIG_DFL);"),
        ),
        &[],
    ) else {
        return;
    };
    let Some(probed) = case.probe() else { return };
    probed.is("load.side_effect", &["writes `/tmp/big`"]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn floating_point_state_is_compared() {
    let set = |bits: u32| {
        format!(
            "unsigned m; __asm__ volatile(\"stmxcsr %0\" : \"=m\"(m)); m |= {bits:#x}; __asm__ volatile(\"ldmxcsr %0\" :: \"m\"(m));"
        )
    };
    let fpenv = |includes: &str, body: &str, parts: &[&str]| {
        let Some(case) = Case::c(&constructor(includes, body), &["-lm"]) else { return };
        let Some(probed) = case.probe() else { return };
        probed.is("load.fpenv", parts);
    };
    fpenv("stdlib", &set(0x8000), &["results too small become zero (FTZ) (MXCSR is 0x9f80"]);
    fpenv("stdlib", &set(0x40), &["denormal operands become zero (DAZ) ("]);
    fpenv("stdlib", &set(0x2000), &["rounding ("]);
    let body = "unsigned short c = 0x27f; __asm__ volatile(\"fldcw %0\" :: \"m\"(c));";
    fpenv("stdlib", body, &["precision of `long double`", "0x27f, was 0x37f"]);
    let both = ["MXCSR is 0x1d80, was 0x1f80", "the x87 control word is 0x37b, was 0x37f"];
    fpenv("fenv", "feenableexcept(FE_DIVBYZERO);", &both);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn flags_that_only_tell_of_a_computation_are_no_change() {
    let body = "volatile double z = 0, x; x = 1 / z; x = 1e-308 / 3; (void)x;";
    let Some(case) = Case::c(&constructor("math", body), &[]) else { return };
    case.is_clean();
}

#[test]
fn fast_math_at_the_link_is_found_where_the_compiler_does_that() {
    let Some(case) = Case::c("", &["-ffast-math"]) else { return };
    let version = std::process::Command::new("gcc").arg("-dumpversion").output().unwrap();
    let version: u32 =
        String::from_utf8_lossy(&version.stdout).trim().split('.').next().unwrap().parse().unwrap();
    let Some(probed) = case.probe() else { return };
    if version < 13 {
        let finding = probed.is("load.fpenv", &["(FTZ)", "(DAZ)"]);
        assert!(finding["fix"].as_str().unwrap().contains("crtfastmath.o"));
    } else {
        probed.is_clean();
    }
}

#[test]
fn several_changes_are_several_findings() {
    let body = "chdir(\"/\"); puts(\"x\"); setenv(\"A\", \"1\", 1); setenv(\"B\", \"2\", 1); chdir(\"/tmp\");";
    let Some(case) = Case::c(&constructor("unistd stdio stdlib", body), &[]) else { return };
    let Some(probed) = case.probe() else { return };
    assert_eq!(probed.findings.len(), 3, "{:#?}", probed.findings);
    assert!(probed.findings.iter().all(|finding| finding["severity"] == "warning"));
    assert_eq!(probed.code, 0);
}
