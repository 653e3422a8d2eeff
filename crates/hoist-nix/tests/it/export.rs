//! Streams that Nix exported, and streams that Nix was given to import.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;

use hoist_nix::{
    ExportError, ExportReader, ExportWriter, ExportedPath, NarLimits, Sha256Hash, StoreDir,
    StorePath,
};

use crate::{base64, fixture, json, list, text};

fn reader(stream: &[u8]) -> ExportReader<&[u8]> {
    ExportReader::new(stream, StoreDir::default(), NarLimits::default())
}

fn read(stream: &[u8]) -> Result<Vec<(ExportedPath, Vec<u8>)>, ExportError> {
    let mut export = reader(stream);
    let (mut paths, mut nar) = (Vec::new(), Vec::new());
    while let Some(said) = export.next_path_into(&mut nar)? {
        paths.push((said, std::mem::take(&mut nar)));
    }
    Ok(paths)
}

/// Imports into a store that is empty, as far as a stream can say no.
fn import(stream: &[u8]) -> Result<Vec<StorePath>, ExportError> {
    let dir = StoreDir::default();
    let mut valid = BTreeSet::new();
    let mut imported = Vec::new();
    for (said, _) in read(stream)? {
        said.check_references(&dir, |reference| valid.contains(reference))?;
        valid.insert(said.path.clone());
        imported.push(said.path);
    }
    Ok(imported)
}

#[test]
fn exports_of_nix_are_read_and_written_again_the_same() {
    let vectors = json("export.json");
    let dir = StoreDir::default();
    for case in list(&vectors, "valid") {
        let stream = fs::read(fixture(text(case, "stream"))).unwrap();
        assert_eq!(Sha256Hash::of(&stream).base16(), text(case, "sha256_base16"));
        let paths = read(&stream).unwrap();
        let printed: Vec<String> = paths.iter().map(|(said, _)| dir.print(&said.path)).collect();
        assert!(list(case, "paths").iter().eq(&printed));
        for (said, nar) in &paths {
            let info = &case["path_info"][dir.print(&said.path)];
            let references: Vec<_> = said.references.iter().map(|path| dir.print(path)).collect();
            assert!(list(info, "references").iter().eq(&references));
            assert_eq!(Sha256Hash::of(nar).sri(), text(info, "narHash"));
            assert_eq!(info["narSize"], nar.len());
        }
        let mut export = ExportWriter::new(Vec::new(), dir.clone());
        for (said, nar) in &paths {
            export.path(said, |out| out.write_all(nar).map_err(ExportError::Write)).unwrap();
        }
        assert!(export.finish().unwrap() == stream, "{}", text(case, "name"));
        assert!(import(&stream).is_ok());
    }
    let count = list(&vectors, "valid").len();
    assert!(count > 0);
    println!("export: {count} vectors");
}

#[test]
fn an_export_may_lie_in_a_longer_stream() {
    for case in list(&json("export.json"), "valid") {
        let stream = fs::read(fixture(text(case, "stream"))).unwrap();
        let longer = [stream.as_slice(), b"more"].concat();
        let mut rest = longer.as_slice();
        let mut export =
            ExportReader::embedded(&mut rest, StoreDir::default(), NarLimits::default());
        let mut count = 0;
        // The archives are not looked at, and checked all the same.
        while export.next_path(|_| Ok::<_, ExportError>(())).unwrap().is_some() {
            count += 1;
        }
        assert!(export.next_path_into(&mut Vec::new()).unwrap().is_none());
        assert_eq!((count, rest), (list(case, "paths").len(), &b"more"[..]));
    }
}

/// hoist refuses what both versions refuse, and two things that both pass over. A path whose
/// contents were changed cannot be told from another: nothing in the stream says what they were.
#[test]
fn malformed_exports_are_refused() {
    let vectors = json("export.json");
    let stricter = ["legacy-signature-field", "trailing-garbage"];
    for case in list(&vectors, "malformed") {
        let name = text(case, "name");
        let accepted = case["result"]["accepted"] == true;
        let answer = import(&base64(text(case, "stream_b64")));
        assert_eq!(answer.is_ok(), accepted && !stricter.contains(&name), "{name}: {answer:?}");
    }
    let count = list(&vectors, "malformed").len();
    assert!(count > 0);
    println!("export: {count} malformed vectors");
}

#[test]
fn the_refusal_names_the_place() {
    let vectors = json("export.json");
    let cases = [
        ("empty", "the export ends at byte 0, in the middle"),
        ("marker-2", "found 0x2 at byte 0 of the export, wanted 1 before a path or 0 at the end"),
        ("truncated-nar", "the export ends at byte 60, in the middle"),
        (
            "bad-export-magic",
            "found 0x4558494f at byte 152 of the export, wanted 0x4558494e behind an archive",
        ),
        ("bad-store-path", "the path at byte 160 is wrong"),
        (
            "legacy-signature-field",
            "found 0x1 at byte 240 of the export, wanted 0: hoist reads no old signatures",
        ),
        ("trailing-garbage", "bytes follow the end of the export at byte 256"),
    ];
    for (name, wanted) in cases {
        let case = list(&vectors, "malformed").iter().find(|case| text(case, "name") == name);
        let stream = base64(text(case.unwrap(), "stream_b64"));
        assert_eq!(import(&stream).unwrap_err().to_string(), wanted, "{name}");
    }
}
