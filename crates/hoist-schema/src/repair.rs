//! What `hoist check --fix` did about a finding.

use serde::{Deserialize, Serialize};

/// What was done about one finding, or why nothing was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// Id of the rule whose finding it is about.
    pub rule: String,
    /// The file it is about, relative to the artifact or as the user named it.
    pub file: String,
    /// Whether the finding is gone.
    pub made: bool,
    /// What the file said before; absent when the repair does not change a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it says now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// One line: what was done, or why nothing was and what to do instead.
    pub message: String,
}
