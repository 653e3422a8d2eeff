//! Derivations and exports that hoist makes, given to every installed release of Nix.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};

use hoist_nix::{
    ContentAddress, Derivation, DerivationError, DerivationOutput, ExportError, ExportWriter,
    ExportedPath, NarWriter, OutputMethod, OutputName, OutputPaths, Sha256Hash, StoreDir,
    StorePath, StorePathName,
};
use hoist_testkit::nix_releases;

type Derivations = BTreeMap<StorePath, Derivation>;

fn output(name: &str) -> OutputName {
    OutputName::parse(name).unwrap()
}

/// Adds a derivation with an environment that needs every escape, and returns its path.
fn add(
    derivations: &mut Derivations,
    name: &str,
    outputs: &[(&str, DerivationOutput)],
    inputs: &[(&StorePath, &[&str])],
    sources: &[&StorePath],
) -> StorePath {
    let dir = StoreDir::default();
    let input = |(path, outputs): &(&StorePath, &[&str])| {
        ((*path).clone(), outputs.iter().map(|name| output(name)).collect())
    };
    let mut derivation = Derivation {
        name: StorePathName::parse(name).unwrap(),
        outputs: outputs.iter().map(|(name, kind)| (output(name), kind.clone())).collect(),
        input_derivations: inputs.iter().map(input).collect(),
        input_sources: sources.iter().map(|path| (*path).clone()).collect(),
        platform: b"x86_64-linux".to_vec(),
        builder: b"/bin/sh".to_vec(),
        args: vec![b"-c".to_vec(), b"echo \"$x\" \\\n\t\r> $out".to_vec(), Vec::new()],
        env: BTreeMap::from([(b"x".to_vec(), b"\xff\x01 \"\\\n".to_vec())]),
    };
    let lookup = |path: &StorePath| Ok::<_, DerivationError>(derivations[path].clone());
    OutputPaths::new(dir.clone()).fill(&mut derivation, lookup).unwrap();
    let path = derivation.store_path(&dir).unwrap();
    derivations.insert(path.clone(), derivation);
    path
}

/// A source, and derivations of every kind of output that needs no experiment.
fn made_by_hoist() -> (StorePath, Derivations) {
    let dir = StoreDir::default();
    let name = StorePathName::parse("source.txt").unwrap();
    let source = ContentAddress::Text(Sha256Hash::of(b"source\n"));
    let source = source.store_path(&dir, &name, &[]).unwrap();

    let mut made = Derivations::new();
    let fixed = |method| DerivationOutput::Fixed { method, hash: Sha256Hash::of(b"fixed").into() };
    let flat = [("out", fixed(OutputMethod::Flat))];
    let recursive = [("out", fixed(OutputMethod::Recursive))];
    let later = DerivationOutput::Deferred;
    let fetched = add(&mut made, "fetched", &flat, &[], &[]);
    let unpacked = add(&mut made, "unpacked", &recursive, &[(&fetched, &["out"])], &[]);
    let outputs = ["dev", "lib", "out"].map(|name| (name, later.clone()));
    let inputs: [(&StorePath, &[&str]); 2] = [(&fetched, &["out"]), (&unpacked, &["out"])];
    let library = add(&mut made, "library-1.0", &outputs, &inputs, &[&source]);
    let inputs: [(&StorePath, &[&str]); 2] = [(&library, &["dev", "lib"]), (&unpacked, &["out"])];
    add(&mut made, "program", &[("bin", later)], &inputs, &[]);
    (source, made)
}

/// The closure as an export, references first.
fn export(source: &StorePath, made: &Derivations) -> (Vec<StorePath>, Vec<u8>) {
    let dir = StoreDir::default();
    let mut writer = ExportWriter::new(Vec::new(), dir.clone());
    let mut order: Vec<StorePath> = Vec::new();
    let mut write = |path: &StorePath, references: BTreeSet<StorePath>, contents: &[u8]| {
        let references = references.into_iter().collect();
        let said = ExportedPath { path: path.clone(), references, deriver: None };
        let written = writer.path(&said, |out| -> Result<(), ExportError> {
            let mut nar = NarWriter::new(out).unwrap();
            nar.file(false, contents.len() as u64, &mut &*contents).unwrap();
            Ok(())
        });
        written.unwrap();
        order.push(path.clone());
    };
    write(source, BTreeSet::new(), b"source\n");
    let mut left: Vec<(&StorePath, &Derivation)> = made.iter().collect();
    let mut written: BTreeSet<StorePath> = BTreeSet::from([source.clone()]);
    while !left.is_empty() {
        left.retain(|(path, derivation)| {
            let is_next = derivation.references().is_subset(&written);
            if is_next {
                write(path, derivation.references(), &derivation.to_aterm(&dir));
                written.insert((*path).clone());
            }
            !is_next
        });
    }
    (order, writer.finish().unwrap())
}

/// Nix checks on import that the outputs of a derivation are those that follow from it.
#[test]
fn nix_takes_derivations_from_an_export_and_exports_them_the_same() {
    let dir = StoreDir::default();
    let (source, made) = made_by_hoist();
    let (order, stream) = export(&source, &made);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stream");
    fs::write(&file, &stream).unwrap();
    for release in nix_releases() {
        let root = folder.path().join(release.version());
        let store = format!("local?root={}", root.display());
        let nix_store = |args: &[&str]| {
            let mut command = release.command("nix-store");
            command.args(["--store", &store]).args(args);
            command
        };
        let imported = nix_store(&["--import"]).stdin(File::open(&file).unwrap()).output().unwrap();
        let said = String::from_utf8_lossy(&imported.stderr);
        assert!(imported.status.success(), "{release}: {said}");

        let printed: Vec<String> = order.iter().map(|path| dir.print(path)).collect();
        let mut arguments = vec!["--export"];
        arguments.extend(printed.iter().map(String::as_str));
        let exported = nix_store(&arguments).output().unwrap();
        assert!(exported.stdout == stream, "{release} exports another stream");

        for (path, derivation) in &made {
            let told = nix_store(&["-q", "--outputs", &dir.print(path)]).output().unwrap();
            let told = String::from_utf8(told.stdout).unwrap();
            let lookup = |path: &StorePath| Ok::<_, DerivationError>(made[path].clone());
            let ours = OutputPaths::new(dir.clone()).of(derivation, lookup).unwrap();
            let ours: BTreeSet<String> =
                ours.into_values().map(|path| dir.print(&path.unwrap())).collect();
            let theirs: BTreeSet<String> = told.lines().map(str::to_owned).collect();
            assert_eq!(ours, theirs, "{release}: {path}");
        }
    }
}
