//! What a daemon says before it answers: logs, activities, errors.

use std::io::{Read, Write};

use super::STRUCTURED_ERRORS;
use crate::wire::{ProtocolVersion, WireError, WireReader, WireWriter, plain_text};

const LAST: u64 = 0x616c_7473;
const ERROR: u64 = 0x6378_7470;
const NEXT: u64 = 0x6f6c_6d67;
const READ: u64 = 0x6461_7461;
const WRITE: u64 = 0x6461_7416;
const START_ACTIVITY: u64 = 0x5354_5254;
const STOP_ACTIVITY: u64 = 0x5354_4f50;
const RESULT: u64 = 0x5253_4c54;

/// One thing that a daemon says while it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// It is done; the response follows.
    Last,
    /// It failed; no response follows, the connection goes on.
    Error(ErrorMessage),
    /// A line of the log.
    Log(Vec<u8>),
    /// It wants at most so many bytes, as one string; before frames, only of old clients.
    Read(u64),
    /// Bytes of what old clients export.
    Write(Vec<u8>),
    /// Something begins.
    StartActivity(Activity),
    /// Something ended.
    StopActivity {
        /// The number that it began with.
        id: u64,
    },
    /// How something goes on.
    Result {
        /// The number that it began with.
        id: u64,
        /// What is told; `ResultType` of Nix's `logging.hh`.
        kind: u64,
        /// Its details.
        fields: Vec<Field>,
    },
}

/// Something that takes a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// A number for it.
    pub id: u64,
    /// How much it matters: 0 for errors to 7 for what only Nix's authors read.
    pub level: u64,
    /// What it is; `ActivityType` of Nix's `logging.hh`.
    pub kind: u64,
    /// For people.
    pub text: Vec<u8>,
    /// Its details.
    pub fields: Vec<Field>,
    /// The activity that it is part of; 0 for none.
    pub parent: u64,
}

/// A detail of an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// A number.
    Number(u64),
    /// A string.
    Text(Vec<u8>),
}

/// Why a daemon failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorMessage {
    /// In colours of a terminal; [`plain`](Self::plain) is without.
    pub text: Vec<u8>,
    /// How much it matters, 0 for errors; since 1.26.
    pub level: u64,
    /// What led to it, innermost first; since 1.26.
    pub traces: Vec<Vec<u8>>,
    /// The exit status that it suggests; before 1.26.
    pub exit_status: u64,
}

impl ErrorMessage {
    /// The text and its traces without colours, a line each, and without `error: ` before them.
    #[must_use]
    pub fn plain(&self) -> String {
        let text = plain_text(&self.text);
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned();
        self.traces.iter().fold(text, |text, trace| text + "\n" + plain_text(trace).trim_end())
    }
}

impl Message {
    /// Reads the next message.
    ///
    /// # Errors
    ///
    /// [`WireError::Message`] for what begins no message, and those of reading.
    pub fn read(
        reader: &mut WireReader<impl Read>,
        version: ProtocolVersion,
    ) -> Result<Self, WireError> {
        reader.begin_message();
        let offset = reader.offset();
        Ok(match reader.number()? {
            LAST => Self::Last,
            ERROR => Self::Error(ErrorMessage::read(reader, version)?),
            NEXT => Self::Log(reader.string("line of the log")?),
            READ => Self::Read(reader.number()?),
            WRITE => Self::Write(reader.string("data")?),
            START_ACTIVITY => Self::StartActivity(Activity {
                id: reader.number()?,
                level: reader.number()?,
                kind: reader.number()?,
                text: reader.string("text of an activity")?,
                fields: reader.list("field of an activity", Field::read)?,
                parent: reader.number()?,
            }),
            STOP_ACTIVITY => Self::StopActivity { id: reader.number()? },
            RESULT => Self::Result {
                id: reader.number()?,
                kind: reader.number()?,
                fields: reader.list("field of a result", Field::read)?,
            },
            found => return Err(WireError::Message { offset, found }),
        })
    }

    /// Writes the message.
    ///
    /// # Errors
    ///
    /// [`WireError::Write`] when the writer below fails.
    pub fn write(
        &self,
        writer: &mut WireWriter<impl Write>,
        version: ProtocolVersion,
    ) -> Result<(), WireError> {
        match self {
            Self::Last => writer.number(LAST),
            Self::Error(error) => {
                writer.number(ERROR)?;
                error.write(writer, version)
            }
            Self::Log(line) => {
                writer.number(NEXT)?;
                writer.string(line)
            }
            Self::Read(len) => {
                writer.number(READ)?;
                writer.number(*len)
            }
            Self::Write(data) => {
                writer.number(WRITE)?;
                writer.string(data)
            }
            Self::StartActivity(activity) => {
                writer.number(START_ACTIVITY)?;
                writer.number(activity.id)?;
                writer.number(activity.level)?;
                writer.number(activity.kind)?;
                writer.string(&activity.text)?;
                writer.list(&activity.fields, Field::write)?;
                writer.number(activity.parent)
            }
            Self::StopActivity { id } => {
                writer.number(STOP_ACTIVITY)?;
                writer.number(*id)
            }
            Self::Result { id, kind, fields } => {
                writer.number(RESULT)?;
                writer.number(*id)?;
                writer.number(*kind)?;
                writer.list(fields, Field::write)
            }
        }
    }
}

impl Field {
    fn read(reader: &mut WireReader<impl Read>) -> Result<Self, WireError> {
        let offset = reader.offset();
        match reader.number()? {
            0 => reader.number().map(Self::Number),
            1 => reader.string("field").map(Self::Text),
            found => {
                Err(WireError::Number { offset, what: "kind of a field", found, wanted: "0 or 1" })
            }
        }
    }

    fn write<W: Write>(writer: &mut WireWriter<W>, field: &Self) -> Result<(), WireError> {
        match field {
            Self::Number(number) => {
                writer.number(0)?;
                writer.number(*number)
            }
            Self::Text(text) => {
                writer.number(1)?;
                writer.string(text)
            }
        }
    }
}

impl ErrorMessage {
    fn read(
        reader: &mut WireReader<impl Read>,
        version: ProtocolVersion,
    ) -> Result<Self, WireError> {
        if version < STRUCTURED_ERRORS {
            let (text, exit_status) = (reader.string("text of an error")?, reader.number()?);
            return Ok(Self { text, level: 0, traces: Vec::new(), exit_status });
        }
        expect_text(reader, "type of an error")?;
        let level = reader.number()?;
        expect_text(reader, "name of an error")?;
        let text = reader.string("text of an error")?;
        expect_no_place(reader)?;
        let traces = reader.list("trace of an error", |reader| {
            expect_no_place(reader)?;
            reader.string("trace of an error")
        })?;
        Ok(Self { text, level, traces, exit_status: 1 })
    }

    fn write(
        &self,
        writer: &mut WireWriter<impl Write>,
        version: ProtocolVersion,
    ) -> Result<(), WireError> {
        if version < STRUCTURED_ERRORS {
            writer.string(&self.text)?;
            return writer.number(self.exit_status);
        }
        writer.text("Error")?;
        writer.number(self.level)?;
        writer.text("Error")?;
        writer.string(&self.text)?;
        writer.number(0)?;
        writer.list(&self.traces, |writer, trace| {
            writer.number(0)?;
            writer.string(trace)
        })
    }
}

/// All errors are of type and name `Error`; Nix demands the first, and ignores the second.
fn expect_text(reader: &mut WireReader<impl Read>, what: &'static str) -> Result<(), WireError> {
    let offset = reader.offset();
    let text = reader.string(what)?;
    match text.as_slice() {
        b"Error" => Ok(()),
        _ => Err(WireError::Number {
            offset,
            what,
            found: text.len() as u64,
            wanted: "the text `Error`",
        }),
    }
}

/// No version of Nix sends places in sources over the wire, and each aborts when it finds one.
fn expect_no_place(reader: &mut WireReader<impl Read>) -> Result<(), WireError> {
    let offset = reader.offset();
    match reader.number()? {
        0 => Ok(()),
        found => {
            let what = "whether an error has a place";
            Err(WireError::Number { offset, what, found, wanted: "0" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_without_colours() {
        let text = b"\x1b[31;1merror:\x1b[0m no such path\n".to_vec();
        let traces = vec![b"while \x1b[1mlooking\x1b[0m".to_vec()];
        let error = ErrorMessage { text, level: 0, traces, exit_status: 1 };
        assert_eq!(error.plain(), "no such path\nwhile looking");
    }
}
