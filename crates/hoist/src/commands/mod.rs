//! One module a subcommand: its arguments, its run function.

pub(crate) mod bindgen;
pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod flake;
pub(crate) mod generations;
pub(crate) mod init;
pub(crate) mod pack;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod ship;
pub(crate) mod store;
pub(crate) mod switch;
