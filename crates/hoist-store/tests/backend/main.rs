//! One suite for every store that stands behind [`Backend`](hoist_store::Backend): what one of them
//! does, all do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the runner shows it beside the name of the test")]

mod archives;
mod checks;
mod daemon;
mod embedded;
mod site;
mod vectors;

use site::{Kind, Site};

/// Runs every check on a store of its own, and every vector.
fn run(kind: &dyn Kind) {
    for (name, check) in checks::ALL {
        println!("{}: {name}", kind.name());
        check(&Site::new(kind));
    }
    let counts = vectors::run(kind);
    println!("{}: {} checks, {counts}", kind.name(), checks::ALL.len());
}
