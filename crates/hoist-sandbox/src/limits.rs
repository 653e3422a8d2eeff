//! The kernel's limits on each process of a run.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::spec::Limits;
use crate::wire::Failure;

/// The two init processes count as processes of the run.
const INIT_PROCESSES: u64 = 2;

/// Sets all limits but the clock on this process and its children to come.
pub(crate) fn apply(limits: &Limits) -> Result<(), Failure> {
    let processes = limits.processes.map(|count| count.saturating_add(INIT_PROCESSES));
    let wanted = [
        (Resource::Core, "RLIMIT_CORE", Some(0)),
        (Resource::Data, "RLIMIT_DATA", limits.memory_bytes),
        (Resource::Nproc, "RLIMIT_NPROC", processes),
        (Resource::Fsize, "RLIMIT_FSIZE", limits.file_size_bytes),
        (Resource::Nofile, "RLIMIT_NOFILE", limits.open_files),
    ];
    for (resource, name, value) in wanted {
        let Some(value) = value else { continue };
        // Raising a hard limit takes a capability that the command must not depend on.
        let value = getrlimit(resource).maximum.map_or(value, |hard| hard.min(value));
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
            .map_err(Failure::step("set the limit", name))?;
    }
    Ok(())
}
