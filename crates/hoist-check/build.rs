//! Compiles the load probe: a program of its own, because it must load what hoist itself must not.
//!
//! It is linked dynamically even where hoist is static, since it is there to call the target's
//! loader, and asks for no glibc newer than 2.17.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCES: [&str; 4] = ["start.c", "main.c", "subject.c", "watch.c"];

/// What every way to link it has in common.
const FLAGS: [&str; 13] = [
    "-std=gnu11",
    "-fPIE",
    "-pie",
    "-nostartfiles",
    "-U_FORTIFY_SOURCE",
    "-fno-stack-protector",
    "-s",
    "-Wl,--build-id=none",
    "-Wl,-z,now",
    "-Wl,-z,relro",
    "-Wl,-z,noexecstack",
    "-Wl,-z,noseparate-code",
    "-Wl,--no-as-needed",
];

/// Where `dlopen` is before glibc 2.34; later ones keep the file for old programs. A system for
/// development may lack it, and then the probe starts only where `libc.so.6` has `dlopen`.
const LIBDL: &str = "-l:libdl.so.2";

fn main() {
    println!("cargo::rerun-if-changed=probe");
    let program = Path::new(&variable("OUT_DIR")).join("load-probe");
    let is_served = variable("CARGO_CFG_TARGET_OS") == "linux"
        && variable("CARGO_CFG_TARGET_ENV") == "gnu"
        && matches!(variable("CARGO_CFG_TARGET_ARCH").as_str(), "x86_64" | "aarch64");
    if !is_served {
        std::fs::write(&program, []).expect("the output folder takes files");
        return;
    }
    let linked = [&[LIBDL][..], &["-ldl"]].iter().any(|libraries| link(&program, libraries));
    assert!(linked, "no C compiler could link the load probe; see what it said above");
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn link(program: &Path, libraries: &[&str]) -> bool {
    let sources = SOURCES.iter().map(|source| PathBuf::from("probe").join(source));
    let compiler = cc::Build::new().opt_level_str("s").debug(false).pic(false).get_compiler();
    let mut command = Command::new(compiler.path());
    // Where hoist itself is linked statically, `cc` would link everything so.
    command.args(compiler.args().iter().filter(|flag| *flag != "-static"));
    command.envs(compiler.get_envs());
    command.args(FLAGS).args(sources).arg("-o").arg(program).args(libraries);
    command.status().is_ok_and(|status| status.success())
}
