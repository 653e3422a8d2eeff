//! The score on the suite of good and bad libraries beside the project.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::bench::Subject;
use crate::run::quiet;
use crate::{Result, root};

/// How many cases gave exactly the findings that they expect.
pub(super) enum Score {
    /// The suite does not lie beside the project.
    Absent,
    Run {
        cases: usize,
        /// The others, with what was wrong about each.
        failures: Vec<(String, String)>,
    },
}

impl Score {
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Run { cases, failures } if *cases > 0 && failures.is_empty())
    }

    pub(super) fn record(&self) -> Value {
        match self {
            Self::Absent => json!({ "suite": "absent" }),
            Self::Run { cases, failures } => {
                json!({ "cases": cases, "passed": cases - failures.len(), "failures": failures })
            }
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => write!(f, "no suite: ../shared/fixtures/elf is not beside the project"),
            Self::Run { cases, failures } => {
                write!(f, "{} of {cases}", cases - failures.len())?;
                failures.iter().try_for_each(|(case, why)| write!(f, "\n  {case}: {why}"))
            }
        }
    }
}

/// Makes the cases below `home` and runs hoist over all of them.
pub(super) fn score(subject: &Subject, home: &Path) -> Result<Score> {
    let suite = root().join("../shared/fixtures/elf");
    if !suite.join("run.py").is_file() {
        return Ok(Score::Absent);
    }
    eprintln!("making the cases of the suite");
    let (cases, answers) = (home.join("cases"), home.join("answers.json"));
    quiet(Command::new(suite.join("make.sh")).arg(&cases))?;
    let hoist = subject.program.display();
    // A case that fails is no error of the run, so its exit code is not looked at.
    Command::new("python3")
        .arg(suite.join("run.py"))
        .arg(&cases)
        .arg("--tool")
        .arg(format!("{hoist} check --policy {{policy}} --format neutral {{artifact}}"))
        .arg("--json")
        .arg(&answers)
        .output()?;
    let answers: Value = serde_json::from_slice(&fs::read(&answers)?)?;
    let cases = answers["cases"].as_array().ok_or("the suite gave no cases")?;
    let failed = cases.iter().filter(|case| case["passed"] != true);
    let failures = failed.map(|case| {
        let name = case["case"].as_str().unwrap_or_default().to_owned();
        (name, case["problems"].to_string())
    });
    Ok(Score::Run { cases: cases.len(), failures: failures.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_full_when_no_case_failed_and_there_were_some() {
        let run = |failures: &[&str]| Score::Run {
            cases: 52,
            failures: failures.iter().map(|case| ((*case).to_owned(), "why".to_owned())).collect(),
        };
        assert!(run(&[]).is_full() && run(&[]).to_string() == "52 of 52");
        assert!(!run(&["tls_static"]).is_full());
        assert_eq!(run(&["tls_static"]).to_string(), "51 of 52\n  tls_static: why");
        assert!(!Score::Absent.is_full());
    }
}
