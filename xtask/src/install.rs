//! What the tests need beside cargo, installed where that is possible.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{cargo, command, find, quiet};
use crate::{Result, trixie};

/// Programs that tests run, and the Debian package of each.
const PROGRAMS: [(&str, &str); 23] = [
    ("abidiff", "abigail-tools"),
    ("bash", "bash"),
    ("c++", "g++"),
    ("cc", "gcc"),
    ("clang", "clang"),
    ("debootstrap", "debootstrap"),
    ("eu-elflint", "elfutils"),
    ("eu-readelf", "elfutils"),
    ("g++", "g++"),
    ("gcc", "gcc"),
    ("gdb", "gdb"),
    ("git", "git"),
    ("go", "golang-go"),
    ("ld.lld", "lld"),
    ("nix-env", "nix-bin"),
    ("nix-store", "nix-bin"),
    ("objdump", "binutils"),
    ("openssl", "openssl"),
    ("python3", "python3"),
    ("readelf", "binutils"),
    ("script", "bsdutils"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
];

/// Wheels for the virtual environment. A new minor version of a linter finds new things, and is
/// taken in a change of its own.
const WHEELS: [&str; 6] = [
    "auditwheel~=6.8.2",
    "jsonschema~=4.26.0",
    "mypy~=2.4.1",
    "numpy",
    "ruff~=0.17.6",
    "typos~=1.52.0",
];

/// The Mojo compiler, whose libraries are checked and repaired. It unpacks to 700 MB, and has an
/// environment of its own, which a new linter does not make anew.
const MOJO: [&str; 1] = ["mojo==1.2.0"];

/// An older one, which is not on `PATH`: `HOIST_MOJO_025` names its environment.
const MOJO_025: [&str; 1] = ["mojo==0.25.6.1"];

/// The Zig compiler, which unpacks to 400 MB.
const ZIG: [&str; 1] = ["ziglang==0.17.1"];

/// Wheels whose libraries are held against `auditwheel` and `readelf`, as files.
const WHEEL_FILES: [&str; 5] =
    ["faiss-cpu==1.15.1", "numpy==2.4.6", "pyarrow==26.0.1", "scipy==1.17.1", "simsimd==6.5.16"];

/// Components of Rust's toolchain that a minimal installation lacks, with the program of each.
const COMPONENTS: [(&str, &str); 2] = [("cargo-clippy", "clippy"), ("cargo-fmt", "rustfmt")];

/// Where the steps find their programs.
#[derive(Debug)]
pub(crate) struct Tools {
    /// `PATH` for every step.
    pub(crate) path: OsString,
    /// The folder of the wheels that tests read.
    pub(crate) wheels: PathBuf,
    /// The virtual environment of an older Mojo.
    pub(crate) mojo_025: PathBuf,
    /// Whether all is there, so that a test that finds nothing to run has failed.
    pub(crate) complete: bool,
}

impl Tools {
    /// Finds what is there, in `own` (the folder of this program's installations) before `PATH`,
    /// and with `may_install` gets what is missing.
    pub(crate) fn prepare(own: &Path, may_install: bool) -> Result<Self> {
        let (venv, mojo, zig) = (own.join("venv"), own.join("mojo"), own.join("zig"));
        let inherited = env::var_os("PATH").unwrap_or_default();
        let folders = [venv.join("bin"), own.join("bin"), mojo.join("bin"), zig.join("bin")];
        let path = env::join_paths(folders.into_iter().chain(env::split_paths(&inherited)))?;
        let (wheels, mojo_025) = (own.join("wheels"), own.join("mojo-0.25"));
        if !may_install {
            return Ok(Self { path, wheels, mojo_025, complete: false });
        }
        fs::create_dir_all(own)?;
        let mut installer = Installer { own, path, failures: Vec::new() };
        installer.components();
        installer.debian_packages();
        installer.wheels(&venv, &WHEELS, "numpy");
        installer.wheels(&mojo, &MOJO, "mojo");
        installer.wheels(&mojo_025, &MOJO_025, "mojo");
        installer.wheels(&zig, &ZIG, "ziglang");
        installer.wheel_files(&wheels, &venv.join("bin/python3"));
        installer.nextest();
        installer.trixie();
        for failure in &installer.failures {
            println!("not installed: {failure}");
        }
        let complete = installer.failures.is_empty();
        Ok(Self { path: installer.path, wheels, mojo_025, complete })
    }

    /// Whether `program` is there.
    pub(crate) fn has(&self, program: &str) -> bool {
        find(program, &self.path).is_some()
    }
}

struct Installer<'a> {
    own: &'a Path,
    path: OsString,
    failures: Vec<String>,
}

impl Installer<'_> {
    fn has(&self, program: &str) -> bool {
        find(program, &self.path).is_some()
    }

    fn attempt(&mut self, what: &str, command: &mut Command) {
        println!("install: {what}");
        if let Err(error) = quiet(command.env("PATH", &self.path)) {
            self.failures.push(format!("{what}\n{error}"));
        }
    }

    fn components(&mut self) {
        for (program, component) in COMPONENTS {
            if !self.has(program) {
                let what = format!("{component} (component of Rust's toolchain)");
                self.attempt(&what, &mut command("rustup", &["component", "add", component]));
            }
        }
    }

    fn debian_packages(&mut self) {
        let mut packages = missing_packages(|program| self.has(program));
        if !self.can_make_environments() {
            packages.push("python3-venv");
        }
        if packages.is_empty() {
            return;
        }
        if !is_root() || !self.has("apt-get") {
            let names = packages.join(", ");
            self.failures.push(format!("{names}: that takes root and apt-get"));
            return;
        }
        let apt = |args: &[&str]| {
            let mut apt = command("apt-get", &["-qq", "-o", "DPkg::Lock::Timeout=300"]);
            apt.args(args).env("DEBIAN_FRONTEND", "noninteractive");
            apt
        };
        self.attempt("the list of Debian packages", &mut apt(&["update"]));
        for package in packages {
            let what = format!("{package} (Debian package)");
            let args = ["install", "--yes", "--no-install-recommends", package];
            self.attempt(&what, &mut apt(&args));
        }
        for package in missing_packages(|program| self.has(program)) {
            self.failures.push(format!("{package}: a program of it is still not on PATH"));
        }
    }

    /// Whether this Python can make a virtual environment with pip in it.
    fn can_make_environments(&self) -> bool {
        let mut python = command("python3", &["-c", "import ensurepip, venv"]);
        quiet(python.env("PATH", &self.path)).is_ok()
    }

    /// Makes a virtual environment of `wheels`, unless it is there and Python finds `module` in it.
    fn wheels(&mut self, venv: &Path, wheels: &[&str], module: &str) {
        let list = wheels.join("\n");
        let note = venv.join("hoist-wheels.txt");
        let python = venv.join("bin/python3");
        let look =
            "import importlib.util, sys; sys.exit(not importlib.util.find_spec(sys.argv[1]))";
        let is_current = fs::read_to_string(&note).is_ok_and(|noted| noted == list)
            && quiet(&mut command(&python, &["-c", look, module])).is_ok();
        if is_current {
            return;
        }
        let before = self.failures.len();
        let _ = fs::remove_dir_all(venv); // of an earlier list, or cut short; there may be none
        let mut make = command("python3", &["-m", "venv"]);
        self.attempt("a virtual environment for Python", make.arg(venv));
        for wheel in wheels {
            let what = format!("{wheel} (Python wheel)");
            let args = ["-m", "pip", "install", "--quiet", "--only-binary=:all:", wheel];
            self.attempt(&what, &mut command(&python, &args));
        }
        if self.failures.len() == before && fs::write(&note, list).is_err() {
            self.failures.push(format!("{} cannot be written", note.display()));
        }
    }

    /// Gets the wheels that tests read; of an earlier list, all are got anew.
    fn wheel_files(&mut self, folder: &Path, python: &Path) {
        let list = WHEEL_FILES.join("\n");
        let note = folder.join("hoist-wheels.txt");
        if fs::read_to_string(&note).is_ok_and(|noted| noted == list) {
            return;
        }
        let before = self.failures.len();
        let _ = fs::remove_dir_all(folder); // there may be none
        for wheel in WHEEL_FILES {
            let args = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"];
            let mut download = command(python, &args);
            download.arg("--dest").arg(folder).arg(wheel);
            self.attempt(&format!("{wheel} (wheel to be read)"), &mut download);
        }
        if self.failures.len() == before && fs::write(&note, list).is_err() {
            self.failures.push(format!("{} cannot be written", note.display()));
        }
    }

    /// Without optimisation, which would take several times as long and save nothing: it waits for
    /// tests.
    fn nextest(&mut self) {
        if !self.has("cargo-nextest") {
            let what = "cargo-nextest (takes minutes to compile)";
            let args = ["install", "--quiet", "--debug", "--locked", "cargo-nextest", "--root"];
            let mut install = cargo(&args);
            self.attempt(what, install.arg(self.own).env("CARGO_PROFILE_DEV_DEBUG", "false"));
        }
    }

    fn trixie(&mut self) {
        let Some(folder) = hoist_testkit::trixie_folder() else {
            self.failures.push("Debian trixie with nix-bin: this user has no home".to_owned());
            return;
        };
        if trixie::is_there(&folder) {
            return;
        }
        let what = format!("Debian trixie with nix-bin in {}", folder.display());
        println!("install: {what}");
        if !is_root() {
            self.failures.push(format!("{what}: that takes root"));
        } else if let Err(error) = trixie::make(&folder, &self.path) {
            self.failures.push(format!("{what}\n{error}"));
        }
    }
}

/// The packages of the programs that are not there, each once.
fn missing_packages(is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<&str> =
        PROGRAMS.into_iter().filter(|(program, _)| !is_there(program)).map(|it| it.1).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Linux shows each process to itself under the user it runs as.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_missing_where_every_program_is_there() {
        assert!(missing_packages(|_| true).is_empty());
    }

    #[test]
    fn a_package_of_two_missing_programs_is_installed_once() {
        let is_there = |program: &str| !["unshare", "setpriv", "gcc"].contains(&program);
        assert_eq!(missing_packages(is_there), ["gcc", "util-linux"]);
    }

    #[test]
    fn without_installing_nothing_is_required() {
        let own = env::temp_dir().join("hoist-xtask-never-made");
        let tools = Tools::prepare(&own, false).unwrap();
        assert!(!tools.complete);
        assert!(!own.exists());
        assert!(tools.has("sh"));
    }
}
