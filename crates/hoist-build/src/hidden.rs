//! Hidden inputs: files of the project that a failed build asked for but that were not declared,
//! and so were not there.

use std::collections::BTreeSet;
use std::path::Path;

use crate::Sources;

/// How many to name.
const MOST: usize = 5;

/// Longest log text that is searched, from its end, in bytes.
const SEARCHED: usize = 64 << 10;

/// Most files that are looked for: a log of many words in a project of many folders must not hold
/// up the message.
const MOST_LOOKS: usize = 20_000;

/// Files of the project that `log` mentions and that exist there, but are not declared.
///
/// Each is looked for as it is named, then in each folder of a declared source: compilers name an
/// include as it is written, relative to the file that asks for it.
pub(crate) fn undeclared(log: &str, sources: &Sources, build_folder: &Path) -> Vec<String> {
    let start = log.floor_char_boundary(log.len().saturating_sub(SEARCHED));
    let build_folder = format!("{}/", build_folder.display());
    let is_part = |c: char| c.is_alphanumeric() || "/._-+@".contains(c);
    let words: BTreeSet<&str> = log[start..]
        .split(|c| !is_part(c))
        .map(|word| word.strip_prefix(&build_folder).unwrap_or(word))
        .map(|word| word.trim_end_matches(['.', '-']))
        .filter(|word| word.contains('.') && !word.starts_with('/'))
        .collect();
    let is_hidden = |path: &String| !sources.contains(path) && sources.project.join(path).is_file();
    let found: BTreeSet<String> = folders(sources)
        .iter()
        .flat_map(|folder| words.iter().map(move |word| format!("{folder}/{word}")))
        .take(MOST_LOOKS)
        .filter_map(|path| normalised(&path))
        .filter(is_hidden)
        .collect();
    found.into_iter().take(MOST).collect()
}

/// The folders of the declared sources; the project's own, which is empty, comes first.
fn folders(sources: &Sources) -> BTreeSet<&str> {
    let folders = sources.files.iter().filter_map(|file| Some(file.path.rsplit_once('/')?.0));
    folders.chain([""]).collect()
}

/// The path without `.` and `..`; `None` when it leaves the project.
fn normalised(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceFile;
    use std::fs;
    use std::time::{Duration, Instant};

    #[test]
    fn an_undeclared_file_that_the_log_names_is_found() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("src")).unwrap();
        for file in ["src/a.c", "src/b.h", "notes.txt"] {
            fs::write(home.path().join(file), "").unwrap();
        }
        let sources = Sources::find(home.path(), &["src/*.c".to_owned()]).unwrap();
        let log = "src/a.c:1:10: fatal error: b.h: No such file or directory\ncompilation ended.";
        assert_eq!(undeclared(log, &sources, Path::new("/build/x")), ["src/b.h"]);
        let log = "couldn't read `/build/x/notes.txt`: No such file";
        assert_eq!(undeclared(log, &sources, Path::new("/build/x")), ["notes.txt"]);
        let log = "error: couldn't read `src/../notes.txt`: No such file or directory";
        assert_eq!(undeclared(log, &sources, Path::new("/build/x")), ["notes.txt"]);
        assert!(undeclared("../../../etc/passwd", &sources, Path::new("/build/x")).is_empty());
        assert!(undeclared("src/a.c: error", &sources, Path::new("/build/x")).is_empty());
    }

    #[test]
    fn a_long_log_of_a_large_project_is_searched_in_bounded_time() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("notes.txt"), "").unwrap();
        let file = |number: usize| SourceFile {
            path: format!("folder-{number:05}/a.c"),
            executable: false,
            sha256: String::new(),
        };
        let files = (0..50_000).map(file).collect();
        let sources = Sources { project: home.path().to_owned(), files };
        let words: Vec<String> = (0..9_000).map(|number| format!("w{number}.h")).collect();
        let log = words.join(" ");
        let start = Instant::now();
        let found = undeclared(&format!("{log} notes.txt"), &sources, Path::new("/build/x"));
        assert_eq!(found, ["notes.txt"]);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
}
