//! What hoist and its init tell each other, as JSON: both are the same executable.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::level::{Level, Obstacle};
use crate::spec::{HostSpec, Outcome, Spec};

/// What the init is asked to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request<'a> {
    /// Run a command in a sandbox; without a user namespace this takes root.
    Run { spec: Cow<'a, Spec>, user_namespace: bool },
    /// Set up a sandbox and say how far that went.
    Probe { user_namespace: bool },
    /// Run a command without a sandbox.
    RunOnHost { spec: Cow<'a, HostSpec> },
}

/// What the init answers. The first answer counts.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The command ran.
    Ended(Outcome),
    /// The probe's answer, with what stood in the way of more.
    Reached { level: Level, obstacle: Option<Obstacle> },
    /// The command was not started.
    Failed(Failure),
}

/// Why the init could not start the command.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    /// The kernel forbids this level; a lower one may work.
    Obstacle(Obstacle),
    MountSource {
        #[serde(with = "path")]
        source: PathBuf,
        #[serde(with = "path")]
        target: PathBuf,
        errno: i32,
    },
    CommandNotFound {
        command: String,
        /// Absent when the command names a file.
        path: Option<String>,
    },
    LoaderNotFound {
        #[serde(with = "path")]
        program: PathBuf,
    },
    NotExecutable {
        #[serde(with = "path")]
        program: PathBuf,
        errno: i32,
    },
    /// `step` completes the sentence “cannot … `path`”.
    Step {
        step: String,
        #[serde(with = "path")]
        path: PathBuf,
        errno: i32,
    },
}

impl Failure {
    /// A step that failed at a path, to be given to `map_err`.
    pub(crate) fn step<E: Into<std::io::Error>>(
        step: &str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        move |error| Self::Step { step: step.to_owned(), path: path.into(), errno: errno(error) }
    }
}

/// The number of a system error, `EIO` for one that the standard library made up.
pub(crate) fn errno<E: Into<std::io::Error>>(error: E) -> i32 {
    error.into().raw_os_error().unwrap_or(libc::EIO)
}

/// Paths as `OsString`s: serde's own form of a path refuses what is not UTF-8.
pub(crate) mod path {
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(crate) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<PathBuf, D::Error> {
        OsString::deserialize(deserializer).map(PathBuf::from)
    }
}

/// Maps as lists of pairs: JSON's keys are UTF-8, names in an environment need not be.
pub(crate) mod pairs {
    use std::collections::BTreeMap;
    use std::ffi::OsString;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        map: &BTreeMap<OsString, OsString>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<OsString, OsString>, D::Error> {
        Vec::<(OsString, OsString)>::deserialize(deserializer).map(BTreeMap::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    use proptest::prelude::*;

    use super::*;
    use crate::spec::Limits;

    fn text() -> impl Strategy<Value = OsString> {
        prop::collection::vec(any::<u8>(), 0..12).prop_map(OsString::from_vec)
    }

    proptest! {
        /// A command in any bytes arrives as it was sent.
        #[test]
        fn a_request_survives_the_way(
            command in prop::collection::vec(text(), 0..4),
            env in prop::collection::btree_map(text(), text(), 0..4),
            cwd in text(),
        ) {
            let spec = HostSpec { command, env, cwd: cwd.into(), limits: Limits::default() };
            let json = serde_json::to_vec(&spec)?;
            prop_assert_eq!(serde_json::from_slice::<HostSpec>(&json)?, spec);
        }
    }

    #[test]
    fn an_error_without_a_number_becomes_an_input_output_error() {
        assert_eq!(errno(std::io::Error::other("no number")), libc::EIO);
        assert_eq!(errno(std::io::Error::from_raw_os_error(libc::EPERM)), libc::EPERM);
    }
}
