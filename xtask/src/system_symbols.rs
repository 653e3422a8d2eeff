//! The table of what the system libraries define, which `hoist-check` carries.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hoist_elf::ElfFacts;

use crate::{Result, root};

/// The libraries in the table, by SONAME; those that a processor does not have are left out.
const LIBRARIES: [&str; 14] = [
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libm.so.6",
    "libmvec.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libanl.so.1",
    "libnsl.so.1",
    "libgcc_s.so.1",
    "libstdc++.so.6",
];

/// Digits of the numbers in the table.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The processors in the table, each with the mark before what only it has.
const MACHINES: [(&str, char); 2] = [("x86_64", '+'), ("aarch64", '*')];

/// Write the table of what glibc, libgcc and libstdc++ define
///
/// The libraries are those of Debian's packages `libc6`, `libgcc-s1` and `libstdc++6`, and of their
/// `-arm64-cross` forms, of the newest release there is: glibc and libstdc++ keep old versions, so
/// the newest has those of all others. `apt-get download` fetches them and `dpkg-deb -x` unpacks
/// them.
#[derive(Debug, clap::Args)]
pub(crate) struct SystemSymbolsArgs {
    /// Folder with the libraries for x86-64, directly or in folders below it
    x86_64: PathBuf,

    /// The same for aarch64
    aarch64: PathBuf,

    /// What they come from, for the head of the table, as in `glibc 2.43-7, gcc 16.2.0-4`
    #[arg(long)]
    origin: String,
}

/// What one library defines for one processor.
struct Library {
    soname: &'static str,
    machine: usize,
    facts: ElfFacts,
}

pub(crate) fn run(args: &SystemSymbolsArgs) -> Result<ExitCode> {
    let mut libraries = Vec::new();
    for soname in LIBRARIES {
        for (machine, folder) in [&args.x86_64, &args.aarch64].into_iter().enumerate() {
            if let Some(path) = find(folder, soname)? {
                let facts = ElfFacts::read(&fs::read(&path)?)?;
                libraries.push(Library { soname, machine, facts });
            }
        }
    }
    let table = table(&libraries, &args.origin);
    let path = root().join("crates/hoist-check/data/system-symbols.txt");
    fs::write(&path, &table)?;
    println!("{}: {} bytes, {} lines", path.display(), table.len(), table.lines().count());
    Ok(ExitCode::SUCCESS)
}

fn find(folder: &Path, soname: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            if let Some(found) = find(&entry.path(), soname)? {
                return Ok(Some(found));
            }
        } else if entry.file_name() == soname && entry.path().is_file() {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// The table's text; `hoist-check` says in `system/mod.rs` how it is read.
fn table(libraries: &[Library], origin: &str) -> String {
    let mut text = vec![
        "# What the system libraries define; written by `cargo xtask system-symbols`.".to_owned(),
        format!("# {origin}"),
    ];
    let mut codes: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    // By name and code, the processors that have it.
    let mut definitions: BTreeMap<&str, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
    for soname in LIBRARIES {
        let same = || libraries.iter().filter(|library| library.soname == soname);
        let needed: BTreeSet<&str> =
            same().flat_map(|library| &library.facts.dynamic.needed).map(String::as_str).collect();
        let words: Vec<&str> = ["library", soname].into_iter().chain(needed).collect();
        text.push(words.join(" "));
        for library in same() {
            for symbol in library.facts.exports() {
                let version = symbol.version.as_deref().unwrap_or("-");
                let next = codes.len();
                let code = *codes.entry((soname, version)).or_insert_with(|| {
                    text.push(format!("version {version}"));
                    next
                });
                let hidden = if symbol.is_version_hidden { "-" } else { "" };
                let [tens, ones] = [code / DIGITS.len(), code % DIGITS.len()].map(digit);
                let machines = definitions.entry(&symbol.name).or_default();
                machines.entry(format!("{hidden}{tens}{ones}")).or_default().push(library.machine);
            }
        }
    }
    text.push("symbols".to_owned());
    let mut before = "";
    for (name, codes) in &definitions {
        let shared = before.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let shared = shared.min(DIGITS.len() - 1);
        let mut line = format!("{}{} ", digit(shared), &name[shared..]);
        let of = |wanted: &[usize]| -> String {
            let has = codes.iter().filter(|(_, machines)| **machines == wanted);
            has.map(|(code, _)| code.as_str()).collect()
        };
        line.push_str(&of(&[0, 1]));
        for (machine, (_, mark)) in MACHINES.iter().enumerate() {
            let only = of(&[machine]);
            if !only.is_empty() {
                line.push(*mark);
                line.push_str(&only);
            }
        }
        text.push(line);
        before = name;
    }
    text.join("\n") + "\n"
}

fn digit(value: usize) -> char {
    char::from(DIGITS[value])
}
