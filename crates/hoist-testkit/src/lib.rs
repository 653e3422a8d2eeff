//! Hermetic homes and reference tools for hoist's tests.
