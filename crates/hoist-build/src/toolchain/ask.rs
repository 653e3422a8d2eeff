//! Questions to compilers, answered from memory as long as nothing they depend on has changed:
//! starting `rustc` or `cc` to learn their version costs more than all else of a cached build.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::BuildError;
use crate::digest::{Stamp, write_atomically};

/// What an answer depends on.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grounds {
    /// Files by what the kernel says of them; an absent one is `None`.
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// Environment variables by value.
    variables: Vec<(String, Option<String>)>,
}

impl Grounds {
    /// Adds a file, present or absent.
    pub(super) fn file(&mut self, path: impl Into<PathBuf>) {
        let path = path.into();
        let stamp = fs::metadata(&path).ok().map(|metadata| Stamp::of(&metadata));
        self.files.push((path, stamp));
    }

    /// Adds an environment variable, set or not.
    pub(super) fn variable(&mut self, name: &str) {
        let value = env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        self.variables.push((name.to_owned(), value));
    }

    /// The same files and variables as they are now.
    fn today(&self) -> Self {
        let mut today = Self::default();
        self.files.iter().for_each(|(path, _)| today.file(path));
        self.variables.iter().for_each(|(name, _)| today.variable(name));
        today
    }
}

#[derive(Serialize, Deserialize)]
struct Memo<T> {
    /// What was known before asking; the question itself.
    question: Grounds,
    /// What the answer told to watch as well.
    answer_grounds: Grounds,
    answer: T,
}

/// Answers from `memory` when nothing changed since, else by `ask`, which also says what else the
/// answer depends on.
pub(super) fn remembered<T: Serialize + DeserializeOwned>(
    memory: &Path,
    question: Grounds,
    ask: impl FnOnce() -> Result<(T, Grounds), BuildError>,
) -> Result<T, BuildError> {
    let memo =
        fs::read(memory).ok().and_then(|bytes| serde_json::from_slice::<Memo<T>>(&bytes).ok());
    if let Some(memo) = memo
        && memo.question == question
        && memo.answer_grounds == memo.answer_grounds.today()
    {
        return Ok(memo.answer);
    }
    let (answer, answer_grounds) = ask()?;
    let memo = Memo { question, answer_grounds, answer };
    if let Ok(json) = serde_json::to_vec(&memo) {
        let _ = write_atomically(memory, &json); // an answer that is not remembered is asked again
    }
    Ok(memo.answer)
}

/// Runs a program that answers on standard output, and returns the answer trimmed.
pub(super) fn output(mut command: Command) -> Result<String, BuildError> {
    command.stdin(Stdio::null()).env("LC_ALL", "C");
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(BuildError::io("start", &program))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no word");
        Err(BuildError::ToolFailed {
            command: format!("{command:?}").replace('"', ""),
            output: last.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_remembered_until_a_file_it_rests_on_changes() {
        let home = tempfile::tempdir().unwrap();
        let (memory, compiler) = (home.path().join("memo.json"), home.path().join("cc"));
        fs::write(&compiler, "one").unwrap();
        let question = || {
            let mut grounds = Grounds::default();
            grounds.file(&compiler);
            grounds.file(home.path().join("absent"));
            grounds
        };
        let ask = |answer: &str| {
            let answer = answer.to_owned();
            remembered(&memory, question(), || Ok((answer, Grounds::default()))).unwrap()
        };
        assert_eq!(ask("first"), "first");
        assert_eq!(ask("second"), "first");
        fs::write(&compiler, "another").unwrap();
        assert_eq!(ask("third"), "third");
        fs::write(home.path().join("absent"), "").unwrap();
        assert_eq!(ask("fourth"), "fourth");
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        let args = ["-c", "echo one >&2; echo why it failed >&2; exit 3"];
        let mut command = Command::new("/bin/sh");
        command.args(args);
        let refusal = output(command).unwrap_err();
        assert!(refusal.to_string().ends_with("failed: why it failed"), "{refusal}");
    }
}
