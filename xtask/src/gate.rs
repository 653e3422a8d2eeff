//! A row of steps that all run, and one answer at their end.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::Result;
use crate::counts::Counts;
use crate::install::Tools;
use crate::run::shown;

/// How a step's output tells what became of its tests; none for a step that has no tests.
pub(crate) type Counter = Option<fn(&str) -> Counts>;

/// The steps so far.
#[derive(Debug)]
pub(crate) struct Gate {
    /// What the steps find on their `PATH`.
    pub(crate) tools: Tools,
    start: Instant,
    steps: Vec<Step>,
}

/// One step that has ended.
#[derive(Debug)]
struct Step {
    name: String,
    time: Duration,
    verdict: Verdict,
    /// Of its tests; none when it has no tests.
    tests: Option<Counts>,
}

/// From best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Good,
    NotChecked,
    Bad,
}

impl Gate {
    /// Begins with the installation of what the steps need.
    pub(crate) fn open(prepare: impl FnOnce() -> Result<Tools>) -> Result<Self> {
        let start = Instant::now();
        println!("== install");
        let tools = prepare()?;
        let verdict = if tools.complete {
            println!("all tools are there: a test that finds its tool absent fails");
            Verdict::Good
        } else {
            println!("a test that finds its tool absent says NOT CHECKED");
            Verdict::NotChecked
        };
        let name = "install".to_owned();
        let install = Step { name, time: start.elapsed(), verdict, tests: None };
        Ok(Self { tools, start, steps: vec![install] })
    }

    /// Runs a step's commands, all of them whatever the first says.
    ///
    /// # Errors
    ///
    /// When a command cannot be started although its program is there.
    pub(crate) fn step(
        &mut self,
        name: &str,
        counter: Counter,
        commands: Vec<Command>,
    ) -> Result<()> {
        println!("\n== {name}");
        let start = Instant::now();
        let mut tests = counter.map(|_| Counts::default());
        let mut verdict = Verdict::Good;
        for mut command in commands {
            let program = Path::new(command.get_program()).to_owned();
            if program.is_relative() && !self.tools.has(&program.display().to_string()) {
                println!("NOT CHECKED: no {} on PATH", program.display());
                verdict = verdict.max(Verdict::NotChecked);
                continue;
            }
            command.env("PATH", &self.tools.path).env("PYTHONDONTWRITEBYTECODE", "1");
            if self.tools.wheels.is_dir() {
                command.env("HOIST_WHEELS", &self.tools.wheels);
            }
            if self.tools.mojo_025.is_dir() {
                command.env("HOIST_MOJO_025", &self.tools.mojo_025);
            }
            if self.tools.complete {
                command.env("HOIST_REQUIRE_TOOLS", "1");
            }
            let ended = shown(&mut command)?;
            if !ended.well {
                verdict = Verdict::Bad;
            }
            if let (Some(tests), Some(count)) = (&mut tests, counter) {
                *tests += count(&ended.output);
            }
        }
        self.steps.push(Step { name: name.to_owned(), time: start.elapsed(), verdict, tests });
        Ok(())
    }

    /// Runs a check of this program's own, which answers with all that is wrong.
    pub(crate) fn check(&mut self, name: &str, check: impl FnOnce() -> Result<Vec<String>>) {
        println!("\n== {name}");
        let start = Instant::now();
        let problems = check().unwrap_or_else(|error| vec![error.to_string()]);
        for problem in &problems {
            println!("{problem}");
        }
        let verdict = if problems.is_empty() { Verdict::Good } else { Verdict::Bad };
        let time = start.elapsed();
        self.steps.push(Step { name: name.to_owned(), time, verdict, tests: None });
    }

    /// Prints a line for each step, and the sum of all of them as the last line.
    pub(crate) fn close(self) -> ExitCode {
        println!("\n== summary");
        let width = self.steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
        for step in &self.steps {
            println!("{}", step.line(width));
        }
        let counts = self.steps.iter().skip(1).map(Step::counts);
        let total = counts.fold(Counts::default(), |mut total, counts| {
            total += counts;
            total
        });
        println!("{:width$}  {:>6.1} s\n", "total", self.start.elapsed().as_secs_f64());
        println!("{total}");
        if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl Step {
    /// What it adds to the sum: its tests, or itself where it has none or failed without one.
    fn counts(&self) -> Counts {
        let own = match self.verdict {
            Verdict::Good => Counts { passed: 1, ..Counts::default() },
            Verdict::Bad => Counts { failed: 1, ..Counts::default() },
            Verdict::NotChecked => Counts { skipped: 1, ..Counts::default() },
        };
        match (self.tests, self.verdict) {
            (None, _) => own,
            (Some(tests), Verdict::Bad) if tests.failed > 0 => tests,
            (Some(tests), Verdict::Good) => tests,
            (Some(mut tests), _) => {
                tests += own;
                tests
            }
        }
    }

    fn line(&self, width: usize) -> String {
        let verdict = match self.verdict {
            Verdict::Good => "ok",
            Verdict::Bad => "FAILED",
            Verdict::NotChecked => "NOT CHECKED",
        };
        let tests = self.tests.map(|tests| format!(": {tests}")).unwrap_or_default();
        format!("{:width$}  {:>6.1} s  {verdict}{tests}", self.name, self.time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::command;

    fn gate(complete: bool) -> Gate {
        let path = std::env::var_os("PATH").unwrap();
        Gate::open(|| Ok(Tools { path, wheels: "none".into(), mojo_025: "none".into(), complete }))
            .unwrap()
    }

    fn sh(script: &str) -> Vec<Command> {
        vec![command("sh", &["-c", script])]
    }

    fn sum(gate: &Gate) -> String {
        let mut total = Counts::default();
        gate.steps.iter().skip(1).for_each(|step| total += step.counts());
        total.to_string()
    }

    #[test]
    fn a_step_without_tests_counts_as_one() {
        let mut gate = gate(false);
        gate.step("good", None, sh("true")).unwrap();
        gate.step("bad", None, sh("false")).unwrap();
        gate.check("own", || Ok(vec!["something is wrong".to_owned()]));
        assert_eq!(sum(&gate), "1 passed, 2 failed, 0 skipped");
        assert_eq!(gate.close(), ExitCode::FAILURE);
    }

    #[test]
    fn a_step_that_failed_before_its_tests_began_has_failed() {
        let mut gate = gate(false);
        gate.step("tests", Some(Counts::of_cargo_test), sh("echo does not compile; false"))
            .unwrap();
        assert_eq!(sum(&gate), "0 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn an_absent_program_is_not_checked() {
        let mut gate = gate(false);
        gate.step("lint", None, vec![command("no-such-linter", &[])]).unwrap();
        assert_eq!(sum(&gate), "0 passed, 0 failed, 1 skipped");
        assert_eq!(gate.close(), ExitCode::SUCCESS);
    }

    #[test]
    fn tests_learn_whether_their_tools_must_be_there() {
        let script = "test \"$HOIST_REQUIRE_TOOLS\" = 1";
        let mut complete = gate(true);
        complete.step("tests", None, sh(script)).unwrap();
        assert_eq!(sum(&complete), "1 passed, 0 failed, 0 skipped");
    }
}
