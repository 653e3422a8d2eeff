//! hoist's end of a sandbox as a process of its own, for the tests of this crate.
//!
//! `hoist-sandbox-probe run|host|available [DENIED…]` reads a spec as JSON from standard input and
//! writes what came of it as JSON to standard output, the log to standard error. Each system call
//! named in `DENIED` fails with `EPERM`, as under the seccomp filters of containers.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::time::Instant;

use hoist_sandbox::{Outcome, SandboxError, available, init_if_asked, run, run_on_host};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    init_if_asked();
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().ok_or("no verb")?;
    for call in arguments {
        deny(system_call(&call).ok_or("unknown system call")?)?;
    }
    let mut spec = String::new();
    io::stdin().read_to_string(&mut spec)?;
    let mut log = |piece: &[u8]| drop(io::stderr().write_all(piece));

    let started = Instant::now();
    let answer = match verb.as_str() {
        "run" => told(run(&serde_json::from_str(&spec)?, &mut log)),
        "host" => told(run_on_host(&serde_json::from_str(&spec)?, &mut log)),
        "available" => {
            let found = available()?;
            json!({ "level": found.level, "obstacles": found.obstacles })
        }
        _ => return Err("unknown verb".into()),
    };
    let answer = json!({ "answer": answer, "elapsed_us": started.elapsed().as_micros() });
    Ok(writeln!(io::stdout(), "{answer}")?)
}

fn told(result: Result<Outcome, SandboxError>) -> Value {
    match result {
        Ok(outcome) => json!({ "Ok": outcome }),
        Err(error) => json!({ "Err": {
            "message": error.to_string(),
            "cause": error.source().map(ToString::to_string),
            "hint": error.hint(),
        }}),
    }
}

fn system_call(name: &str) -> Option<libc::c_long> {
    Some(match name {
        "unshare" => libc::SYS_unshare,
        "fsopen" => libc::SYS_fsopen,
        "mount" => libc::SYS_mount,
        _ => return None,
    })
}

/// Makes one system call fail with `EPERM` in this process and all that it starts.
#[expect(unsafe_code, reason = "seccomp filters have no safe wrapper")]
fn deny(call: libc::c_long) -> io::Result<()> {
    let statement = |code: u32, unless: u8, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("BPF codes are 16 bits wide"),
        jt: 0,
        jf: unless,
        k,
    };
    let number = u32::try_from(call).expect("system call numbers are small");
    let eperm = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::EPERM).expect("errno is positive");
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0), // offset of the number
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, number),
        statement(libc::BPF_RET | libc::BPF_K, 0, eperm),
        statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: `program` points to four instructions that outlive the calls, which copy them.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}
