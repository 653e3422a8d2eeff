//! What a client may set for its connection.

use std::io::{Read, Write};

use crate::wire::{WireError, WireReader, WireWriter};

/// Settings of one connection, as `SetOptions` sends them. A daemon heeds few of those of a client
/// that it does not trust.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "settings of Nix, each a switch of its own")]
pub struct ClientSettings {
    /// Whether the folders of failed builds stay.
    pub keep_failed: bool,
    /// Whether other builds go on when one fails.
    pub keep_going: bool,
    /// Whether to build what cannot be fetched.
    pub fallback: bool,
    /// How much is logged: 0 for errors only, 3 as usual, 7 for everything.
    pub verbosity: u64,
    /// Most builds at the same time.
    pub max_jobs: u64,
    /// After how many seconds a build that says nothing is ended; 0 for never.
    pub max_silent_s: u64,
    /// The level that the output of builds is logged at; 0 shows it always, 7 hides it.
    pub build_log_level: u64,
    /// Cores for each build; 0 for all.
    pub cores: u64,
    /// Whether to fetch what is missing.
    pub substitute: bool,
    /// Other settings by their names in `nix.conf`.
    pub overrides: Vec<(String, String)>,
}

impl ClientSettings {
    /// Reads them; what has no meaning any more is ignored, as daemons do.
    pub(super) fn read(reader: &mut WireReader<impl Read>) -> Result<Self, WireError> {
        let [keep_failed, keep_going, fallback] = [
            reader.flag("`keep-failed`")?,
            reader.flag("`keep-going`")?,
            reader.flag("`fallback`")?,
        ];
        let [verbosity, max_jobs, max_silent_s] =
            [reader.number()?, reader.number()?, reader.number()?];
        let _use_build_hook = reader.number()?;
        let build_log_level = reader.number()?;
        let [_log_type, _print_build_trace] = [reader.number()?, reader.number()?];
        let cores = reader.number()?;
        let substitute = reader.flag("`substitute`")?;
        let overrides =
            reader.list("setting", |reader| Ok((reader.text("setting")?, reader.text("setting")?)));
        Ok(Self {
            keep_failed,
            keep_going,
            fallback,
            verbosity,
            max_jobs,
            max_silent_s,
            build_log_level,
            cores,
            substitute,
            overrides: overrides?,
        })
    }

    pub(super) fn write(&self, writer: &mut WireWriter<impl Write>) -> Result<(), WireError> {
        for flag in [self.keep_failed, self.keep_going, self.fallback] {
            writer.flag(flag)?;
        }
        for number in [self.verbosity, self.max_jobs, self.max_silent_s] {
            writer.number(number)?;
        }
        writer.number(1)?; // use the build hook
        writer.number(self.build_log_level)?;
        writer.number(0)?; // log type
        writer.number(0)?; // print a trace of builds
        writer.number(self.cores)?;
        writer.flag(self.substitute)?;
        writer.list(&self.overrides, |writer, (name, value)| {
            writer.text(name)?;
            writer.text(value)
        })
    }
}
