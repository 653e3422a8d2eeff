//! What is said of builds. hoist asks for none; real clients ask for paths that are there already.

use std::io::{Read, Write};

use super::CPU_TIMES;
use crate::StorePath;
use crate::wire::{ProtocolVersion, WireError, WireReader, WireWriter};

/// Something that a build would make: a path, or outputs of a derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedPath {
    /// The path itself, or that of the derivation.
    pub path: StorePath,
    /// Which outputs of the derivation: their names with commas between them, or `*`.
    pub outputs: Option<String>,
}

/// How one build went; the statuses are those of Nix's `build-result.hh`, 2 for one that was not
/// needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildResult {
    /// What was asked for.
    pub target: DerivedPath,
    /// How it went.
    pub status: u64,
    /// Why it failed.
    pub error: Vec<u8>,
    /// How often it was built.
    pub times_built: u64,
    /// Whether its outputs differed.
    pub is_non_deterministic: bool,
    /// When it began, in seconds since 1970.
    pub started_unix: u64,
    /// When it ended, in seconds since 1970.
    pub ended_unix: u64,
    /// Time on processors in microseconds, the build's own and the system's for it; since 1.37.
    pub cpu_us: [Option<u64>; 2],
    /// The outputs: their ids and what is known of them, as JSON.
    pub outputs: Vec<(String, String)>,
}

impl DerivedPath {
    pub(super) fn read(reader: &mut WireReader<impl Read>) -> Result<Self, WireError> {
        let (offset, what) = (reader.offset(), "what to build");
        let text = reader.text(what)?;
        let (path, outputs) = match text.split_once('!') {
            Some((path, outputs)) => (path, Some(outputs.to_owned())),
            None => (text.as_str(), None),
        };
        let parsed = reader.dir().parse_path(path);
        let path = parsed.map_err(|source| WireError::StorePath { offset, what, source })?;
        Ok(Self { path, outputs })
    }

    pub(super) fn write<W: Write>(
        writer: &mut WireWriter<W>,
        target: &Self,
    ) -> Result<(), WireError> {
        let path = writer.dir().print(&target.path);
        match &target.outputs {
            Some(outputs) => writer.text(&format!("{path}!{outputs}")),
            None => writer.text(&path),
        }
    }
}

impl BuildResult {
    pub(super) fn read(
        reader: &mut WireReader<impl Read>,
        version: ProtocolVersion,
    ) -> Result<Self, WireError> {
        let target = DerivedPath::read(reader)?;
        let status = reader.number()?;
        let error = reader.string("error of a build")?;
        let times_built = reader.number()?;
        let is_non_deterministic = reader.flag("whether a build is not deterministic")?;
        let [started_unix, ended_unix] = [reader.number()?, reader.number()?];
        let cpu_us = if version >= CPU_TIMES {
            [read_optional(reader)?, read_optional(reader)?]
        } else {
            [None; 2]
        };
        let outputs = reader.list("output of a build", |reader| {
            Ok((reader.text("id of an output")?, reader.text("output of a build")?))
        })?;
        Ok(Self {
            target,
            status,
            error,
            times_built,
            is_non_deterministic,
            started_unix,
            ended_unix,
            cpu_us,
            outputs,
        })
    }

    pub(super) fn write(
        &self,
        writer: &mut WireWriter<impl Write>,
        version: ProtocolVersion,
    ) -> Result<(), WireError> {
        DerivedPath::write(writer, &self.target)?;
        writer.number(self.status)?;
        writer.string(&self.error)?;
        writer.number(self.times_built)?;
        writer.flag(self.is_non_deterministic)?;
        writer.number(self.started_unix)?;
        writer.number(self.ended_unix)?;
        if version >= CPU_TIMES {
            for time_us in self.cpu_us {
                writer.flag(time_us.is_some())?;
                time_us.map_or(Ok(()), |time_us| writer.number(time_us))?;
            }
        }
        writer.list(&self.outputs, |writer, (id, output)| {
            writer.text(id)?;
            writer.text(output)
        })
    }
}

fn read_optional(reader: &mut WireReader<impl Read>) -> Result<Option<u64>, WireError> {
    if reader.flag("whether a time is known")? { reader.number().map(Some) } else { Ok(None) }
}
