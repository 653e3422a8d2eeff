//! One bounded queue.

use std::collections::TryReserveError;

use crate::{
    message::{Message, PRIORITIES},
    refusal::Refusal,
};

/// A slot number that means "none"; capacities stay below it.
const NONE: u32 = u32::MAX;

/// A queue of at most `capacity` messages, served by priority and then in order of arrival.
///
/// Messages lie in a slab of slots, each with the number of the next one: a list per priority and
/// one of the free slots. So any mix of priorities fills the same memory, and both ends of every
/// list are reached at once.
#[derive(Debug)]
pub(crate) struct Tract {
    /// Slots used so far; reserved to `capacity`, so that pushing never allocates.
    slots: Vec<Slot>,
    capacity: usize,
    /// First of the free slots, which are reused in the order last freed, first taken: it is the
    /// one most likely in the cache.
    free: u32,
    lanes: [Lane; PRIORITIES],
    depth: u32,
}

#[derive(Debug)]
struct Slot {
    message: Message,
    /// The next slot of the same list.
    next: u32,
}

/// The messages of one priority, oldest first.
#[derive(Debug, Clone, Copy)]
struct Lane {
    first: u32,
    /// Of no meaning while `first` is none.
    last: u32,
}

impl Tract {
    /// Reserves memory for `capacity` messages.
    pub(crate) fn new(capacity: usize) -> Result<Self, TryReserveError> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(capacity)?;
        let lanes = [Lane { first: NONE, last: NONE }; PRIORITIES];
        Ok(Self { slots, capacity, free: NONE, lanes, depth: 0 })
    }

    /// Returns how many messages wait.
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    /// Lets a message wait behind the others of its `priority`, which is below [`PRIORITIES`].
    ///
    /// # Errors
    ///
    /// [`Refusal::Full`].
    #[inline]
    pub(crate) fn push(&mut self, priority: usize, message: Message) -> Result<(), Refusal> {
        let at = self.fill_slot(message)?;
        let lane = &mut self.lanes[priority];
        if lane.first == NONE {
            lane.first = at;
        } else {
            self.slots[lane.last as usize].next = at;
        }
        lane.last = at;
        self.depth += 1;
        Ok(())
    }

    /// Takes the oldest message of the highest priority that has one.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Message> {
        let lane = self.lanes.iter_mut().rev().find(|lane| lane.first != NONE)?;
        let at = lane.first;
        let slot = &mut self.slots[at as usize];
        lane.first = slot.next;
        slot.next = self.free;
        self.free = at;
        self.depth -= 1;
        Some(slot.message)
    }

    /// Puts a message into a free slot, which then ends its list.
    #[inline]
    fn fill_slot(&mut self, message: Message) -> Result<u32, Refusal> {
        let filled = Slot { message, next: NONE };
        if self.free != NONE {
            let at = self.free;
            let slot = &mut self.slots[at as usize];
            self.free = slot.next;
            *slot = filled;
            return Ok(at);
        }
        if self.slots.len() >= self.capacity {
            return Err(Refusal::Full);
        }
        let at = u32::try_from(self.slots.len()).map_err(|_| Refusal::Full)?;
        self.slots.push(filled);
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: i64) -> Message {
        Message { id, ..Message::default() }
    }

    #[test]
    fn serves_the_highest_priority_first_and_each_in_order_of_arrival() {
        let mut tract = Tract::new(8).unwrap();
        for (id, priority) in [(0, 0), (1, 3), (2, 1), (3, 3), (4, 0)] {
            tract.push(priority, message(id)).unwrap();
        }
        let served: Vec<_> = std::iter::from_fn(|| tract.pop()).map(|message| message.id).collect();
        assert_eq!(served, [1, 3, 2, 0, 4]);
    }

    #[test]
    fn refuses_what_exceeds_its_capacity_whatever_the_priorities() {
        let mut tract = Tract::new(3).unwrap();
        for round in 0..5 {
            for priority in [round % 4, 1, 2] {
                assert_eq!(tract.push(priority, message(0)), Ok(()));
            }
            assert_eq!(tract.push(3, message(0)), Err(Refusal::Full));
            assert_eq!(tract.depth(), 3);
            while tract.pop().is_some() {}
            assert_eq!(tract.depth(), 0);
        }
    }

    #[test]
    fn never_moves_its_slots() {
        let mut tract = Tract::new(1000).unwrap();
        let reserved = tract.slots.as_ptr();
        while tract.push(1, message(0)).is_ok() {}
        assert_eq!((tract.depth(), tract.slots.as_ptr()), (1000, reserved));
    }
}
