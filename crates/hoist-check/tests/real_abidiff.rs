//! Verdicts on two builds agree with `abidiff`, or a reason is given.
//!
//! abidiff's exit code tells a change from none (0, else 4), and removals from other changes (8);
//! it does not tell changes that break callers from those that do not. `docs/abi.md` has the table.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

#[path = "abidiff/pairs.rs"]
mod pairs;

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use hoist_check::{Comparison, Contract, Target, check_file_against};
use hoist_elf::header::parse_header;
use hoist_schema::Severity;
use hoist_testkit::{Tool, not_checked, tool};

use pairs::{PAIRS, Pair};

/// What abidiff says: whether there is a change beside additions.
fn abidiff_sees_change(abidiff: &Tool, old: &Path, new: &Path) -> bool {
    let output = abidiff.command().arg("--no-added-syms").args([old, new]).output().unwrap();
    let code = output.status.code().unwrap();
    assert_eq!(code & 3, 0, "abidiff failed: {}", String::from_utf8_lossy(&output.stderr));
    code != 0
}

fn compile(compiler: &Tool, source: &Path, flags: &[&str]) -> PathBuf {
    let library = source.with_extension("so");
    let mut arguments: Vec<&OsStr> = ["-shared", "-fPIC", "-w", "-Wl,-soname,libcase.so.1", "-o"]
        .iter()
        .map(OsStr::new)
        .collect();
    arguments.extend([library.as_os_str(), source.as_os_str()]);
    arguments.extend(flags.iter().map(OsStr::new));
    compiler.stdout(arguments);
    library
}

fn compare(old: &Path, new: &Path) -> Comparison {
    check_file_against(new, "libcase.so", old, &Contract::new(Target::HOST), None).unwrap()
}

/// Findings but for those that are only worth knowing, as `severity rule symbol`, sorted.
fn found(comparison: &Comparison) -> Vec<String> {
    let findings = comparison.findings.iter().filter(|found| found.severity > Severity::Info);
    let mut lines: Vec<String> = findings
        .map(|found| {
            let severity = format!("{:?}", found.severity).to_lowercase();
            format!("{severity} {} {}", found.rule, found.symbol.as_deref().unwrap_or("-"))
        })
        .collect();
    lines.sort();
    lines
}

/// What is not as the pair says.
fn check_pair(
    pair: &Pair,
    compiler: &Tool,
    abidiff: &Tool,
    folder: &Path,
    flags: &[&str],
) -> Vec<String> {
    let source = |side: &str, text: &str| {
        let folder = folder.join(side);
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(if pair.is_cpp { "case.cc" } else { "case.c" });
        fs::write(&file, format!("{}{text}\n", pair.common)).unwrap();
        compile(compiler, &file, flags)
    };
    let (old, new) = (source("old", pair.old), source("new", pair.new));
    let comparison = compare(&old, &new);
    let mut wrong = Vec::new();
    let now = found(&comparison);
    if now != pair.found {
        wrong.push(format!("hoist finds {now:?}: {:#?}", comparison.findings));
    }
    let sees_change = abidiff_sees_change(abidiff, &old, &new);
    let agrees = sees_change != pair.found.is_empty();
    if agrees != pair.differs.is_none() {
        wrong.push(format!("abidiff sees a change: {sees_change}"));
    }
    wrong.into_iter().map(|wrong| format!("{}, {flags:?}: {wrong}", pair.name)).collect()
}

fn check_pairs(compilers: [(&str, &str); 2], flags: &[&str]) {
    let Some(abidiff) = tool("abidiff", "abigail-tools") else { return };
    let Some(c) = tool(compilers[0].0, compilers[0].1) else { return };
    let Some(cpp) = tool(compilers[1].0, compilers[1].1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for pair in PAIRS {
        let compiler = if pair.is_cpp { &cpp } else { &c };
        wrong.extend(check_pair(pair, compiler, &abidiff, folder.path(), flags));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pairs_of_gcc_are_judged_as_by_abidiff() {
    check_pairs([("gcc", "gcc"), ("g++", "g++")], &["-gdwarf-4"]);
}

#[test]
fn pairs_of_clang_are_judged_as_by_abidiff() {
    check_pairs([("clang", "clang"), ("clang++", "clang")], &["-gdwarf-5", "-O1"]);
}

#[test]
fn a_version_that_is_gone_breaks_those_who_ask_for_it() {
    let Some(abidiff) = tool("abidiff", "abigail-tools") else { return };
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let folder = tempfile::tempdir().unwrap();
    let build = |side: &str, script: &str| {
        let folder = folder.path().join(side);
        fs::create_dir_all(&folder).unwrap();
        let (source, map) = (folder.join("case.c"), folder.join("case.map"));
        fs::write(&source, "int f(int a) { return a; }\n").unwrap();
        fs::write(&map, script).unwrap();
        compile(&gcc, &source, &["-g", &format!("-Wl,--version-script={}", map.display())])
    };
    let one = build("one", "V1 { global: f; local: *; };");
    let two = build("two", "V1 { local: *; }; V2 { global: f; } V1;");
    let none = build("none", "{ global: f; local: *; };");
    let comparison = compare(&one, &two);
    assert_eq!(found(&comparison), ["error abi.version_removed f"]);
    assert_eq!(comparison.findings[0].object.as_deref(), Some("V1"));
    assert!(abidiff_sees_change(&abidiff, &one, &two));
    // The loader takes a library without versions for one that has them all, and warns.
    assert_eq!(found(&compare(&one, &none)), ["warning abi.version_removed f"]);
    assert!(abidiff_sees_change(&abidiff, &one, &none));
    // Callers of a library without versions take any.
    assert!(found(&compare(&none, &one)).is_empty());
}

#[test]
fn another_soname_is_told_and_whether_it_was_needed() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let folder = tempfile::tempdir().unwrap();
    let build = |side: &str, text: &str, soname: &str| {
        let folder = folder.path().join(side);
        fs::create_dir_all(&folder).unwrap();
        let source = folder.join("case.c");
        fs::write(&source, text).unwrap();
        compile(&gcc, &source, &["-g", &format!("-Wl,-soname,{soname}")])
    };
    let old = build("old", "int f(int a) { return a; }\n", "libcase.so.1");
    let same = build("same", "int f(int a) { return a; }\n", "libcase.so.2");
    let broken = build("broken", "int f(long a) { return a; }\n", "libcase.so.2");
    let message = |new: &Path| {
        let comparison = compare(&old, new);
        let soname =
            comparison.findings.into_iter().find(|found| found.rule == "abi.soname_changed");
        soname.unwrap().message
    };
    assert_eq!(
        message(&same),
        "`libcase.so.2` is its SONAME, was `libcase.so.1`; programs linked with the old one will \
         not load it, although they would work with it"
    );
    assert!(message(&broken).ends_with("which keeps them from breaking"));
}

#[test]
fn without_debug_information_only_names_are_compared() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let folder = tempfile::tempdir().unwrap();
    let build = |side: &str, text: &str, flag: &str| {
        let folder = folder.path().join(side);
        fs::create_dir_all(&folder).unwrap();
        let source = folder.join("case.c");
        fs::write(&source, text).unwrap();
        compile(&gcc, &source, &[flag])
    };
    let stripped = build("stripped", "int f(int a) { return a; }\n", "-g0");
    let changed = build("changed", "int f(long a) { return a; }\n", "-g");
    let comparison = compare(&stripped, &changed);
    assert_eq!(found(&comparison), ["warning abi.unverified -"]);
    assert!(comparison.is_compatible());
    assert_eq!(
        comparison.findings[0].message,
        "names were compared, types were not; old build: there is no debug information"
    );
}

#[test]
fn what_the_header_hides_may_change() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let folder = tempfile::tempdir().unwrap();
    let build = |side: &str, fields: &str| {
        let folder = folder.path().join(side);
        fs::create_dir_all(&folder).unwrap();
        let source = folder.join("case.c");
        let text = format!(
            "struct inner {{ int a; }}; struct state {{ {fields} struct inner in; }};\n\
             struct seen {{ {fields} int last; }};\n\
             int use(struct state *state) {{ return state->in.a; }}\n\
             int use_any(struct state *state) {{ return state->in.a; }}\n\
             int look(struct seen *seen) {{ return seen->last; }}\n"
        );
        fs::write(&source, text).unwrap();
        compile(&gcc, &source, &["-g"])
    };
    let (old, new) = (build("old", "int a;"), build("new", "int a; double b;"));
    let both = ["error abi.layout_changed look", "error abi.layout_changed use"];
    assert_eq!(found(&compare(&old, &new)), [both[0], both[1], "error abi.layout_changed use_any"]);
    let found_with = |header: &str| {
        let header = Some(parse_header(header).unwrap());
        let contract = Contract { header, ..Contract::new(Target::HOST) };
        found(&check_file_against(&new, "libcase.so", &old, &contract, None).unwrap())
    };
    let hides = "struct state; int use(struct state *s); int use_any(void *any);\n";
    assert!(found_with(hides).is_empty());
    let tells = "struct seen { int a; double b; int last; }; int look(struct seen *s);\n";
    assert_eq!(found_with(&format!("{hides}{tells}")), ["error abi.layout_changed look"]);
}

/// The sources of a crate: in `HOIST_CRATES`, a folder with unpacked crates called `NAME-VERSION`,
/// or fetched once and kept for later runs. `None`, and said so, without both.
fn crate_sources(name: &str, version: &str) -> Option<PathBuf> {
    if let Some(folder) = env::var_os("HOIST_CRATES") {
        let folder = Path::new(&folder).join(format!("{name}-{version}"));
        assert!(folder.is_dir(), "HOIST_CRATES has no `{}`", folder.display());
        return Some(folder);
    }
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crates");
    fs::create_dir_all(&kept).unwrap();
    // Other tests wait, be they in this process or in others.
    let lock = File::create(kept.join("lock")).unwrap();
    lock.lock().unwrap();
    let sources = kept.join(format!("{name}-{version}"));
    if !sources.is_dir() {
        fetch(name, version, &kept, &sources)?;
    }
    Some(sources)
}

/// Fetches a crate; its folder is there whole or not at all.
fn fetch(name: &str, version: &str, inside: &Path, to: &Path) -> Option<()> {
    let cargo = tool("cargo", "cargo")?;
    let project = tempfile::tempdir_in(inside).unwrap();
    fs::create_dir(project.path().join("src")).unwrap();
    fs::write(project.path().join("src/lib.rs"), "").unwrap();
    let manifest = format!(
        "[package]\nname = \"pair\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
         [dependencies]\n{name} = \"={version}\"\n[workspace]\n"
    );
    fs::write(project.path().join("Cargo.toml"), manifest).unwrap();
    let vendor = |arguments: &[&str]| {
        let mut command = cargo.command();
        command.arg("vendor").args(arguments).current_dir(project.path()).output().unwrap()
    };
    let mut output = vendor(&["--quiet"]);
    if !output.status.success() {
        output = vendor(&["--quiet", "--offline"]);
    }
    if !output.status.success() {
        not_checked(&format!(
            "cannot get {name} {version}, set HOIST_CRATES: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
        return None;
    }
    fs::rename(project.path().join("vendor").join(name), to).unwrap();
    Some(())
}

/// The C files of a library as a crate carries them.
fn c_sources(name: &str, version: &str, inside: &str) -> Option<Vec<PathBuf>> {
    let sources = fs::read_dir(crate_sources(name, version)?.join(inside)).unwrap();
    let sources = sources.map(|entry| entry.unwrap().path());
    Some(sources.filter(|path| path.extension().is_some_and(|is| is == "c")).collect())
}

/// Two releases of a library, compiled with debug information.
fn releases(folder: &Path, name: &str, versions: [&str; 2], inside: &str) -> Option<[PathBuf; 2]> {
    let gcc = tool("gcc", "gcc")?;
    let mut built = Vec::new();
    for version in versions {
        let sources = c_sources(name, version, inside)?;
        let library = folder.join(format!("{name}-{version}.so"));
        let mut arguments: Vec<&OsStr> = ["-shared", "-fPIC", "-g", "-w", "-DHAVE_UNISTD_H", "-o"]
            .iter()
            .map(OsStr::new)
            .collect();
        arguments.push(library.as_os_str());
        arguments.extend(sources.iter().map(|path| path.as_os_str()));
        gcc.stdout(arguments);
        built.push(library);
    }
    built.try_into().ok()
}

/// Every removed export is one that abidiff names, and every struct and enum that broke as well.
fn agree_on_releases(name: &str, versions: [&str; 2], inside: &str, wanted: &[&str]) {
    let Some(abidiff) = tool("abidiff", "abigail-tools") else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some([old, new]) = releases(folder.path(), name, versions, inside) else { return };
    let comparison = compare(&old, &new);
    let output = abidiff.command().arg("--no-added-syms").args([&old, &new]).output().unwrap();
    let theirs = String::from_utf8_lossy(&output.stdout).into_owned();
    let removed = |text: &str| {
        theirs.lines().any(|line| line.trim_start().starts_with("[D]") && line.contains(text))
    };
    let mut broken: Vec<String> = Vec::new();
    for found in comparison.findings.iter().filter(|found| found.severity == Severity::Error) {
        let symbol = found.symbol.as_deref().unwrap();
        match (&*found.rule, &found.object) {
            ("abi.removed", _) => assert!(removed(symbol), "{found:?}\n{theirs}"),
            (_, Some(object)) => {
                assert!(theirs.contains(object.as_str()), "{found:?}\n{theirs}");
            }
            _ => assert!(theirs.contains(symbol), "{found:?}\n{theirs}"),
        }
        broken.push(format!("{} {}", found.rule, found.object.as_deref().unwrap_or(symbol)));
    }
    let removals = theirs.lines().filter(|line| line.trim_start().starts_with("[D]")).count();
    let ours = comparison.findings.iter().filter(|found| found.rule == "abi.removed").count();
    assert_eq!(ours, removals, "{theirs}");
    broken.sort();
    broken.dedup();
    assert_eq!(broken, wanted);
    assert!(compare(&old, &old).findings.is_empty(), "a build is compatible with itself");
}

#[test]
fn two_releases_of_lz4_are_judged_as_by_abidiff() {
    agree_on_releases(
        "lz4-sys",
        ["1.9.2", "1.11.1+lz4-1.10.0"],
        "liblz4/lib",
        &[
            "abi.enum_changed LZ4F_errorCodes",
            "abi.layout_changed LZ4F_CDict_s",
            "abi.layout_changed LZ4F_cctx_s",
            "abi.layout_changed LZ4F_dctx_s",
            "abi.layout_changed LZ4_streamDecode_t_internal",
            "abi.layout_changed LZ4_stream_t_internal",
            "abi.removed LZ4_compress_fast_force",
        ],
    );
}

#[test]
fn two_releases_of_zlib_are_judged_as_by_abidiff() {
    agree_on_releases(
        "libz-sys",
        ["1.1.8", "1.1.20"],
        "src/zlib",
        &["abi.layout_changed gz_state", "abi.layout_changed internal_state"],
    );
}
