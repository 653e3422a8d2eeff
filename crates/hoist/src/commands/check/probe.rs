//! `hoist check --probe`: whether libraries are loaded as well, and for how long.

use hoist_schema::manifest::Timeout;

use crate::probing::Probing;

/// The flags of the load probe.
#[derive(Debug, clap::Args)]
pub(super) struct ProbeArgs {
    /// Load each library in a sandbox as well, and tell what that does
    #[arg(long)]
    probe: bool,
    /// Longest time that loading one may take [default: 10s]
    #[arg(long, value_name = "TIME", requires = "probe")]
    probe_timeout: Option<Timeout>,
}

impl ProbeArgs {
    /// How libraries are probed, if they are.
    pub(super) fn probing(&self) -> Option<Probing> {
        self.probe.then(|| Probing::asked(self.probe_timeout))
    }
}
