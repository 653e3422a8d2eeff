//! What one process costs.

use std::fs::{self, File};
use std::ops::Add;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4 as _;

use crate::Result;

/// What a process cost, with those that it waited for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    pub(super) wall: Duration,
    /// Of the user and of the system.
    pub(super) cpu: Duration,
    /// The most memory that any one of the processes held, in bytes. What the measuring process
    /// holds, some 5 MB, is a floor under it: a child begins as its copy.
    pub(super) rss_bytes: u64,
}

/// One after the other.
impl Add for Cost {
    type Output = Self;

    fn add(self, then: Self) -> Self {
        Self {
            wall: self.wall + then.wall,
            cpu: self.cpu + then.cpu,
            rss_bytes: self.rss_bytes.max(then.rss_bytes),
        }
    }
}

/// Runs `command` to its end, which must be a success, its output unread.
///
/// - `home`: where its standard error is kept meanwhile.
pub(super) fn measure(command: &mut Command, home: &Path) -> Result<Cost> {
    measure_ended(command, home, &[0])
}

/// As [`measure`], for a command that answers by its exit code.
///
/// - `answers`: the exit codes that are no failures.
pub(super) fn measure_ended(command: &mut Command, home: &Path, answers: &[i32]) -> Result<Cost> {
    let said = home.join("stderr");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said)?);
    let start = Instant::now();
    let used = command.spawn()?.wait4()?;
    let wall = start.elapsed();
    if !used.status.code().is_some_and(|code| answers.contains(&code)) {
        let said = fs::read_to_string(&said).unwrap_or_default();
        return Err(format!("{command:?}: {}\n{said}", used.status).into());
    }
    let rusage = used.rusage;
    Ok(Cost { wall, cpu: rusage.utime + rusage.stime, rss_bytes: rusage.maxrss })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_costs_what_its_children_cost() {
        let home = std::env::temp_dir().join(format!("hoist-measure-{}", std::process::id()));
        fs::create_dir_all(&home).unwrap();
        let mut busy = Command::new("sh");
        busy.args(["-c", "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'; sleep 0.2"]);
        let cost = measure(&mut busy, &home).unwrap();
        let failed = measure(Command::new("sh").args(["-c", "echo no luck >&2; exit 1"]), &home);
        fs::remove_dir_all(&home).unwrap();
        assert!(cost.wall >= Duration::from_millis(200), "{cost:?}");
        assert!(cost.cpu > Duration::ZERO && cost.cpu < cost.wall, "{cost:?}");
        assert!((100_000..1_000_000_000).contains(&cost.rss_bytes), "{cost:?}");
        assert!(failed.unwrap_err().to_string().contains("no luck"));
    }
}
