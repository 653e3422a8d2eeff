//! Libraries that end the process, or keep it from ending.

use std::time::{Duration, Instant};

use crate::Case;

/// A library whose constructor is `body`.
fn constructor(includes: &str, body: &str) -> String {
    let includes: Vec<String> =
        includes.split(' ').map(|name| format!("#include <{name}.h>\n")).collect();
    format!(
        "#define _GNU_SOURCE\n{}static int deeper(volatile int *p) {{ return p ? *p : 0; }}\n\
         __attribute__((constructor)) static void boom(void) {{ (void)deeper; {body} }}\n",
        includes.concat()
    )
}

#[track_caller]
fn crashes(includes: &str, body: &str, parts: &[&str]) {
    let Some(case) = Case::c(&constructor(includes, body), &[]) else { return };
    let Some(probed) = case.probe() else { return };
    probed.is("load.crash", parts);
}

#[track_caller]
fn hangs(includes: &str, body: &str, parts: &[&str]) {
    let Some(case) = Case::c(&constructor(includes, body), &["-lpthread"]) else { return };
    let start = Instant::now();
    let Some(probed) = case.probe_with(&["--probe-timeout", "1s"]) else { return };
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    probed.is("load.hang", parts);
}

#[test]
fn an_abort_is_told_with_its_function() {
    let Some(case) = Case::c(&constructor("stdlib", "abort();"), &[]) else { return };
    let Some(probed) = case.probe() else { return };
    let finding = probed.is("load.crash", &["SIGABRT", "while it was loaded", "from `boom`"]);
    assert_eq!(finding["symbol"], "boom");
}

#[test]
fn a_null_pointer_is_told_with_its_function_and_address() {
    crashes("stdlib", "deeper((int *)16);", &["SIGSEGV", "in `deeper` of", "null pointer", "0x10"]);
}

#[test]
fn a_wild_pointer_a_call_of_nothing_and_code_that_is_data_are_told_apart() {
    crashes(
        "stdlib",
        "*(volatile long *)0x123456789000 = 1;",
        &["0x123456789000, where nothing is"],
    );
    crashes("stdlib", "((void (*)(void))0)();", &["at address 0x0", "called from `boom`"]);
    crashes("stdlib", "*(volatile char *)boom = 1;", &["SIGSEGV", "which it may not use that way"]);
}

#[test]
fn other_signals_are_named_with_what_they_mean() {
    crashes("stdlib", "__builtin_trap();", &["SIGILL", "one that this processor does not have"]);
    crashes(
        "stdlib",
        "volatile int z = 0; z = 7 / z;",
        &["SIGFPE", "in `boom`", "divided by zero"],
    );
    crashes("signal", "raise(SIGTERM);", &["SIGTERM", "sent by itself"]);
    crashes("signal unistd", "kill(0, SIGKILL);", &["SIGKILL"]);
    crashes(
        "stdlib",
        "for (volatile char *p = alloca(1);; p -= 4096) *p = 1;",
        &["SIGSEGV", "`boom`"],
    );
}

#[test]
fn a_message_before_the_end_is_quoted() {
    crashes("assert", "assert(!\"the table is empty\");", &["SIGABRT", "the table is empty"]);
    crashes(
        "stdio stdlib",
        "fprintf(stderr, \"no licence\\n\"); exit(1);",
        &["exit code 1", "`no licence`"],
    );
}

#[test]
fn an_exit_is_no_success_whatever_its_code() {
    crashes("unistd", "_exit(0);", &["exit code 0 while it was loaded"]);
    crashes("stdlib", "exit(0);", &["exit code 0"]);
    crashes("stdlib", "exit(3);", &["exit code 3"]);
    crashes("unistd sys/syscall", "syscall(SYS_exit_group, 0);", &["exit code 0"]);
    crashes(
        "unistd",
        "execl(\"/bin/true\", \"true\", (char *)0);",
        &["exit code 0", "by executing `/usr/bin/true`"],
    );
}

#[test]
fn printed_success_is_no_success() {
    let body = "puts(\"loaded\\nphase end\\n{\\\"ok\\\":true}\"); fflush(stdout); _exit(0);";
    crashes("stdio unistd", body, &["exit code 0"]);
}

#[test]
fn closing_every_file_hides_nothing() {
    crashes("unistd stdlib", "for (int f = 0; f < 4096; f++) close(f); abort();", &["SIGABRT"]);
    crashes(
        "unistd stdlib",
        "for (int f = 0; f < 4096; f++) close(f); _exit(0);",
        &["exit code 0"],
    );
}

#[test]
fn killing_every_process_is_found() {
    crashes("signal unistd", "kill(-1, SIGKILL); for (;;) pause();", &["killed every process"]);
}

#[test]
fn a_handler_that_mends_a_crash_hides_it_as_it_would_for_a_user() {
    let source = "#include <setjmp.h>\n#include <signal.h>\nstatic jmp_buf back;\n\
        static void mend(int s) { (void)s; longjmp(back, 1); }\n\
        __attribute__((constructor)) static void ask(void) {\n\
        void (*old)(int) = signal(SIGILL, mend);\n\
        if (!setjmp(back)) __builtin_trap();\n signal(SIGILL, old);\n\
        sigset_t none; sigemptyset(&none); sigprocmask(SIG_SETMASK, &none, 0); }";
    let Some(case) = Case::c(source, &[]) else { return };
    case.is_clean();
}

#[test]
fn a_crash_at_the_end_of_the_process_is_told_as_such() {
    let source =
        "#include <stdlib.h>\n__attribute__((destructor)) static void last(void) { abort(); }";
    let Some(case) = Case::c(source, &[]) else { return };
    let Some(probed) = case.probe() else { return };
    probed.is("load.crash", &["SIGABRT", "while the process ended", "`last`"]);
}

#[test]
fn another_exit_code_is_an_effect() {
    let source = "#include <unistd.h>\n#include <stdlib.h>\nstatic void last(void) { _exit(3); }\n\
        __attribute__((constructor)) static void begin(void) { atexit(last); }";
    let Some(case) = Case::c(source, &[]) else { return };
    let Some(probed) = case.probe() else { return };
    probed.is("load.side_effect", &["exit code 3 instead of 0"]);
}

#[test]
fn an_endless_loop_is_told_with_its_function() {
    hangs("stdlib", "for (;;) __asm__ volatile(\"\");", &["longer than 1 s", "running, in `boom`"]);
}

#[test]
fn waiting_is_told_with_the_system_call() {
    hangs("unistd", "for (;;) pause();", &["`pause`", "from `boom`"]);
    hangs(
        "pthread",
        "static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; pthread_mutex_lock(&m); pthread_mutex_lock(&m);",
        &["`futex`", "from `boom`"],
    );
    hangs("time", "nanosleep(&(struct timespec){1000, 0}, 0);", &["nanosleep`", "from `boom`"]);
}

#[test]
fn a_library_that_shuts_out_signals_still_ends() {
    let body = "sigset_t all; sigfillset(&all); sigprocmask(SIG_BLOCK, &all, 0); \
        for (int s = 1; s < 65; s++) signal(s, SIG_IGN); setsid(); for (;;) pause();";
    hangs("signal unistd", body, &["`pause`"]);
    hangs("signal unistd", "raise(SIGSTOP);", &["longer than 1 s"]);
}

#[test]
fn endless_output_ends_with_the_time() {
    hangs("stdio", "for (;;) puts(\"more\");", &["longer than 1 s"]);
}

#[test]
fn a_process_that_does_not_end_is_told_as_such() {
    let source = "#include <unistd.h>\n__attribute__((destructor)) static void last(void) { for (;;) pause(); }";
    let Some(case) = Case::c(source, &[]) else { return };
    let Some(probed) = case.probe_with(&["--probe-timeout", "1s"]) else { return };
    probed.is("load.hang", &["the process does not end", "from `last`"]);
}

#[test]
fn a_fork_bomb_is_stopped() {
    let start = Instant::now();
    hangs("unistd", "for (;;) fork();", &["processes without end"]);
    hangs("unistd", "while (fork() == 0); for (;;) pause();", &["processes without end"]);
    assert!(start.elapsed() < Duration::from_mins(1));
}

#[test]
fn too_much_memory_is_refused_and_not_taken() {
    let huge = "char *p = malloc(100ul << 30); if (!p) _exit(9); p[0] = 1;";
    crashes("stdlib unistd", huge, &["exit code 9"]);
    let endless = "for (;;) { char *p = malloc(1 << 26); if (!p) abort(); p[0] = 1; }";
    crashes("stdlib", endless, &["SIGABRT"]);
}

#[test]
fn a_thread_that_crashes_is_found() {
    let source = "#include <pthread.h>\n#include <unistd.h>\n\
        static void *worker(void *p) { usleep(1000); return *(void *volatile *)p; }\n\
        __attribute__((constructor)) static void start(void) { pthread_t t; pthread_create(&t, 0, worker, 0); usleep(300000); }";
    let Some(case) = Case::c(source, &["-lpthread"]) else { return };
    let Some(probed) = case.probe() else { return };
    probed.is("load.crash", &["SIGSEGV", "in `worker`"]);
}

#[test]
fn a_storm_of_signals_does_not_stop_the_clock() {
    let source = "#include <pthread.h>\n#include <signal.h>\n\
        static void on(int s) { (void)s; }\n\
        static void *storm(void *p) { for (;;) raise(SIGUSR1); return p; }\n\
        __attribute__((constructor)) static void begin(void) { signal(SIGUSR1, on);\n\
        pthread_t t; for (int i = 0; i < 1000; i++) pthread_create(&t, 0, storm, 0); pthread_join(t, 0); }";
    let Some(case) = Case::c(source, &["-lpthread"]) else { return };
    let start = Instant::now();
    let Some(probed) = case.probe_with(&["--probe-timeout", "1s"]) else { return };
    // The sandbox's own clock ends what the program does not, after three more seconds.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    probed.is("load.hang", &["longer than 1 s"]);
}
