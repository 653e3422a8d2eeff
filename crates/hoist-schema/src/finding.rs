//! Findings: the answers of a check, as opposed to errors, which are no answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing to do.
    Info,
    /// Works here, may fail or surprise elsewhere; does not stop a ship.
    Warning,
    /// Must not land: the check answers no.
    Error,
}

/// One answer of a check about one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable id of the rule, `group.name`, e.g. `export.missing`; `hoist explain ID` tells more.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// The file it is about, as the user named it or relative to the artifact.
    pub file: String,
    /// The symbol it is about, as the file spells it and without its version; absent when it is
    /// about none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// The other library it is about, as in `DT_NEEDED`, or the type or the version; absent when
    /// it is about none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// One line: what was found, where, and what was wanted.
    pub message: String,
    /// What the reader can do about it, one line; empty when there is nothing to do.
    pub fix: String,
    /// Why it is judged otherwise than its rule says; absent when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<Waived>,
}

/// Why a finding is judged otherwise than its rule and the policy say: a `[[check.waive]]` of
/// `hoist.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waived {
    /// What the author wrote.
    pub reason: String,
    /// The last day on which it counts, as `2027-01-31`; absent when it always does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How bad the finding is without it.
    pub otherwise: Severity,
}
