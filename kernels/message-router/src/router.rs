//! Both tracts, and the numbering of messages.

use std::collections::TryReserveError;

use crate::{
    message::{Message, TRACTS, tract_index},
    refusal::Refusal,
    tract::Tract,
};

/// Greatest number of messages in a queue, `ROUTER_MAX_CAPACITY` of the header.
pub(crate) const MAX_CAPACITY: usize = 1 << 24;

/// A router as one thread sees it.
#[derive(Debug)]
pub(crate) struct Router {
    tracts: [Tract; TRACTS],
    /// The next message's; counts accepted messages, which never reach 2^63.
    next_id: i64,
}

impl Router {
    /// Makes a router whose queues hold up to `capacity` messages each.
    ///
    /// # Errors
    ///
    /// When memory cannot be had.
    pub(crate) fn new(capacity: usize) -> Result<Self, TryReserveError> {
        Ok(Self { tracts: [Tract::new(capacity)?, Tract::new(capacity)?], next_id: 0 })
    }

    /// Lets a message wait in its destination's queue and returns its id.
    ///
    /// # Errors
    ///
    /// What [`Message::place`] refuses, or [`Refusal::Full`].
    #[inline]
    pub(crate) fn route(&mut self, message: Message) -> Result<i64, Refusal> {
        let place = message.place()?;
        let id = self.next_id;
        self.tracts[place.tract].push(place.priority, Message { id, ..message })?;
        self.next_id = id.wrapping_add(1);
        Ok(id)
    }

    /// Returns the queue of messages to `tract`.
    ///
    /// # Errors
    ///
    /// [`Refusal::BadTract`].
    pub(crate) fn tract(&mut self, tract: i32) -> Result<&mut Tract, Refusal> {
        Ok(&mut self.tracts[tract_index(tract)?])
    }

    /// Returns how many messages wait in both queues.
    pub(crate) fn depth(&self) -> u32 {
        self.tracts.iter().map(Tract::depth).sum()
    }
}

/// Returns an id as the calls for one message give it: the lower 31 bits.
#[expect(clippy::cast_possible_truncation, reason = "the mask leaves 31 bits")]
pub(crate) fn short_id(id: i64) -> i32 {
    (id & i64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::{message::PRIORITIES, testing::Random};

    /// What the router is specified to be, said as plainly as possible.
    #[derive(Default)]
    struct Model {
        queues: [[VecDeque<Message>; PRIORITIES]; TRACTS],
        accepted: i64,
    }

    impl Model {
        fn depth(&self, tract: usize) -> usize {
            self.queues[tract].iter().map(VecDeque::len).sum()
        }

        fn route(&mut self, message: Message, capacity: usize) -> Option<i64> {
            let tract = usize::try_from(message.dest_tract).unwrap();
            if self.depth(tract) == capacity {
                return None;
            }
            let id = self.accepted;
            let priority = usize::try_from(message.priority).unwrap();
            self.queues[tract][priority].push_back(Message { id, ..message });
            self.accepted += 1;
            Some(id)
        }

        fn pop(&mut self, tract: usize) -> Option<Message> {
            self.queues[tract].iter_mut().rev().find_map(VecDeque::pop_front)
        }
    }

    fn random_message(random: &mut Random) -> Message {
        Message {
            source_tract: random.below(2),
            dest_tract: random.below(2),
            priority: random.below(4),
            payload_size: random.below(i32::MAX),
            timestamp_ms: random.bits().cast_signed(),
            id: random.bits().cast_signed(),
        }
    }

    #[test]
    fn agrees_with_the_model_on_random_operations() {
        for seed in 0..40 {
            let mut random = Random::new(seed);
            let capacity = usize::try_from(1 + random.below(40)).unwrap();
            let (mut router, mut model) = (Router::new(capacity).unwrap(), Model::default());
            for _ in 0..3000 {
                // Filling and draining phases, so that both ends of the range are met.
                let fills = random.below(100) < if router.next_id / 200 % 2 == 0 { 70 } else { 40 };
                if fills {
                    let message = random_message(&mut random);
                    let wanted = model.route(message, capacity).ok_or(Refusal::Full);
                    assert_eq!(router.route(message), wanted);
                } else {
                    let tract = random.below(2);
                    let wanted = model.pop(usize::try_from(tract).unwrap());
                    assert_eq!(router.tract(tract).unwrap().pop(), wanted);
                }
                let depths =
                    [model.depth(0), model.depth(1)].map(|depth| u32::try_from(depth).unwrap());
                assert_eq!(router.tracts.each_ref().map(Tract::depth), depths);
                assert_eq!(router.depth(), depths[0] + depths[1]);
            }
        }
    }

    #[test]
    fn a_refused_message_uses_up_no_id() {
        let mut router = Router::new(1).unwrap();
        let message = Message::default();
        assert_eq!(router.route(Message { priority: 7, ..message }), Err(Refusal::BadPriority));
        assert_eq!(router.route(message), Ok(0));
        assert_eq!(router.route(message), Err(Refusal::Full));
        assert_eq!(router.route(Message { dest_tract: 1, ..message }), Ok(1));
    }

    #[test]
    fn short_ids_start_again_after_the_greatest_i32() {
        let mut router = Router::new(4).unwrap();
        router.next_id = i64::from(i32::MAX);
        let ids = [router.route(Message::default()), router.route(Message::default())];
        assert_eq!(ids.map(|id| short_id(id.unwrap())), [i32::MAX, 0]);
        let taken = router.tract(0).unwrap().pop().unwrap();
        assert_eq!(taken.id, i64::from(i32::MAX));
    }

    #[test]
    fn a_tract_that_is_none_is_refused() {
        let mut router = Router::new(1).unwrap();
        for tract in [-1, 2, i32::MIN, i32::MAX] {
            assert_eq!(router.tract(tract).err(), Some(Refusal::BadTract));
        }
    }
}
