//! `hoist.toml`: what a project ships and what is asked of it.
//!
//! [`Manifest::parse`] reads it; [`json_schema`] describes it to editors.

mod day;
mod error;
mod parse;
mod units;
mod unknown;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Severity;

pub use day::Day;
pub use error::{ManifestError, Problem};
pub(crate) use parse::is_inside;
pub use parse::json_schema;
pub use units::{GlibcVersion, LibstdcxxVersion, SizeRange, Timeout};
pub(crate) use unknown::nearest_key;

/// The file's name in a project folder.
pub const MANIFEST_FILE: &str = "hoist.toml";

/// A whole `hoist.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What the artifact is called.
    pub package: Package,
    /// How it is built.
    pub build: Build,
    /// The shared libraries it promises, at least one.
    #[serde(default)]
    pub library: Vec<Library>,
    /// What is asked of every library.
    #[serde(default)]
    pub check: Check,
    /// A measured gate; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bench: Option<Bench>,
    /// Binary caches to push to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<Push>,
    /// Hosts to deploy to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<Deploy>,
    /// How a new generation spreads over the hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// `[package]`: the store path's name is `NAME-VERSION`, the profile's is `NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Letters, digits and `+-._?=`, starting with a letter or digit.
    pub name: String,
    /// The same characters.
    pub version: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Name of a Python module, typed by the headers, to pack with the artifact; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
}

impl Package {
    /// The store path's name.
    #[must_use]
    pub fn store_name(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// A preset that fills in what `[build]` leaves unsaid.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ToolchainKind {
    /// Rust, by cargo.
    Cargo,
    /// C, by the system's `cc`.
    Cc,
    /// C++, by the system's `c++`.
    #[serde(rename = "c++")]
    Cxx,
    /// Mojo.
    Mojo,
    /// Zig.
    Zig,
    /// Go, `-buildmode=c-shared`.
    Go,
    /// Crystal.
    Crystal,
    /// Swift.
    Swift,
    /// Anything else: `command` says it all.
    Custom,
}

impl ToolchainKind {
    /// The word in `hoist.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::Cc => "cc",
            Self::Cxx => "c++",
            Self::Mojo => "mojo",
            Self::Zig => "zig",
            Self::Go => "go",
            Self::Crystal => "crystal",
            Self::Swift => "swift",
            Self::Custom => "custom",
        }
    }
}

/// `[build]`: the action that makes the output tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The preset.
    pub toolchain: ToolchainKind,
    /// Globs below the project folder; only these files exist in the sandbox.
    pub sources: Vec<String>,
    /// The compiler, where it is not the preset's first choice: a program's name, or a path from `/`
    /// or from the project folder on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiler: Option<String>,
    /// Program and arguments, without a shell. `{out}` stands for the output folder, `{cache}` for
    /// the compiler cache that is kept between builds. The preset's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Environment variables added to the sandbox's fixed ones.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Host folders, besides the system's, that the build may read; absolute.
    #[serde(default)]
    pub system: Vec<String>,
    /// Whether the build may use the network; its result is then not hermetic.
    #[serde(default)]
    pub network: bool,
    /// Longest wall time, e.g. `90s` or `10m`.
    #[serde(default)]
    pub timeout: Timeout,
}

/// `[[library]]`: one shared library and its promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// Where it lies in the artifact, e.g. `lib/libpattern_search.so`.
    pub path: String,
    /// C header whose prototypes are the promised exports and signatures; also packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Promised exports by name, where there is no header or beside it.
    #[serde(default)]
    pub exports: Vec<String>,
    /// Where the build leaves the file when it does not write into `{out}` itself; may hold
    /// `{cache}`. The presets of cargo and Go know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built: Option<String>,
}

/// An x86-64 microarchitecture level, as the psABI names them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum IsaLevel {
    /// The baseline.
    #[serde(rename = "x86-64")]
    V1,
    /// SSE4.2, POPCNT.
    #[serde(rename = "x86-64-v2")]
    V2,
    /// AVX2, FMA.
    #[serde(rename = "x86-64-v3")]
    V3,
    /// AVX-512.
    #[serde(rename = "x86-64-v4")]
    V4,
}

impl IsaLevel {
    /// The word in `hoist.toml`, which LLVM and GCC know as a CPU too.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "x86-64",
            Self::V2 => "x86-64-v2",
            Self::V3 => "x86-64-v3",
            Self::V4 => "x86-64-v4",
        }
    }
}

/// `[check]`: what is asked of every library of the artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Oldest glibc that must load it, e.g. `2.31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glibc: Option<GlibcVersion>,
    /// Oldest libstdc++ that must load it, by its newest `GLIBCXX_` version, e.g. `3.4.30`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libstdcxx: Option<LibstdcxxVersion>,
    /// What the fleet's CPUs have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isa: Option<IsaLevel>,
    /// Smallest and largest file size, e.g. `1KiB..1MiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<SizeRange>,
    /// Refuse exports that the header does not declare.
    #[serde(default)]
    pub exports_exact: bool,
    /// How severe each rule is and what is asked besides: `default`, `nix`, `strict`, or
    /// `manylinux_2_28` and its siblings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(default|nix|strict|manylinux_2_[0-9]+)$"))]
    pub policy: Option<String>,
    /// Load the libraries in a sandbox of their own. When unsaid, where this machine gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<bool>,
    /// Longest time that loading one may take; 10 seconds when unsaid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_timeout: Option<Timeout>,
    /// Findings that are judged otherwise, each for a reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waive: Vec<Waive>,
}

/// `[[check.waive]]`: findings of one rule that are judged otherwise, for a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waive {
    /// The rule's id, e.g. `harden.bind_now`.
    pub rule: String,
    /// Only for this library, by its path in the artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    /// Only for this symbol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// What the findings count as.
    #[serde(default = "info")]
    pub severity: Severity,
    /// Why; shown beside the finding.
    pub reason: String,
    /// The last day on which it counts; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Day>,
}

fn info() -> Severity {
    Severity::Info
}

/// `[bench]`: a command that prints a JSON object of measurements, held against bars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bench {
    /// Program and arguments, without a shell, started in the project folder.
    pub command: Vec<String>,
    /// Python wheels the command is better with; hoist makes a virtual environment when they are
    /// missing, and runs without them when they cannot be had.
    #[serde(default)]
    pub wheels: Vec<String>,
    /// Smallest value of each measurement that opens the gate.
    #[serde(default)]
    pub min: BTreeMap<String, f64>,
    /// Longest wall time of the command.
    #[serde(default)]
    pub timeout: Timeout,
}

/// `[push]`: binary caches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// `file://`, `s3://` or `https://` addresses.
    pub to: Vec<String>,
}

/// `[deploy]`: hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// `ssh://` addresses.
    pub hosts: Vec<String>,
}

/// `[rollout]`: progressive delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// Share of the hosts at each stage, in per cent, rising to 100.
    pub stages: Vec<u8>,
}
