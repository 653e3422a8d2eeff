//! The libraries that are checked: of public wheels, of the distribution, and a small one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::run::quiet;

/// A public wheel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wheel {
    pub(super) name: &'static str,
    /// How its file's name begins.
    prefix: &'static str,
    /// Whether its largest library is looked at alone as well.
    has_largest: bool,
}

impl Wheel {
    pub(super) const ALL: [Self; 3] = [
        Self { name: "numpy", prefix: "numpy-", has_largest: true },
        Self { name: "faiss-cpu", prefix: "faiss_cpu-", has_largest: false },
        Self { name: "scipy", prefix: "scipy-", has_largest: false },
    ];

    /// The wheel among `wheels`, and the folder `to` with its contents.
    pub(super) fn unpacked(self, wheels: &Path, to: &Path) -> Result<(PathBuf, PathBuf)> {
        let entries = fs::read_dir(wheels)
            .map_err(|error| format!("{}: {error}; --wheels names another", wheels.display()))?;
        let found = entries.filter_map(|entry| Some(entry.ok()?.path())).find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(self.prefix) && path.extension().is_some_and(|end| end == "whl")
        });
        let file = found.ok_or_else(|| format!("there is none in {}", wheels.display()))?;
        let mut unzip = Command::new("python3");
        quiet(unzip.args(["-m", "zipfile", "-e"]).arg(&file).arg(to))?;
        Ok((file, to.to_owned()))
    }

    /// The largest extension module in the unpacked wheel, where it is wanted.
    pub(super) fn largest(self, folder: &Path) -> Result<Option<PathBuf>> {
        let mut largest = None;
        let mut folders = vec![folder.join(self.name)];
        while let Some(folder) = folders.pop().filter(|_| self.has_largest) {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else if entry.path().extension().is_some_and(|end| end == "so") {
                    largest = largest.max(Some((entry.metadata()?.len(), entry.path())));
                }
            }
        }
        Ok(largest.map(|(_, path)| path))
    }
}

/// A library of some 15 KB with one function, made by the C compiler of this machine.
pub(super) fn small_library(home: &Path) -> Result<PathBuf> {
    let (source, library) = (home.join("small.c"), home.join("libsmall.so"));
    fs::write(&source, "int add(int a, int b) { return a + b; }\n")?;
    let mut cc = Command::new("cc");
    quiet(cc.args(["-shared", "-fPIC", "-O2", "-Wl,-z,now", "-o"]).arg(&library).arg(&source))?;
    Ok(library)
}

/// The largest libLLVM of the distribution.
pub(super) fn llvm() -> Option<PathBuf> {
    let entries = fs::read_dir("/usr/lib/x86_64-linux-gnu").ok()?;
    let libraries = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_string_lossy().into_owned();
        let metadata = path.metadata().ok()?;
        (name.starts_with("libLLVM") && metadata.is_file()).then_some((metadata.len(), path))
    });
    libraries.max().map(|(_, path)| path)
}

/// libstdc++ with its debug information.
pub(super) fn libstdcxx() -> Option<PathBuf> {
    let entries = fs::read_dir("/usr/lib/x86_64-linux-gnu/debug").ok()?;
    let libraries = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_string_lossy().into_owned();
        // Beside it lies what a debugger is told about it, in Python.
        let is_one = name.starts_with("libstdc++.so.6") && path.extension()? != "py";
        (is_one && path.is_file()).then_some(path)
    });
    libraries.max()
}
