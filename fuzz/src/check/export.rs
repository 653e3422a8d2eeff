//! Streams of `nix-store --export`.

use std::io::Write as _;

use hoist_nix::{ExportError, ExportReader, ExportWriter, NarLimits, StoreDir};

/// Any bytes are refused, or are the only stream of the paths that are exported.
///
/// # Panics
///
/// Where that does not hold.
pub fn export(bytes: &[u8]) {
    let Ok(again) = rewrite(bytes) else { return };
    assert_eq!(again, bytes, "accepted, and another stream of the same paths");
}

fn rewrite(bytes: &[u8]) -> Result<Vec<u8>, ExportError> {
    let mut reader = ExportReader::new(bytes, StoreDir::default(), NarLimits::default());
    let mut writer = ExportWriter::new(Vec::new(), StoreDir::default());
    loop {
        let mut nar = Vec::new();
        let Some(path) = reader.next_path_into(&mut nar)? else { break };
        let written = writer.path(&path, |out| -> Result<(), ExportError> {
            out.write_all(&nar).expect("a vector takes every byte");
            Ok(())
        });
        written.expect("a vector takes every byte");
    }
    Ok(writer.finish().expect("a vector takes every byte"))
}
