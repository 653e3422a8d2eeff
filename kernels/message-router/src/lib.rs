//! Bounded priority queues between two tracts, behind the C ABI of `include/message_router.h`.
//!
//! - [`ffi`] is the door: it checks handles, arrays and counts, and holds the lock.
//! - `router` numbers messages and sends each to its tract.
//! - `tract` is one bounded queue: a slab of slots, threaded into a list per priority.
//! - [`message`] is the 32-byte record that both sides of the ABI share.
//!
//! `unsafe` is confined to the door, and nothing allocates after a router was made.

#[expect(unsafe_code, reason = "raw pointers arrive from C; each use names its invariant")]
pub mod ffi;
pub mod message;
mod refusal;
mod router;
#[cfg(test)]
mod testing;
mod tract;
