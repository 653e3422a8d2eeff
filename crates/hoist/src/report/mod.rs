//! What a check found, in the forms that people and other programs read. Each is a pure function of
//! [`Findings`]: the same findings give the same bytes.

mod junit;
mod sarif;
mod table;

use std::path::Path;

use hoist_schema::record::CheckRecord;

use crate::checking::Findings;

pub(crate) use table::{Shown, printable, severity_word, table};

/// A form of report for other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportForm {
    /// One JSON object.
    Json,
    /// SARIF 2.1.0, which code hosts show beside the code.
    Sarif,
    /// JUnit's XML, which build servers show as tests.
    Junit,
}

impl ReportForm {
    /// The form that a file of this name has; JSON for a name that says nothing.
    pub(crate) fn of_file(file: &Path) -> Self {
        let ending = |path: &Path| {
            let ending = path.extension().unwrap_or_default();
            ending.to_string_lossy().to_ascii_lowercase()
        };
        let is_sarif = |path: &Path| ending(path) == "sarif";
        match ending(file).as_str() {
            "sarif" => Self::Sarif,
            "json" if is_sarif(&file.with_extension("")) => Self::Sarif,
            "xml" => Self::Junit,
            _ => Self::Json,
        }
    }

    /// The whole report, with a newline at its end.
    pub(crate) fn render(self, findings: &Findings) -> String {
        match self {
            Self::Json => json(findings),
            Self::Sarif => sarif::sarif(findings),
            Self::Junit => junit::junit(findings),
        }
    }
}

fn json(findings: &Findings) -> String {
    let report = CheckRecord {
        libraries: findings.libraries.clone(),
        findings: findings.findings.clone(),
        worst: findings.worst(),
    };
    let mut text = serde_json::to_string_pretty(&report).expect("a report is plain data");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_in_the_form_of_its_name() {
        let form = |name: &str| ReportForm::of_file(Path::new(name));
        assert_eq!(form("out/hoist.sarif"), ReportForm::Sarif);
        assert_eq!(form("hoist.SARIF.json"), ReportForm::Sarif);
        assert_eq!(form("report.xml"), ReportForm::Junit);
        assert_eq!(form("report.json"), ReportForm::Json);
        assert_eq!(form("report"), ReportForm::Json);
    }
}
