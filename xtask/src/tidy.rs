//! House rules that no other tool knows, as tests over the repository's own files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// Most lines of one file.
const MAX_LINES: usize = 800;

/// Files that people read from top to bottom.
const READ: [&str; 6] = ["c", "h", "md", "py", "rs", "sh"];

/// The lint that keeps unsafe code out; in two parts, as this file is looked at too.
const UNSAFE: &str = concat!("unsafe", "_code");

/// The one crate that may make an exception from it.
const UNSAFE_CRATE: &str = "hoist-sandbox";

/// Everything that breaks a house rule below `root`, each with its file.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    let mut problems = Vec::new();
    for file in files {
        let path = file.strip_prefix(root)?;
        let Ok(text) = fs::read_to_string(&file) else { continue }; // not a text
        let refuse = |why: String| format!("{}: {why}", path.display());
        problems.extend(length(path, &text).map(refuse));
        problems.extend(unsafe_exception(path, &text).map(refuse));
        problems.extend(no_lints(path, &text).map(refuse));
        problems.extend(item_in_lib(path, &text).map(refuse));
        problems.extend(dead_links(&file, &text).into_iter().map(refuse));
    }
    Ok(problems)
}

/// Lists the files that are not built, hidden or made by other tools.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_left_out = name.starts_with('.') || ["__pycache__", "target"].contains(&&*name);
        if is_left_out {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn length(path: &Path, text: &str) -> Option<String> {
    let is_read = path.extension().is_some_and(|ending| READ.iter().any(|read| ending == *read));
    let lines = text.lines().count();
    (is_read && lines > MAX_LINES)
        .then(|| format!("it has {lines} lines, wanted at most {MAX_LINES}: look for the seam"))
}

/// Payloads in `kernels/` have a C ABI and with it unsafe code; this is about the crates.
fn unsafe_exception(path: &Path, text: &str) -> Option<String> {
    let is_free =
        !path.starts_with("crates") || path.starts_with(Path::new("crates").join(UNSAFE_CRATE));
    let is_code = path.extension().is_some_and(|ending| ending == "rs");
    (is_code && !is_free && text.contains(UNSAFE))
        .then(|| format!("it makes an exception from `{UNSAFE}`, which only {UNSAFE_CRATE} may"))
}

/// A crate that does not inherit the workspace's lints has none.
fn no_lints(path: &Path, text: &str) -> Option<String> {
    let is_member =
        path.ends_with("Cargo.toml") && (path.starts_with("crates") || path.starts_with("xtask"));
    (is_member && !text.contains("[lints]\nworkspace = true"))
        .then(|| "it lacks `workspace = true` under `[lints]`".to_owned())
}

/// `lib.rs` holds the crate's doc, its modules and its re-exports.
fn item_in_lib(path: &Path, text: &str) -> Option<String> {
    if !path.starts_with("crates") || !path.ends_with("src/lib.rs") {
        return None;
    }
    let items = ["fn ", "struct ", "enum ", "trait ", "impl", "const ", "static ", "type "];
    let is_item = |line: &&str| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        items.iter().any(|item| line.starts_with(item))
    };
    let item = text.lines().find(is_item)?;
    Some(format!("`{item}` belongs into a module; lib.rs holds modules and re-exports only"))
}

/// Links of a page to files that are not there.
fn dead_links(file: &Path, text: &str) -> Vec<String> {
    if file.extension().is_none_or(|ending| ending != "md") {
        return Vec::new();
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    let prose = without_code(text);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets
        .map(|(target, _)| target.split('#').next().unwrap_or(""))
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' '))
        .filter(|target| !folder.join(target).exists())
        .map(|target| format!("it links to `{target}`, which is not there"))
        .collect()
}

/// A page without what it quotes: fenced blocks and spans between backticks.
fn without_code(page: &str) -> String {
    let mut prose = String::new();
    let mut is_fenced = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced {
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root;

    #[test]
    fn this_repository_keeps_its_rules() {
        assert_eq!(check(root()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_long_file_is_refused_and_a_long_table_is_not() {
        let text = "line\n".repeat(801);
        assert!(length(Path::new("kernels/x/src/long.rs"), &text).is_some());
        assert!(length(Path::new("kernels/x/src/long.rs"), &text[5..]).is_none());
        assert!(length(Path::new("Cargo.lock"), &text).is_none());
    }

    #[test]
    fn unsafe_code_stays_in_its_crate() {
        let text = format!("#![expect({UNSAFE}, reason = \"speed\")]\n");
        let refused = |path: &str| unsafe_exception(Path::new(path), &text).is_some();
        assert!(refused("crates/hoist-store/src/lib.rs"));
        assert!(!refused("crates/hoist-sandbox/src/lib.rs"));
        assert!(!refused("kernels/pattern-search/src/ffi.rs"));
    }

    #[test]
    fn a_crate_must_inherit_the_lints() {
        let manifest = Path::new("crates/hoist-x/Cargo.toml");
        assert!(no_lints(manifest, "[package]\n").is_some());
        assert!(no_lints(manifest, "[package]\n\n[lints]\nworkspace = true\n").is_none());
    }

    #[test]
    fn lib_rs_holds_no_code() {
        let refused = |text: &str| item_in_lib(Path::new("crates/x/src/lib.rs"), text).is_some();
        assert!(refused("//! Doc.\n\npub fn run() {}\n"));
        assert!(!refused("//! Doc.\n\nmod run;\n\npub use run::run;\n"));
    }

    #[test]
    fn a_link_to_a_missing_page_is_refused_and_others_are_left_alone() {
        let page = root().join("ARCHITECTURE.md");
        let text = "[a](docs/nowhere.md) [b](Cargo.toml#deps) [c](https://example.org) [d](#e) \
                    `x[0](…)`\n```\n[e](quoted)\n```\n";
        assert_eq!(dead_links(&page, text), ["it links to `docs/nowhere.md`, which is not there"]);
    }
}
