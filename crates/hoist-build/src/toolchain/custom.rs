//! Any other compiler: the manifest says the command and, with `system`, where the compiler lies.

use hoist_schema::manifest::ToolchainKind;

use super::programs::Identity;
use super::{Finder, Toolchain};
use crate::BuildError;
use crate::digest::sha256_of;

pub(super) fn find(finder: &mut Finder<'_>) -> Result<Toolchain, BuildError> {
    let kind = ToolchainKind::Custom;
    let command = finder.manifest.build.command.as_ref();
    let program =
        command.and_then(|command| command.first()).ok_or_else(|| BuildError::Unsaid {
            toolchain: kind.as_str(),
            key: "command",
            reason: "it has no command of its own".to_owned(),
        })?;
    let identity = finder.own_program(&[])?;
    // A program among the sources has its digest there.
    let Identity { version, digest } = identity.unwrap_or_else(|| Identity {
        version: program.clone(),
        digest: sha256_of(program.as_bytes()),
    });
    Ok(Toolchain::of_the_system(kind, version, digest))
}
