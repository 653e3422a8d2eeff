//! Why there is no build, as opposed to a build that failed.

use std::io;
use std::path::{Path, PathBuf};

use hoist_sandbox::SandboxError;
use hoist_schema::Exit;

/// Why a build could not be asked for or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum BuildError {
    /// The promise cannot be a Python module.
    #[error("no Python module can be written for these libraries")]
    Bindings(#[source] crate::BindingsError),

    /// A declared source matches nothing, so the build would silently miss it.
    #[error("the source `{glob}` matches no file below {}", project.display())]
    NoSuchSource { glob: String, project: PathBuf, nearest: Option<String> },

    /// A glob that cannot be read.
    #[error("`{glob}` is not a glob: {reason}")]
    BadGlob { glob: String, reason: String },

    /// A source that is neither a file nor a symlink to one inside the project.
    #[error("the source {} is {found}, not a regular file", path.display())]
    NotAFile { path: PathBuf, found: &'static str },

    /// A source whose name no manifest could tell.
    #[error("the name of the source {} is not UTF-8", path.display())]
    NotUtf8 { path: PathBuf },

    /// A header that the manifest names is not there.
    #[error("the header {} cannot be read", path.display())]
    NoHeader { path: PathBuf, source: io::Error },

    /// A header that does not say what is promised.
    #[error("the header {path} is not understood: {reason}")]
    BadHeader { path: String, reason: String },

    /// The compiler is not installed.
    #[error("no `{program}` on {searched}, which toolchain `{toolchain}` needs")]
    NoCompiler {
        program: String,
        toolchain: &'static str,
        /// Which search path, in words.
        searched: String,
        /// Where it is, when builds do not see it there.
        unseen: Option<PathBuf>,
    },

    /// A compiler was found, but not the tree that it needs.
    #[error("{} leads to no `{wanted}` of a whole installation", program.display())]
    NoTree { program: PathBuf, toolchain: &'static str, wanted: String },

    /// The toolchain has no preset in this version.
    #[error("toolchain `{toolchain}` has no preset in this version of hoist")]
    NoPreset { toolchain: &'static str },

    /// The preset cannot guess what the manifest leaves out.
    #[error("toolchain `{toolchain}` needs `{key}`: {reason}")]
    Unsaid { toolchain: &'static str, key: &'static str, reason: String },

    /// A tool that was asked about itself did not answer.
    #[error("`{command}` failed: {output}")]
    ToolFailed { command: String, output: String },

    /// Dependencies could not be fetched.
    #[error("the dependencies that the lock file pins cannot be had: {output}")]
    NoDependencies { output: String },

    /// A source was changed between looking at it and building it.
    #[error("{} changed while the build was being prepared", path.display())]
    Changed { path: PathBuf },

    /// The build ended well but did not leave a promised library.
    #[error("the build left no `{expected}`; it left {found}")]
    NoOutput { expected: String, found: String },

    /// A symlink that a build left where hoist reads or writes: it could lead anywhere.
    #[error("the build left a symlink at `{}`, and hoist follows none of a build", link.display())]
    LinkInTheWay { link: PathBuf },

    /// The sandbox could not be set up.
    #[error("the build could not be started")]
    Sandbox(#[source] SandboxError),

    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl BuildError {
    /// Wraps an I/O error with what was being done to which file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// What the reader can do about it, unless the message says it all.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoSuchSource { nearest: Some(nearest), .. } => {
                return Some(format!(
                    "there is `{nearest}`; correct [build] sources in hoist.toml"
                ));
            }
            Self::NoSuchSource { .. } | Self::BadGlob { .. } => {
                "correct [build] sources in hoist.toml"
            }
            Self::Bindings(_) => "correct the header, or leave `python` out of [package]",
            Self::NotAFile { .. } => "leave it out of [build] sources",
            Self::NotUtf8 { .. } => "rename it, or leave it out of [build] sources",
            Self::NoHeader { .. } => "correct `header` in [[library]] of hoist.toml",
            Self::BadHeader { .. } => {
                "keep to plain C declarations, or name the exports with `exports = [\"…\"]`"
            }
            Self::NoCompiler { unseen: Some(unseen), .. } => {
                return Some(format!(
                    "builds do not see {}; name the folder above its `bin` with `system` in \
                     [build], if that holds nothing but the compiler",
                    unseen.display()
                ));
            }
            Self::NoCompiler { program, .. } if program.contains('/') => {
                "correct `compiler` or `command` in [build]"
            }
            Self::NoCompiler { program, .. } => return Some(install_hint(program)),
            Self::NoTree { toolchain, .. } => {
                return Some(format!(
                    "{}, or name the compiler itself with `compiler` in [build]",
                    install_hint(toolchain)
                ));
            }
            Self::NoPreset { .. } => "use `toolchain = \"custom\"` with `command` and `system`",
            Self::Unsaid { key, .. } => return Some(format!("add `{key}` to hoist.toml")),
            Self::NoDependencies { .. } => {
                "connect this machine once; they are kept for later builds"
            }
            Self::Changed { .. } => "run it again",
            Self::NoOutput { .. } => {
                "let the command write it below {out}, or name where it lies with `built` in \
                 [[library]]"
            }
            Self::LinkInTheWay { .. } => {
                "let the build leave a folder or a file there; `--cold` starts with an empty \
                 compiler's cache"
            }
            Self::Sandbox(error) => return error.hint(),
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull => {
                    "free some space, or set HOIST_CACHE_DIR to a disk that has it"
                }
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    "set HOIST_CACHE_DIR to a folder that you can write"
                }
                _ => return None,
            },
            Self::ToolFailed { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// The exit code of a command that ends with it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoSuchSource { .. }
            | Self::BadGlob { .. }
            | Self::NotAFile { .. }
            | Self::NotUtf8 { .. }
            | Self::NoHeader { .. }
            | Self::BadHeader { .. }
            | Self::Bindings(_)
            | Self::NoPreset { .. }
            | Self::Unsaid { .. } => Exit::Usage,
            Self::NoOutput { .. } | Self::LinkInTheWay { .. } => Exit::No,
            Self::NoDependencies { .. } => Exit::Remote,
            Self::NoCompiler { .. }
            | Self::NoTree { .. }
            | Self::ToolFailed { .. }
            | Self::Changed { .. }
            | Self::Sandbox(_)
            | Self::Io { .. } => Exit::Machine,
        }
    }
}

fn install_hint(program: &str) -> String {
    match program {
        "cargo" | "rustc" => "install Rust from https://rustup.rs".to_owned(),
        "cc" | "gcc" => "install a C compiler, as with `apt-get install gcc`".to_owned(),
        "c++" | "g++" => "install a C++ compiler, as with `apt-get install g++`".to_owned(),
        "mojo" => {
            "install Mojo into the project, as with `python3 -m venv .venv && .venv/bin/pip install \
             mojo`"
                .to_owned()
        }
        "go" => "install Go, as with `apt-get install golang-go`".to_owned(),
        "zig" => {
            "install Zig into the project, as with `python3 -m venv .venv && .venv/bin/pip install \
             ziglang`"
                .to_owned()
        }
        _ => format!("install `{program}`, or correct [build] command in hoist.toml"),
    }
}
