//! From the text of `hoist.toml` to a [`Manifest`] whose values make sense together.

use std::ops::Range;

use schemars::generate::SchemaSettings;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::unknown::{nearest_key as nearest_word, unknown_keys};
use super::{Library, Manifest, ManifestError, Problem, ToolchainKind};
use crate::lock::LOCK_FILE;
use crate::python::is_module_name;

/// Longest package name or version, in bytes, so that a store path's name fits (211 in Nix).
const MAX_NAME_BYTES: usize = 100;

/// The JSON schema (draft 2020-12) of `hoist.toml`, for editors.
#[must_use]
pub fn json_schema() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Manifest>().to_value()
}

impl Manifest {
    /// Reads a `hoist.toml`.
    ///
    /// # Errors
    ///
    /// Every unknown key at once; else the first value of a wrong type; else every value that
    /// makes no sense, such as a path that leaves the project.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let document = DeTable::parse(text).map_err(|error| refusal(text, &error))?;
        let unknown = unknown_keys(text, document.get_ref(), &json_schema());
        if !unknown.is_empty() {
            return Err(ManifestError { problems: unknown });
        }
        let manifest: Self = toml::from_str(text).map_err(|error| wrong_type(text, &error))?;
        let mut judge = Judge { text, document: document.get_ref(), problems: Vec::new() };
        judge.package(&manifest);
        judge.build(&manifest);
        judge.libraries(&manifest);
        judge.check(&manifest);
        judge.bench(&manifest);
        judge.rollout(&manifest);
        if judge.problems.is_empty() {
            Ok(manifest)
        } else {
            let mut problems = judge.problems;
            problems.sort_by_key(|problem| (problem.line, problem.column));
            Err(ManifestError { problems })
        }
    }
}

impl Problem {
    /// A problem with the value at `path` of the manifest `text`, which was read: keys, and from 0
    /// the places in lists. For what only a caller can judge, such as whether a rule exists.
    #[must_use]
    pub fn at(text: &str, path: &[&str], message: impl Into<String>, hint: &str) -> Self {
        let document = DeTable::parse(text);
        let span = document.map_or(0..0, |document| place(document.get_ref(), path));
        Self::new(text, span, message, hint)
    }
}

fn refusal(text: &str, error: &toml::de::Error) -> ManifestError {
    let span = error.span().unwrap_or(0..0);
    ManifestError { problems: vec![Problem::new(text, span, error.message().trim(), "")] }
}

/// A value that no key of its place takes.
fn wrong_type(text: &str, error: &toml::de::Error) -> ManifestError {
    let mut refusal = refusal(text, error);
    for problem in &mut refusal.problems {
        "`hoist schema` tells what every key takes".clone_into(&mut problem.hint);
    }
    refusal
}

/// Judges values against each other, and finds their places for the report.
struct Judge<'a> {
    text: &'a str,
    document: &'a DeTable<'a>,
    problems: Vec<Problem>,
}

impl Judge<'_> {
    /// Reports a problem with the value at `path`: keys, and from 0 the places in lists.
    fn report(&mut self, path: &[&str], message: impl Into<String>, hint: &str) {
        let span = place(self.document, path);
        self.problems.push(Problem::new(self.text, span, message, hint));
    }

    fn package(&mut self, manifest: &Manifest) {
        let package = &manifest.package;
        for (key, value) in [("name", &package.name), ("version", &package.version)] {
            if !is_store_name(value) {
                let message = format!("`{value}` cannot be part of a store path's name");
                let hint = "use up to 100 letters, digits and `+-._?=`, first a letter or a digit";
                self.report(&["package", key], message, hint);
            }
        }
        if package.version.strip_suffix(".drv").is_some() {
            let message = format!(
                "`{}` ends with `.drv`, which Nix keeps for derivations",
                package.store_name()
            );
            self.report(&["package", "version"], message, "end the version otherwise");
        }
        if let Some(module) = package.python.as_ref().filter(|name| !is_module_name(name)) {
            let message = format!("`{module}` cannot name a Python module here");
            let hint =
                "use letters, digits and `_`, and no word or module that Python needs itself";
            self.report(&["package", "python"], message, hint);
        }
        if let Some(why) = no_profile_name(&package.name) {
            let message = format!("`{}` cannot name a profile: {why}", package.name);
            self.report(&["package", "name"], message, "choose another name");
        }
    }

    fn build(&mut self, manifest: &Manifest) {
        let build = &manifest.build;
        if build.sources.is_empty() {
            let message = "`sources` is empty, so the build would see no file";
            self.report(&["build", "sources"], message, "name at least one glob, as `src/**/*.c`");
        }
        for (index, glob) in build.sources.iter().enumerate() {
            if !is_inside(glob) {
                let message = format!("the source glob `{glob}` leaves the project folder");
                let hint = "write it relative to hoist.toml, without `..`";
                self.report(&["build", "sources", &index.to_string()], message, hint);
            } else if glob == LOCK_FILE {
                let message =
                    format!("`{glob}` tells what the sources became, and is none of them");
                self.report(&["build", "sources", &index.to_string()], message, "leave it out");
            }
        }
        if build.command.as_ref().is_some_and(Vec::is_empty) {
            self.report(&["build", "command"], "`command` is empty", "name a program first");
        }
        if let Some(compiler) = &build.compiler {
            self.compiler(build.toolchain, compiler);
        }
        for (name, value) in &build.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!("{name:?} cannot name an environment variable");
                let hint = "use letters, digits and `_`; `=` ends a name";
                self.report(&["build", "env", name], message, hint);
            } else if value.contains('\0') {
                let message = format!("the value of the variable `{name}` has a NUL in it");
                self.report(&["build", "env", name], message, "leave the `\\u0000` out");
            }
        }
        for (index, folder) in build.system.iter().enumerate() {
            if !folder.starts_with('/') {
                let message = format!("the system folder `{folder}` is not absolute");
                let path = ["build", "system", &index.to_string()];
                self.report(&path, message, "write it from `/` on");
            }
        }
    }

    fn compiler(&mut self, toolchain: ToolchainKind, compiler: &str) {
        let (message, hint) = match toolchain {
            ToolchainKind::Cargo => (
                "toolchain `cargo` does not take `compiler`: rustup chooses it".to_owned(),
                "name the version in rust-toolchain.toml",
            ),
            ToolchainKind::Custom => (
                "toolchain `custom` does not take `compiler`".to_owned(),
                "its compiler is the first word of `command`",
            ),
            ToolchainKind::Cc | ToolchainKind::Cxx
                if compiler.contains('/') && !compiler.starts_with('/') =>
            {
                (
                    format!("the compiler `{compiler}` is neither a name nor an absolute path"),
                    "write it as `clang`, or from `/` on",
                )
            }
            _ if compiler.is_empty() || compiler.contains('\0') => {
                (format!("{compiler:?} cannot name a compiler"), "name a program or a path")
            }
            _ => return,
        };
        self.report(&["build", "compiler"], message, hint);
    }

    fn libraries(&mut self, manifest: &Manifest) {
        if manifest.library.is_empty() {
            let message = "no [[library]]: there would be nothing to check or to load";
            let hint = "add `[[library]]` with `path = \"lib/libNAME.so\"` and a `header`";
            self.report(&["package"], message, hint);
        }
        for (index, library) in manifest.library.iter().enumerate() {
            self.library(index, library, &manifest.library[..index]);
        }
    }

    fn library(&mut self, index: usize, library: &Library, earlier: &[Library]) {
        let index = index.to_string();
        let at = |key| ["library", index.as_str(), key];
        if !is_inside(&library.path) {
            let message = format!("the library path `{}` leaves the artifact", library.path);
            let hint = "write it relative to the artifact, as `lib/libNAME.so`";
            self.report(&at("path"), message, hint);
        }
        if earlier.iter().any(|earlier| earlier.path == library.path) {
            let message = format!("the library `{}` is named twice", library.path);
            self.report(&at("path"), message, "keep one of the two");
        }
        let built = library.built.as_deref().unwrap_or("built");
        if !is_inside(built.strip_prefix("{cache}/").unwrap_or(built)) {
            let message = format!("`built` names `{built}`, which leaves the build");
            let hint = "write it relative to the sources, or as `{cache}/…`";
            self.report(&at("built"), message, hint);
        }
        if let Some(header) = &library.header {
            let packed = |header: &str| header.rsplit('/').next().map(str::to_owned);
            let other = earlier.iter().filter_map(|earlier| earlier.header.as_ref());
            let mut other = other.filter(|other| *other != header);
            if !is_inside(header) {
                let message = "the header leaves the project folder";
                self.report(&at("header"), message, "write it relative to hoist.toml");
            } else if let Some(other) = other.find(|other| packed(other) == packed(header)) {
                let message = format!(
                    "`{header}` and `{other}` would be one file in the artifact's `include`"
                );
                self.report(&at("header"), message, "rename one of the two headers");
            }
        }
        if library.header.is_none() && library.exports.is_empty() {
            let message = format!("the library `{}` promises nothing", library.path);
            let hint = "add `header = \"include/NAME.h\"` or `exports = [\"function\"]`";
            self.report(&at("path"), message, hint);
        }
    }

    fn check(&mut self, manifest: &Manifest) {
        for (index, waive) in manifest.check.waive.iter().enumerate() {
            let index = index.to_string();
            let at = |key| ["check", "waive", index.as_str(), key];
            if waive.reason.trim().is_empty() {
                let message = format!("`{}` is waived without a reason", waive.rule);
                let hint = "say why it is right here, for whoever meets it next";
                self.report(&at("reason"), message, hint);
            }
            let Some(path) = &waive.library else { continue };
            if !manifest.library.iter().any(|library| library.path == *path) {
                let known: Vec<&str> =
                    manifest.library.iter().map(|library| &*library.path).collect();
                let message = format!("`{path}` is no library of this project");
                let hint = nearest_word(path, "this project", &known);
                self.report(&at("library"), message, &hint);
            }
        }
    }

    fn bench(&mut self, manifest: &Manifest) {
        let Some(bench) = &manifest.bench else { return };
        if bench.command.is_empty() {
            self.report(&["bench", "command"], "`command` is empty", "name a program first");
        }
        for (name, bar) in &bench.min {
            if !bar.is_finite() {
                let message = format!("the bar of `{name}` is {bar}, which nothing can reach");
                self.report(&["bench", "min"], message, "write a finite number");
            }
        }
    }

    fn rollout(&mut self, manifest: &Manifest) {
        let Some(rollout) = &manifest.rollout else { return };
        let stages = &rollout.stages;
        let rising = stages.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || stages.first() == Some(&0) || stages.last() != Some(&100) {
            let message = format!("the stages {stages:?} do not rise from above 0 to 100 per cent");
            self.report(&["rollout", "stages"], message, "write them as `[10, 50, 100]`");
        }
    }
}

/// The bytes of the deepest value along `path` that the document holds.
fn place(document: &DeTable<'_>, path: &[&str]) -> Range<usize> {
    let Some((first, rest)) = path.split_first() else { return 0..0 };
    let Some(mut value) = value_of(document, first) else { return 0..0 };
    for step in rest {
        let inner = match value.get_ref() {
            DeValue::Table(table) => value_of(table, step),
            DeValue::Array(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
            _ => None,
        };
        let Some(inner) = inner else { break };
        value = inner;
    }
    value.span()
}

fn value_of<'t, 'd>(table: &'t DeTable<'d>, key: &str) -> Option<&'t Spanned<DeValue<'d>>> {
    table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
}

/// Whether Nix allows it in a store path's name, as the start of one.
fn is_store_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+-._?=".contains(c);
    name.len() <= MAX_NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(allowed)
}

/// Why Nix's profiles folder, or a generation in it, has that file already; `None` for a name that
/// a profile can have. Source: the names that `nix-env` gives to generations and their locks.
fn no_profile_name(name: &str) -> Option<&'static str> {
    let generation = name.strip_suffix("-link").and_then(|rest| rest.rsplit_once('-'));
    if name.strip_suffix(".lock").is_some() || name == "per-user" {
        Some("Nix has that file for itself")
    } else if generation.is_some_and(|(_, number)| number.parse::<u64>().is_ok()) {
        Some("it ends like a generation")
    } else {
        None
    }
}

/// Whether a relative path or glob stays where it starts.
pub(crate) fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && path.split('/').all(|part| part != ".." && part != "." && !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;

    const GOOD: &str = r#"
[package]
name = "pattern-search"
version = "0.1.0"

[build]
toolchain = "cargo"
sources = ["src/**/*.rs"]

[[library]]
path = "lib/libpattern_search.so"
header = "include/pattern_search.h"
"#;

    fn refused(text: &str) -> Vec<Problem> {
        Manifest::parse(text).unwrap_err().problems
    }

    #[test]
    fn a_small_manifest_takes_defaults_for_the_rest() {
        let manifest = Manifest::parse(GOOD).unwrap();
        assert_eq!(manifest.package.store_name(), "pattern-search-0.1.0");
        assert!(!manifest.build.network);
        assert_eq!(manifest.build.timeout.0.as_secs(), 1800);
        assert_eq!(manifest.bench, None);
    }

    #[test]
    fn every_unknown_key_is_reported_with_its_place_and_the_nearest_right_one() {
        let text = GOOD.replace("sources", "sorces") + "\n[chek]\nglibc = \"2.31\"\n";
        let problems = refused(&text);
        let places: Vec<_> = problems.iter().map(|found| (found.line, found.column)).collect();
        assert_eq!(places, [(8, 1), (14, 2)]);
        assert_eq!(problems[0].message, "unknown key `sorces` in [build]");
        assert!(problems[0].hint.starts_with("did you mean `sources`?"), "{}", problems[0].hint);
        assert!(problems[1].hint.starts_with("did you mean `check`?"), "{}", problems[1].hint);
    }

    #[test]
    fn an_unknown_key_below_an_optional_table_and_in_an_array_is_found() {
        let text = GOOD.replace("header", "heder") + "[bench]\ncommand = [\"b\"]\nwheel = []\n";
        let messages: Vec<_> = refused(&text).into_iter().map(|found| found.message).collect();
        assert_eq!(
            messages,
            ["unknown key `heder` in [library]", "unknown key `wheel` in [bench]"]
        );
    }

    #[test]
    fn free_keys_of_a_map_are_not_unknown() {
        let text = format!("{GOOD}[bench]\ncommand = [\"b\"]\nmin = {{ speedup = 13.1 }}\n");
        let bench = Manifest::parse(&text).unwrap().bench.unwrap();
        assert!((bench.min["speedup"] - 13.1).abs() < f64::EPSILON);
    }

    #[test]
    fn a_wrong_type_is_reported_at_its_value() {
        let problems = refused(&GOOD.replace("\"cargo\"", "\"rust\""));
        assert_eq!((problems[0].line, problems[0].column), (7, 13));
        assert!(problems[0].message.contains("`cargo`"), "{}", problems[0].message);
    }

    #[test]
    fn a_syntax_error_is_reported_at_its_place() {
        let problems = refused("[package\nname = \"x\"\n");
        assert_eq!(problems[0].line, 1);
        assert_eq!(problems[0].excerpt, "[package");
    }

    #[test]
    fn paths_that_leave_the_project_are_refused() {
        for path in ["../x", "/etc/passwd", "a//b", "a/./b", ""] {
            let text = GOOD.replace("include/pattern_search.h", path);
            assert_eq!(refused(&text)[0].line, 12, "{path}");
        }
    }

    #[test]
    fn a_compiler_is_a_name_or_a_path_of_a_toolchain_that_lets_it_be_chosen() {
        let with = |toolchain: &str, compiler: &str| {
            GOOD.replace("\"cargo\"", &format!("\"{toolchain}\"\ncompiler = \"{compiler}\""))
        };
        for (toolchain, compiler) in [
            ("cc", "clang"),
            ("c++", "/usr/bin/clang++"),
            ("mojo", ".venv/bin/mojo"),
            ("mojo", "../.venv/bin/mojo"),
        ] {
            let manifest = Manifest::parse(&with(toolchain, compiler)).unwrap();
            assert_eq!(manifest.build.compiler.as_deref(), Some(compiler));
        }
        for (toolchain, compiler, said) in [
            ("cargo", "rustc", "rustup chooses it"),
            ("custom", "gcc", "does not take `compiler`"),
            ("cc", "tools/cc", "neither a name nor an absolute path"),
            ("mojo", "", "cannot name a compiler"),
        ] {
            let problems = refused(&with(toolchain, compiler));
            assert_eq!((problems.len(), problems[0].line, problems[0].column), (1, 8, 12));
            assert!(problems[0].message.contains(said), "{}", problems[0].message);
        }
    }

    #[test]
    fn the_lock_is_refused_as_a_source() {
        let problems = refused(&GOOD.replace("\"src/**/*.rs\"", "\"src/**/*.rs\", \"hoist.lock\""));
        assert_eq!((problems.len(), problems[0].line, problems[0].column), (1, 8, 27));
    }

    #[test]
    fn names_that_no_store_path_can_have_are_refused() {
        for name in [".hidden", "a b", "ä", "a/b", "", "-x"] {
            let problems = refused(&GOOD.replace("pattern-search\"", &format!("{name}\"")));
            assert_eq!(problems[0].line, 3, "{name}");
        }
    }

    #[test]
    fn names_that_would_fail_after_the_build_are_refused_before_it() {
        for name in ["per-user", "x.lock", "x-1-link"] {
            let problems = refused(&GOOD.replace("pattern-search\"", &format!("{name}\"")));
            assert_eq!((problems.len(), problems[0].line), (1, 3), "{name}");
            assert!(problems[0].message.contains("cannot name a profile"), "{name}");
        }
        let problems = refused(&GOOD.replace("0.1.0", "1.drv"));
        assert_eq!((problems.len(), problems[0].line, problems[0].column), (1, 4, 11));
        assert!(problems[0].message.contains("which Nix keeps for derivations"));
        for (name, version) in [("x.drv", "1"), ("x-link", "1"), ("x-y-link", "1.lock")] {
            let text = GOOD.replace("pattern-search\"", &format!("{name}\""));
            Manifest::parse(&text.replace("0.1.0", version)).unwrap();
        }
    }

    #[test]
    fn a_mistake_in_a_later_library_is_shown_there() {
        let text = format!("{GOOD}\n[[library]]\npath = \"../x.so\"\nexports = [\"x\"]\n");
        let problems = refused(&text);
        assert_eq!((problems[0].line, problems[0].column), (15, 8));
        assert_eq!(problems[0].excerpt, "path = \"../x.so\"");
        let text = text.replace("path = \"../x.so\"\nexports", "exports");
        assert!(refused(&text)[0].line >= 14, "a key that is missing in the second");
    }

    #[test]
    fn problems_come_in_the_files_order() {
        let text = format!("[bench]\ncommand = []\n{GOOD}")
            .replace("\"src/**/*.rs\"", "\"src\", \"../x\"")
            .replace("0.1.0", "a b");
        let places: Vec<_> =
            refused(&text).iter().map(|found| (found.line, found.column)).collect();
        assert_eq!(places, [(2, 11), (6, 11), (10, 19)]);
    }

    #[test]
    fn two_headers_of_one_name_are_refused_and_one_header_of_two_libraries_is_not() {
        let second = "[[library]]\npath = \"lib/other.so\"\nheader = \"HEADER\"\n";
        let with = |header| format!("{GOOD}{}", second.replace("HEADER", header));
        Manifest::parse(&with("include/pattern_search.h")).unwrap();
        let problems = refused(&with("other/pattern_search.h"));
        assert_eq!((problems[0].line, problems[0].column), (15, 10));
        assert_eq!(
            problems[0].message,
            "`other/pattern_search.h` and `include/pattern_search.h` would be one file in the \
             artifact's `include`"
        );
    }

    #[test]
    fn a_variable_that_no_environment_can_hold_is_refused() {
        for env in ["\"A=B\" = \"x\"", "\"\" = \"x\"", "\"A\\u0000\" = \"x\"", "A = \"\\u0000\""] {
            let build = format!("toolchain = \"cargo\"\nenv = {{ {env} }}");
            let problems = refused(&GOOD.replace("toolchain = \"cargo\"", &build));
            assert_eq!((problems.len(), problems[0].line), (1, 8), "{env}");
            assert!(!problems[0].message.contains('\0'), "{env}");
        }
    }

    #[test]
    fn a_manifest_without_a_promise_is_refused() {
        let text = GOOD.replace("header = \"include/pattern_search.h\"", "");
        assert!(refused(&text)[0].message.contains("promises nothing"));
        let text = &GOOD[..GOOD.find("[[library]]").unwrap()];
        assert!(refused(text)[0].message.contains("nothing to check"));
    }

    #[test]
    fn a_waiver_needs_a_reason_a_day_of_the_calendar_and_a_library_that_is_there() {
        let waive =
            "\n[[check.waive]]\nrule = \"harden.relro\"\nreason = \"the host asks for it\"\n";
        let manifest = Manifest::parse(&format!("{GOOD}{waive}until = \"2027-01-31\"\n")).unwrap();
        assert_eq!(manifest.check.waive[0].severity, Severity::Info);
        assert_eq!(manifest.check.waive[0].until.unwrap().to_string(), "2027-01-31");
        for (line, message) in [
            ("until = \"2027-02-30\"", "not in the calendar"),
            ("severity = \"fatal\"", "unknown variant"),
            ("library = \"lib/libpattern_serch.so\"", "no library of this project"),
        ] {
            let problems = refused(&format!("{GOOD}{waive}{line}\n"));
            assert_eq!(problems[0].line, 17, "{line}");
            assert!(problems[0].message.contains(message), "{}", problems[0].message);
        }
        let problems = refused(&format!("{GOOD}{}", waive.replace("the host asks for it", " ")));
        assert_eq!((problems[0].line, problems[0].column), (16, 10));
        let problems = refused(&format!("{GOOD}{}", waive.replace("reason", "reson")));
        assert!(problems[0].hint.starts_with("did you mean `reason`?"), "{}", problems[0].hint);
    }

    #[test]
    fn a_caller_reports_at_a_place_too() {
        let text = format!("{GOOD}[[check.waive]]\nrule = \"x\"\nreason = \"y\"\n");
        let problem = Problem::at(&text, &["check", "waive", "0", "rule"], "no", "");
        assert_eq!((problem.line, problem.column, problem.width), (14, 8, 3));
    }

    #[test]
    fn the_design_example_is_read_whole() {
        let text = format!(
            "{GOOD}[push]\nto = [\"file:///srv/cache\"]\n[deploy]\nhosts = [\"ssh://app1\"]\n\
             [rollout]\nstages = [10, 50, 100]\n"
        );
        assert_eq!(Manifest::parse(&text).unwrap().rollout.unwrap().stages, [10, 50, 100]);
        let text = text.replace("10, 50, 100", "50, 10");
        assert!(refused(&text)[0].message.contains("do not rise"));
    }

    #[test]
    fn a_python_module_has_a_name_that_can_be_imported() {
        let with =
            |name: &str| GOOD.replacen("[package]", &format!("[package]\npython = \"{name}\""), 1);
        let package = Manifest::parse(&with("pattern_search")).unwrap().package;
        assert_eq!(package.python.as_deref(), Some("pattern_search"));
        for name in ["pattern-search", "class", "ctypes", "", "a.b"] {
            let problems = refused(&with(name));
            assert!(problems[0].message.contains("Python module"), "{}", problems[0].message);
        }
    }

    #[test]
    fn the_load_probe_is_asked_for_refused_or_left_to_the_machine() {
        let probe = |line: &str| {
            Manifest::parse(&format!("{GOOD}\n[check]\n{line}\n")).unwrap().check.probe
        };
        assert_eq!(
            [probe(""), probe("probe = true"), probe("probe = false")],
            [None, Some(true), Some(false)]
        );
        let timeout = format!("{GOOD}\n[check]\nprobe_timeout = \"2m\"\n");
        let check = Manifest::parse(&timeout).unwrap().check;
        assert_eq!(check.probe_timeout.unwrap().0.as_secs(), 120);
        let problems = refused(&timeout.replace("2m", "0s"));
        assert!(problems[0].message.contains("timeout of 0"), "{}", problems[0].message);
        let problems = refused(&timeout.replace("probe_timeout", "probe_timout"));
        assert!(problems[0].hint.contains("`probe_timeout`"), "{}", problems[0].hint);
    }

    #[test]
    fn the_schema_of_the_manifest_is_stable() {
        insta::assert_json_snapshot!(json_schema());
    }
}
