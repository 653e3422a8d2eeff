//! What is packed: a library, many small files, and a toolchain.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::run::{command, quiet};

/// The large tree: Mojo as pip installs it, 700 MB, without what it takes from others.
const WHEELS: [&str; 4] = ["mojo", "mojo-compiler", "mojo-compiler-mojo-libs", "mojo-lldb-libs"];
const VERSION: &str = "1.2.0";

/// Sizes of the generated inputs.
const LIBRARY_LEN: usize = 15_000;
const SMALL_FILES: usize = 10_000;
const SMALL_FOLDERS: usize = 100;

/// Numbers that look random and are the same for the same start: `SplitMix64`.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn write(&mut self, file: &Path, len: usize) -> Result<()> {
        let mut out = BufWriter::new(File::create(file)?);
        for _ in 0..len / 8 {
            out.write_all(&self.next().to_le_bytes())?;
        }
        out.write_all(&self.next().to_le_bytes()[..len % 8])?;
        Ok(out.flush()?)
    }
}

/// Writes a folder with one library, whose content follows from `seed`.
pub(super) fn library(folder: &Path, seed: u64) -> Result<()> {
    fs::create_dir_all(folder.join("lib"))?;
    Numbers(seed).write(&folder.join("lib/libpacked.so"), LIBRARY_LEN)
}

/// Writes 10,000 files of 1 to 7 KB, 40 MB in all, always the same.
pub(super) fn small_files(folder: &Path) -> Result<()> {
    let mut numbers = Numbers(1);
    for index in 0..SMALL_FILES {
        let sub = folder.join(format!("{:02}", index % SMALL_FOLDERS));
        if index < SMALL_FOLDERS {
            fs::create_dir_all(&sub)?;
        }
        let len = 1024 + usize::try_from(numbers.next() % 6000)?;
        numbers.write(&sub.join(format!("file-{index:05}.txt")), len)?;
    }
    Ok(())
}

/// Writes a file of 1 to 60 MB, the more the higher its index among `count`, always the same.
pub(super) fn one_of_many(file: &Path, index: u32, count: u32) -> Result<()> {
    let share = f64::from(index) / f64::from(count - 1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between one and sixty million"
    )]
    let len = (1e6 * 60_f64.powf(share)) as usize;
    Numbers(u64::from(index) + 2).write(file, len)
}

/// Unpacks the toolchain's wheels into `folder`; they are downloaded once to `wheels`.
///
/// # Errors
///
/// When one is neither there nor to be had.
pub(super) fn toolchain(wheels: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(wheels)?;
    for name in WHEELS {
        if wheel_in(wheels, name)?.is_none() {
            let args = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest"];
            let wanted = format!("{name}=={VERSION}");
            quiet(command("python3", &args).arg(wheels).arg(wanted))?;
        }
        let wheel =
            wheel_in(wheels, name)?.ok_or_else(|| format!("pip left no wheel of {name}"))?;
        quiet(command("python3", &["-m", "zipfile", "--extract"]).arg(wheel).arg(folder))?;
    }
    Ok(())
}

fn wheel_in(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    let start = format!("{}-{VERSION}-", name.replace('-', "_"));
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&start) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// The bytes that the files below `folder` take on disk.
pub(super) fn disk_bytes(folder: &Path) -> Result<u64> {
    let told = quiet(Command::new("du").args(["--summarize", "--block-size=1"]).arg(folder))?;
    Ok(told.split_whitespace().next().unwrap_or_default().parse()?)
}

/// The bytes that are free on the file system of `folder`.
pub(super) fn free_bytes(folder: &Path) -> Result<u64> {
    let told = quiet(Command::new("df").args(["--block-size=1", "--output=avail"]).arg(folder))?;
    Ok(told.split_whitespace().last().unwrap_or_default().parse()?)
}

/// Reads every file below `folder`, so that no round finds it on disk only.
pub(super) fn warm(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            warm(&entry.path())?;
        } else if kind.is_file() {
            io::copy(&mut File::open(entry.path())?, &mut io::sink())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_one_library() {
        let home = std::env::temp_dir().join(format!("hoist-inputs-{}", std::process::id()));
        let library = |name: &str, seed| {
            library(&home.join(name), seed).unwrap();
            fs::read(home.join(name).join("lib/libpacked.so")).unwrap()
        };
        let (first, again, other) = (library("a", 1), library("b", 1), library("c", 2));
        fs::remove_dir_all(&home).unwrap();
        assert_eq!((first.len(), &first), (LIBRARY_LEN, &again));
        assert_ne!(first, other);
    }
}
