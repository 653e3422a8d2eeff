//! Toolchains, actions, action keys, the action cache.
