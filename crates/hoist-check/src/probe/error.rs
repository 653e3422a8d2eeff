//! Why a library could not be probed.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use hoist_elf::{Class, Machine};
use hoist_sandbox::SandboxError;

use crate::tree::TreeError;

/// Why a library was not loaded, so that nothing is known of what that would do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum ProbeError {
    /// This machine gives no sandbox, or its loader is not there.
    #[error("the load probe found no sandbox to work in")]
    Sandbox(#[from] SandboxError),

    /// Only such a machine can load it.
    #[error("the library is for {found} with {class:?}, and this machine is another")]
    OtherMachine { found: Machine, class: Class },

    /// Only its host process, such as Python, has what it needs.
    #[error("`{symbol}` is provided by the process that loads the library, which the probe is not")]
    NeedsHost { symbol: String },

    /// hoist was built where no glibc is.
    #[error("this hoist was built without a load probe, for want of glibc")]
    NoProgram,

    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },

    /// The sandbox has no privileges, also when root starts it.
    #[error("cannot read `{}` from within the sandbox", path.display())]
    Unreadable { path: PathBuf, source: io::Error },

    /// The probe's own start failed.
    #[error("the load probe could not begin: step {code} failed")]
    Program { code: i32 },
}

impl From<TreeError> for ProbeError {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Read { path, source } => Self::Read { path, source },
            TreeError::TooLarge { path, .. } | TreeError::TooMany { path } => {
                Self::Read { path, source: io::ErrorKind::FileTooLarge.into() }
            }
        }
    }
}

impl ProbeError {
    /// What the reader can do about it; empty when there is nothing to do here.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Sandbox(SandboxError::LoaderNotFound { .. }) => {
                "install glibc's loader (`ld-linux-x86-64.so.2`, `ld-linux-aarch64.so.1`), or probe \
                 on a machine like the target"
                    .to_owned()
            }
            Self::Sandbox(error) => error.hint().unwrap_or_default(),
            Self::OtherMachine { .. } => "probe it on a machine that it is for".to_owned(),
            Self::NeedsHost { .. } => "load it in its host, as its users do".to_owned(),
            Self::NoProgram => "build hoist for a system with glibc".to_owned(),
            Self::Unreadable { .. } => {
                "let everybody read it and pass through its folders (`chmod a+rX`)".to_owned()
            }
            Self::Read { .. } | Self::Program { .. } => String::new(),
        }
    }

    /// Whether it is about this machine, so that no other library can be probed here either.
    #[must_use]
    pub fn is_of_the_machine(&self) -> bool {
        matches!(self, Self::Sandbox(_) | Self::NoProgram | Self::Program { .. })
    }

    /// The message with its causes, for a line of its own.
    pub(crate) fn told(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
