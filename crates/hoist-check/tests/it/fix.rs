//! Repairs of small artifacts: what is drawn in, what is left alone, and where nothing is written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use hoist_check::fix::{FixError, FixOptions, Fixed, fix_tree};
use hoist_check::{Contract, Target};
use hoist_elf::testing::Library;
use hoist_elf::{Dynamic, ElfFacts, Machine};
use tempfile::TempDir;

/// The names of libraries that no machine has.
const DEP: &str = "libdep-q.so";
const STORE_PATH: &str = "/nix/store/h5iv7sg0y2drphrvwrqw50i4xgm2kdhg-help";

/// A folder with an artifact in `dist`, and with libraries elsewhere.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, library: &Library) {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, library.build()).unwrap();
    }

    /// The repair of `dist`, where libraries are taken from `from`.
    fn fix(&self, others: &Contract, from: &[&str]) -> Fixed {
        self.fix_with(&BTreeMap::new(), others, from)
    }

    fn fix_with(
        &self,
        contracts: &BTreeMap<String, Contract>,
        others: &Contract,
        from: &[&str],
    ) -> Fixed {
        let bundle_from = from.iter().map(|folder| self.path(folder)).collect();
        let options = FixOptions { bundle_from, ..FixOptions::default() };
        fix_tree(&self.path("dist"), &self.path("fixed"), contracts, others, &options).unwrap()
    }
}

fn needs(name: &'static str, runpath: Option<&'static str>) -> Library {
    Library { needed: vec![name], runpath, soname: None, ..Library::new() }
}

fn contract() -> Contract {
    Contract { references: None, ..Contract::new(Target::X86_64_LINUX) }
}

fn dynamic(fixed: &Fixed, path: &str) -> Dynamic {
    ElfFacts::read(&fixed.files[path]).unwrap().dynamic
}

fn paths(fixed: &Fixed) -> Vec<&str> {
    fixed.files.keys().map(String::as_str).collect()
}

fn names_in(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn nothing_is_written_through_a_link_of_the_artifact() {
    let bench = Bench::new();
    bench.write("dist/lib/libx.so", &needs(DEP, None));
    bench.write(&format!("deps/{DEP}"), &Library::new());
    fs::create_dir(bench.path("outside")).unwrap();
    symlink(bench.path("outside"), bench.path("dist/lib/libx.libs")).unwrap();
    let refusal = bench.fix(&contract(), &["deps"]).write().unwrap_err();
    assert!(matches!(refusal, FixError::NotAFolder { .. }), "{refusal}");
    let told = refusal.to_string();
    assert!(told.contains("lib/libx.libs`, which is not a folder"), "{told}");
    assert_eq!(names_in(&bench.path("outside")), 0);
    assert_eq!(names_in(&bench.path("")), 3, "no output, and nothing is left behind");
}

#[test]
fn what_lies_behind_a_link_out_of_the_artifact_is_not_in_it() {
    let bench = Bench::new();
    bench.write("dist/lib/libx.so", &needs(DEP, Some("$ORIGIN/out")));
    bench.write(&format!("outside/{DEP}"), &Library::new());
    symlink(bench.path("outside"), bench.path("dist/lib/out")).unwrap();
    let fixed = bench.fix(&contract(), &[]);
    assert_eq!(fixed.files.len(), 2, "it is bundled: {:?}", paths(&fixed));
    assert!(paths(&fixed)[0].starts_with("lib/libx.libs/libdep-q-"), "{:?}", paths(&fixed));
}

#[test]
fn what_the_store_has_is_left_there() {
    let bench = Bench::new();
    let runpath = "/home/ci/lib:/nix/store/h5iv7sg0y2drphrvwrqw50i4xgm2kdhg-help/lib";
    bench.write("dist/lib/libx.so", &needs(DEP, Some(runpath)));
    bench.write(&format!("root{STORE_PATH}/lib/{DEP}"), &Library::new());
    bench.write(&format!("deps/{DEP}"), &Library::new());
    let others = Contract { store_roots: vec![bench.path("root")], ..contract() };
    let fixed = bench.fix(&others, &["deps"]);
    assert_eq!(paths(&fixed), ["lib/libx.so"]);
    let now = dynamic(&fixed, "lib/libx.so");
    assert_eq!(now.needed, [DEP]);
    assert_eq!(now.runpath, Some(format!("{STORE_PATH}/lib")));
    assert!(fixed.worst() < Some(hoist_schema::Severity::Warning), "{:?}", fixed.after);
    // Where the store may not be needed, it is bundled.
    let forbidden_paths = vec!["/home".to_owned(), "/nix".to_owned()];
    let fixed = bench.fix(&Contract { forbidden_paths, ..others }, &["deps"]);
    assert_eq!(fixed.files.len(), 2, "{:?}", paths(&fixed));
    let now = dynamic(&fixed, "lib/libx.so");
    assert_eq!(now.runpath.as_deref(), Some("$ORIGIN/libx.libs"));
}

#[test]
fn each_machine_gets_libraries_of_its_own() {
    let bench = Bench::new();
    let arm = |library| Library { machine: Machine::AARCH64, ..library };
    bench.write("dist/arm/liba.so", &arm(needs(DEP, None)));
    bench.write("dist/x86/libx.so", &needs(DEP, None));
    // One that lies in the artifact, but is for the other machine.
    bench.write("dist/arm/libother-q.so", &arm(Library::new()));
    bench.write("dist/x86/liby.so", &needs("libother-q.so", None));
    bench.write(&format!("deps-arm/{DEP}"), &arm(Library::new()));
    bench.write(&format!("deps-x86/{DEP}"), &Library::new());
    bench.write("deps-x86/libother-q.so", &Library::new());
    let fixed = bench.fix(&contract(), &["deps-arm", "deps-x86"]);
    for (path, machine) in [
        ("arm/liba.so", Machine::AARCH64),
        ("x86/libx.so", Machine::X86_64),
        ("x86/liby.so", Machine::X86_64),
    ] {
        let [name] = &dynamic(&fixed, path).needed[..] else { panic!("{path}") };
        let bundled = fixed.files.iter().find(|(path, _)| path.ends_with(name.as_str()));
        let (_, bundled) = bundled.unwrap_or_else(|| panic!("{path}: {:?}", paths(&fixed)));
        assert_eq!(ElfFacts::read(bundled).unwrap().identity.machine, machine, "{path}");
    }
}

#[test]
fn what_the_hosts_of_a_library_have_is_not_bundled_for_it() {
    let bench = Bench::new();
    bench.write("dist/lib/libother.so", &needs(DEP, None));
    bench.write("dist/lib/libpromised.so", &needs(DEP, None));
    bench.write(&format!("deps/{DEP}"), &Library::new());
    let mut promised = contract();
    promised.system_libraries.push(DEP.to_owned());
    let contracts = BTreeMap::from([("lib/libpromised.so".to_owned(), promised)]);
    let fixed = bench.fix_with(&contracts, &contract(), &["deps"]);
    assert!(!fixed.files.contains_key("lib/libpromised.so"), "{:?}", paths(&fixed));
    assert!(dynamic(&fixed, "lib/libother.so").needed[0].starts_with("libdep-q-"));
}

#[test]
fn entries_are_read_as_the_check_reads_them() {
    let bench = Bench::new();
    let runpath = "$ORIGIN/../$LIB:/home/ci/lib:$ORIGINAL/x";
    bench.write("dist/bin/libx.so", &needs(DEP, Some(runpath)));
    bench.write(&format!("dist/lib64/{DEP}"), &Library::new());
    let fixed = bench.fix(&contract(), &[]);
    assert_eq!(dynamic(&fixed, "bin/libx.so").runpath.as_deref(), Some("$ORIGIN/../$LIB"));
}
