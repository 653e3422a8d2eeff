//! The C ABI of `include/message_router.h`; what each function promises is written there.
//!
//! One lock per router, held for the length of a call, a batch included.

use std::{
    alloc::{Layout, alloc},
    ffi::c_void,
    ptr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    message::Message,
    refusal::Refusal,
    router::{MAX_CAPACITY, Router, short_id},
};

/// What a handle points to.
type Shared = Mutex<Router>;

/// Makes a router; null when `capacity` is out of range or memory cannot be had.
#[unsafe(no_mangle)]
#[expect(clippy::cast_ptr_alignment, reason = "the allocation has the alignment it asks for")]
pub extern "C" fn create_router(capacity: i32) -> *mut c_void {
    let in_range = usize::try_from(capacity).ok().filter(|size| (1..=MAX_CAPACITY).contains(size));
    let Some(router) = in_range.and_then(|size| Router::new(size).ok()) else {
        return ptr::null_mut();
    };
    // `Box::new` would abort the host's process where memory is short.
    // SAFETY: the layout is not of size 0.
    let place = unsafe { alloc(Layout::new::<Shared>()) }.cast::<Shared>();
    if !place.is_null() {
        // SAFETY: `place` was just allocated for this type.
        unsafe { place.write(Mutex::new(router)) };
    }
    place.cast()
}

/// Frees a router; null is ignored.
///
/// # Safety
///
/// `router` is null or from [`create_router`], was not freed before, and no other call on it is
/// under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn destroy_router(router: *mut c_void) {
    if !router.is_null() {
        // SAFETY: `create_router` allocated it with the layout that a box has, and the caller hands
        // over the only reference.
        drop(unsafe { Box::from_raw(router.cast::<Shared>()) });
    }
}

/// Routes one message; returns its short id.
///
/// # Safety
///
/// `router` is null or a live router.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn route_message_ffi(
    router: *mut c_void,
    source_tract: i32,
    dest_tract: i32,
    priority: i32,
    timestamp_ms: i64,
    payload_size: i32,
) -> i32 {
    let message = Message { source_tract, dest_tract, priority, payload_size, timestamp_ms, id: 0 };
    // SAFETY: the caller's promise.
    let accepted = unsafe { lock(router) }.and_then(|mut router| router.route(message));
    code_of(accepted.map(short_id))
}

/// Takes the next message of a tract; returns its short id.
///
/// # Safety
///
/// `router` is null or a live router.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_next_message_ffi(router: *mut c_void, tract: i32) -> i32 {
    // SAFETY: the caller's promise.
    let taken = unsafe { lock(router) }
        .and_then(|mut router| router.tract(tract)?.pop().ok_or(Refusal::Empty));
    code_of(taken.map(|message| short_id(message.id)))
}

/// Returns how many messages wait in a tract.
///
/// # Safety
///
/// `router` is null or a live router.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_queue_depth_ffi(router: *mut c_void, tract: i32) -> i32 {
    // SAFETY: the caller's promise.
    let depth = unsafe { lock(router) }.and_then(|mut router| Ok(router.tract(tract)?.depth()));
    code_of(depth.map(u32::cast_signed))
}

/// Returns how many messages wait in both tracts.
///
/// # Safety
///
/// `router` is null or a live router.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_total_queue_depth_ffi(router: *mut c_void) -> i32 {
    // SAFETY: the caller's promise.
    let depth = unsafe { lock(router) }.map(|router| router.depth());
    code_of(depth.map(u32::cast_signed))
}

/// Routes a batch up to the first message that is refused; returns how many were accepted.
///
/// # Safety
///
/// `router` is null or a live router. Pointers that are neither null nor misaligned are valid:
/// `messages` for reading `n` messages, `out_ids` for writing `n` ids.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn route_messages_ffi(
    router: *mut c_void,
    messages: *const Message,
    n: i32,
    out_ids: *mut i32,
) -> i32 {
    // SAFETY: the caller's promise.
    let accepted = unsafe { lock(router) }.and_then(|mut router| {
        if messages.is_null() || !messages.is_aligned() || !out_ids.is_aligned() {
            return Err(Refusal::BadPointer);
        }
        for at in 0..count(n)? {
            // SAFETY: `at` is below `n`. Read by value, so that `out_ids` may overlap.
            let message = unsafe { messages.add(at).read() };
            match router.route(message) {
                Ok(id) if !out_ids.is_null() => {
                    // SAFETY: `at` is below `n`, and the pointer is aligned and not null.
                    unsafe { out_ids.add(at).write(short_id(id)) };
                }
                Ok(_) => {}
                Err(refusal) if at == 0 => return Err(refusal),
                Err(_) => return Ok(at),
            }
        }
        count(n)
    });
    code_of(accepted.map(short_count))
}

/// Takes up to `max` messages of a tract; returns how many.
///
/// # Safety
///
/// `router` is null or a live router. `out`, where neither null nor misaligned, is valid for writing
/// `max` messages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_next_messages_ffi(
    router: *mut c_void,
    tract: i32,
    out: *mut Message,
    max: i32,
) -> i32 {
    // SAFETY: the caller's promise.
    let taken = unsafe { lock(router) }.and_then(|mut router| {
        if out.is_null() || !out.is_aligned() {
            return Err(Refusal::BadPointer);
        }
        let max = count(max)?;
        let tract = router.tract(tract)?;
        for at in 0..max {
            let Some(message) = tract.pop() else { return Ok(at) };
            // SAFETY: `at` is below `max`, and the pointer is aligned and not null.
            unsafe { out.add(at).write(message) };
        }
        Ok(max)
    });
    code_of(taken.map(short_count))
}

/// Locks the router behind a handle.
///
/// # Safety
///
/// `router` is null or from [`create_router`], and is not freed before the guard is dropped.
unsafe fn lock<'a>(router: *mut c_void) -> Result<MutexGuard<'a, Router>, Refusal> {
    // SAFETY: a live handle points to an initialised `Shared`, which is only ever shared.
    let shared = unsafe { router.cast::<Shared>().as_ref() }.ok_or(Refusal::BadRouter)?;
    // Nothing panics under the lock; were it to, the queues would still be whole.
    Ok(shared.lock().unwrap_or_else(PoisonError::into_inner))
}

fn count(messages: i32) -> Result<usize, Refusal> {
    usize::try_from(messages).map_err(|_| Refusal::BadCount)
}

/// Returns a count that came in as an `i32`, or is less than one that did.
fn short_count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn code_of(outcome: Result<i32, Refusal>) -> i32 {
    outcome.unwrap_or_else(Refusal::code)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    /// A router of the C ABI, called as a C program would.
    struct Handle(*mut c_void);

    // SAFETY: the header lets any thread call any function but `destroy_router`.
    unsafe impl Sync for Handle {}

    // SAFETY of every call below: the handle is live until `drop`, and arrays are Rust slices
    // passed with their own lengths.
    impl Handle {
        fn new(capacity: i32) -> Self {
            let router = create_router(capacity);
            assert!(!router.is_null());
            Self(router)
        }

        fn route(&self, dest_tract: i32, priority: i32) -> i32 {
            unsafe { route_message_ffi(self.0, 0, dest_tract, priority, 5, 100) }
        }

        fn next(&self, tract: i32) -> i32 {
            unsafe { get_next_message_ffi(self.0, tract) }
        }

        fn depths(&self) -> [i32; 3] {
            let depth = |tract| unsafe { get_queue_depth_ffi(self.0, tract) };
            [depth(0), depth(1), unsafe { get_total_queue_depth_ffi(self.0) }]
        }

        fn route_all(&self, messages: &[Message], ids: Option<&mut [i32]>) -> i32 {
            let ids = ids.map_or(ptr::null_mut(), <[i32]>::as_mut_ptr);
            let n = i32::try_from(messages.len()).unwrap();
            unsafe { route_messages_ffi(self.0, messages.as_ptr(), n, ids) }
        }

        fn take(&self, tract: i32, max: usize) -> Vec<Message> {
            let mut out = vec![Message::default(); max];
            let max = i32::try_from(max).unwrap();
            let taken = unsafe { get_next_messages_ffi(self.0, tract, out.as_mut_ptr(), max) };
            out.truncate(usize::try_from(taken).unwrap());
            out
        }
    }

    impl Drop for Handle {
        fn drop(&mut self) {
            unsafe { destroy_router(self.0) }
        }
    }

    fn to(dest_tract: i32, priority: i32, timestamp_ms: i64) -> Message {
        let (source_tract, payload_size, id) = (1, 9, -1);
        Message { source_tract, dest_tract, priority, payload_size, timestamp_ms, id }
    }

    #[test]
    fn single_messages_come_back_by_priority_with_their_ids() {
        let router = Handle::new(4);
        assert_eq!([router.route(1, 0), router.route(1, 3), router.route(0, 2)], [0, 1, 2]);
        assert_eq!(router.depths(), [1, 2, 3]);
        assert_eq!([router.next(1), router.next(1), router.next(1)], [1, 0, Refusal::Empty.code()]);
        assert_eq!(router.depths(), [1, 0, 1]);
    }

    #[test]
    fn a_batch_keeps_every_field_and_sets_the_id() {
        let router = Handle::new(8);
        let mut ids = [-7; 3];
        let batch = [to(0, 1, i64::MIN), to(1, 0, 8), to(0, 1, 9)];
        assert_eq!(router.route_all(&batch, Some(&mut ids)), 3);
        assert_eq!(ids, [0, 1, 2]);
        assert_eq!(
            router.take(0, 5),
            [Message { id: 0, ..batch[0] }, Message { id: 2, ..batch[2] }]
        );
        assert_eq!(router.take(1, 1), [Message { id: 1, ..batch[1] }]);
        assert_eq!(router.take(1, 1), []);
    }

    #[test]
    fn a_batch_stops_at_the_first_refused_message_and_the_next_says_why() {
        let router = Handle::new(2);
        let mut ids = [-7; 4];
        let batch = [to(0, 0, 1), to(0, 3, 2), to(0, 0, 3), to(1, 0, 4)];
        assert_eq!(router.route_all(&batch, Some(&mut ids)), 2);
        assert_eq!(ids, [0, 1, -7, -7]);
        assert_eq!(router.route_all(&batch[2..], None), Refusal::Full.code());
        assert_eq!(router.route_all(&batch[3..], None), 1);
        let bad = [to(0, 4, 0)];
        assert_eq!(router.route_all(&bad, None), Refusal::BadPriority.code());
        assert_eq!(router.depths(), [2, 1, 3]);
    }

    #[test]
    fn the_capacity_is_limited() {
        for capacity in [0, -1, i32::MIN, i32::MAX, 16_777_217] {
            assert!(create_router(capacity).is_null(), "{capacity}");
        }
        let greatest = Handle::new(16_777_216);
        assert_eq!(greatest.route(0, 0), 0);
    }

    #[test]
    fn refuses_what_the_header_refuses() {
        let router = Handle::new(2);
        let (mut message, mut id) = (to(0, 0, 0), 0);
        let null = ptr::null_mut();
        let askew = (&raw mut message).wrapping_byte_add(4);
        let askew_id = (&raw mut id).wrapping_byte_add(1);
        // SAFETY: a call with a null or misaligned pointer, or a bad count, touches no array.
        let results = unsafe {
            destroy_router(null);
            [
                (route_message_ffi(null, 0, 0, 0, 0, 0), Refusal::BadRouter),
                (get_next_message_ffi(null, 9), Refusal::BadRouter),
                (get_queue_depth_ffi(null, 0), Refusal::BadRouter),
                (get_total_queue_depth_ffi(null), Refusal::BadRouter),
                (route_messages_ffi(null, &raw const message, 1, &raw mut id), Refusal::BadRouter),
                (get_next_messages_ffi(null, 0, &raw mut message, 1), Refusal::BadRouter),
                (route_message_ffi(router.0, 2, 0, 0, 0, 0), Refusal::BadTract),
                (route_message_ffi(router.0, 0, -1, 9, 0, 0), Refusal::BadTract),
                (route_message_ffi(router.0, 0, 0, 4, 0, -1), Refusal::BadPriority),
                (route_message_ffi(router.0, 0, 0, 0, 0, -1), Refusal::BadPayloadSize),
                (get_next_message_ffi(router.0, 2), Refusal::BadTract),
                (get_queue_depth_ffi(router.0, -1), Refusal::BadTract),
                (route_messages_ffi(router.0, ptr::null(), -1, null.cast()), Refusal::BadPointer),
                (route_messages_ffi(router.0, askew, 1, null.cast()), Refusal::BadPointer),
                (
                    route_messages_ffi(router.0, &raw const message, 1, askew_id),
                    Refusal::BadPointer,
                ),
                (
                    route_messages_ffi(router.0, &raw const message, -1, null.cast()),
                    Refusal::BadCount,
                ),
                (get_next_messages_ffi(router.0, 9, ptr::null_mut(), 1), Refusal::BadPointer),
                (get_next_messages_ffi(router.0, 9, askew, 1), Refusal::BadPointer),
                (get_next_messages_ffi(router.0, 9, &raw mut message, -1), Refusal::BadCount),
                (get_next_messages_ffi(router.0, 9, &raw mut message, 0), Refusal::BadTract),
            ]
        };
        for (at, (result, refusal)) in results.into_iter().enumerate() {
            assert_eq!(result, refusal.code(), "call {at}");
        }
        assert_eq!((message, id, router.depths()), (to(0, 0, 0), 0, [0; 3]));
        assert_eq!((router.route_all(&[], None), router.take(0, 0)), (0, vec![]));
    }

    /// Two producers, one by batches and one by single messages, and two consumers.
    #[test]
    fn threads_lose_nothing_double_nothing_and_keep_the_order() {
        const EACH: i32 = 20_000;
        let router = Handle::new(500);
        let producing = AtomicUsize::new(2);
        let producer = |batch: usize| {
            let messages: Vec<_> = (0..EACH).map(|at| to(0, at % 4, i64::from(at))).collect();
            let mut rest = &messages[..];
            while !rest.is_empty() {
                let accepted = router.route_all(&rest[..batch.min(rest.len())], None);
                match usize::try_from(accepted) {
                    Ok(accepted) => rest = &rest[accepted..],
                    Err(_) => assert_eq!(accepted, Refusal::Full.code()),
                }
                thread::yield_now();
            }
            producing.fetch_sub(1, Ordering::SeqCst);
        };
        let consumer = || {
            let (mut ids, mut newest) = (Vec::new(), [-1; 4]);
            loop {
                let last_look = producing.load(Ordering::SeqCst) == 0;
                let taken = router.take(0, 64);
                if taken.is_empty() && last_look {
                    return ids;
                }
                for Message { priority, id, .. } in taken {
                    let newest = &mut newest[usize::try_from(priority).unwrap()];
                    assert!(id > *newest, "{id} came after {newest} in priority {priority}");
                    *newest = id;
                    ids.push(id);
                }
                thread::yield_now();
            }
        };
        let mut received: Vec<i64> = thread::scope(|scope| {
            let consumers = [scope.spawn(consumer), scope.spawn(consumer)];
            scope.spawn(|| producer(17));
            producer(1);
            consumers.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        received.sort_unstable();
        assert!(received.iter().copied().eq(0..2 * i64::from(EACH)), "{} ids", received.len());
    }
}
