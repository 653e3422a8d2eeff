//! From a forked init to the command: what a process still has to give up before it executes one.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::{
    Pid, Signal, chdir, getpid, getppid, set_parent_process_death_signal, setsid, umask,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

use crate::spec::{HostSpec, Limits, Spec};
use crate::wire::{Failure, errno};
use crate::{limits, slate, sys};

/// What a process executes, and as what.
pub(crate) struct Command<'a> {
    arguments: &'a [OsString],
    env: &'a BTreeMap<OsString, OsString>,
    cwd: &'a Path,
    limits: &'a Limits,
    /// Whether it gives up all privileges; a command on the host keeps the user's.
    confined: bool,
    /// Number of the first open file that it does not get.
    first_closed: u32,
}

impl<'a> Command<'a> {
    pub(crate) fn confined(spec: &'a Spec) -> Self {
        let Spec { command, env, cwd, limits, slate, .. } = spec;
        let first_closed = if slate.is_empty() { slate::FILE } else { slate::FILE + 1 };
        Self { arguments: command, env, cwd, limits, confined: true, first_closed }
    }

    pub(crate) fn on_host(spec: &'a HostSpec) -> Self {
        let HostSpec { command, env, cwd, limits } = spec;
        Self { arguments: command, env, cwd, limits, confined: false, first_closed: slate::FILE }
    }

    /// Starts the command as a child whose output goes where this process' standard output goes.
    ///
    /// Returns once the program runs, so a program that cannot is an error here and no exit code.
    pub(crate) fn start(&self) -> Result<Pid, Failure> {
        let (mut failure, mut report) = io::pipe().map_err(Failure::step("open", "pipe"))?;
        let parent = getpid();
        let Some(child) = sys::fork().map_err(Failure::step("fork", "init"))? else {
            let Err(failure) = self.become_command(parent);
            let _ = report.write_all(&serde_json::to_vec(&failure).unwrap_or_default());
            sys::exit_now(127)
        };
        drop(report);
        let mut json = Vec::new();
        failure.read_to_end(&mut json).map_err(Failure::step("read", "pipe"))?;
        // The pipe closed without a word: the program took over.
        serde_json::from_slice(&json).map_or(Ok(child), Err)
    }

    fn become_command(&self, parent: Pid) -> Result<Infallible, Failure> {
        setsid().map_err(Failure::step("start", "session"))?;
        let null = File::open("/dev/null").map_err(Failure::step("open", "/dev/null"))?;
        rustix::stdio::dup2_stdin(&null).map_err(Failure::step("redirect", "stdin"))?;
        rustix::stdio::dup2_stderr(io::stdout()).map_err(Failure::step("redirect", "stderr"))?;
        sys::default_signals();
        sys::unblock_signals().map_err(Failure::step("reset", "signals"))?;
        umask(Mode::WGRP | Mode::WOTH);
        chdir(self.cwd).map_err(Failure::step("enter the working directory", self.cwd))?;
        limits::apply(self.limits)?;
        if self.confined {
            drop_privileges().map_err(Failure::step("drop", "capabilities"))?;
        }
        set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(Failure::step("tie to the init", "command"))?;
        if getppid() != Some(parent) {
            sys::exit_now(127); // the init died before the line above
        }
        sys::close_on_exec_from(self.first_closed)
            .map_err(Failure::step("close", "inherited files"))?;
        self.execute()
    }

    fn execute(&self) -> Result<Infallible, Failure> {
        let no_program = || Failure::CommandNotFound { command: String::new(), path: None };
        let program = self.arguments.first().ok_or_else(no_program)?;
        let arguments =
            self.arguments.iter().map(|text| c_string(text)).collect::<Result<_, _>>()?;
        let environment =
            self.env.iter().map(|(name, value)| setting(name, value)).collect::<Result<_, _>>()?;
        let (arguments, environment): (Vec<_>, Vec<_>) = (arguments, environment);

        let path = if program.as_bytes().contains(&b'/') { None } else { Some(self.path()) };
        let mut refused = None;
        for candidate in candidates(program, path) {
            let error = sys::execve(&c_string(candidate.as_os_str())?, &arguments, &environment);
            match error.raw_os_error() {
                // The file exists, so what does not is the interpreter that it names.
                Some(libc::ENOENT) if candidate.exists() => {
                    return Err(Failure::LoaderNotFound { program: candidate });
                }
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                // A later directory may have one that is executable; execvp(3) does the same.
                Some(libc::EACCES) => {
                    refused.get_or_insert(candidate);
                }
                _ => {
                    return Err(Failure::NotExecutable { program: candidate, errno: errno(error) });
                }
            }
        }
        Err(match refused {
            Some(program) => Failure::NotExecutable { program, errno: libc::EACCES },
            None => Failure::CommandNotFound {
                command: program.to_string_lossy().into_owned(),
                path: path.map(|path| path.to_string_lossy().into_owned()),
            },
        })
    }

    fn path(&self) -> &OsStr {
        self.env.get(OsStr::new("PATH")).map_or(OsStr::new(""), OsString::as_os_str)
    }
}

/// The files that a program's name may mean: itself, or one in each directory of `path`.
///
/// An empty entry of `path`, which a shell reads as the current directory, names none.
fn candidates(program: &OsStr, path: Option<&OsStr>) -> Vec<PathBuf> {
    let Some(path) = path else { return vec![program.into()] };
    std::env::split_paths(path)
        .filter(|dir| !dir.as_os_str().is_empty())
        .map(|dir| dir.join(program))
        .collect()
}

fn setting(name: &OsStr, value: &OsStr) -> Result<CString, Failure> {
    let mut text = name.to_owned();
    text.push("=");
    text.push(value);
    c_string(&text)
}

fn c_string(text: &OsStr) -> Result<CString, Failure> {
    CString::new(text.to_owned().into_vec())
        .map_err(|_| Failure::NotExecutable { program: text.into(), errno: libc::EINVAL })
}

/// Gives up every capability for good, for this process and all that it will execute.
fn drop_privileges() -> rustix::io::Result<()> {
    // Root gains what is in the bounding set whenever it executes a program.
    for bit in 0..u64::BITS {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)) {
            Err(rustix::io::Errno::INVAL) => break, // past the last one that this kernel has
            result => result?,
        }
    }
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    set_no_new_privs(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_slash_is_not_searched() {
        assert_eq!(candidates(OsStr::new("./build.sh"), None), [Path::new("./build.sh")]);
    }

    #[test]
    fn a_program_is_searched_in_the_order_of_path_and_never_in_the_current_directory() {
        let found = candidates(OsStr::new("cc"), Some(OsStr::new("/usr/bin::/bin:")));
        assert_eq!(found, [Path::new("/usr/bin/cc"), Path::new("/bin/cc")]);
    }
}
