//! hoist's automation.
fn main() {}
