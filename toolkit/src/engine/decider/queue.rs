//! Works that wait for a batch, in order, and how many bytes they hold.

use std::collections::VecDeque;

use super::work::Work;

/// First in, first out; what is decided again comes back to the front.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Each with its bytes as they were counted.
    works: VecDeque<(usize, Work)>,
    bytes: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.works.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.works.is_empty()
    }

    /// Payloads of all that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push_back(&mut self, work: Work) {
        let bytes = work.bytes();
        self.bytes += bytes;
        self.works.push_back((bytes, work));
    }

    pub(super) fn push_front(&mut self, work: Work) {
        let bytes = work.bytes();
        self.bytes += bytes;
        self.works.push_front((bytes, work));
    }

    pub(super) fn pop_front(&mut self) -> Option<Work> {
        let (bytes, work) = self.works.pop_front()?;
        self.bytes -= bytes;
        Some(work)
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Work> {
        self.works.front_mut().map(|(_, work)| work)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Work> {
        self.works.iter_mut().map(|(_, work)| work)
    }

    /// Takes out those for which `goes` says so, in order.
    pub(super) fn remove(&mut self, mut goes: impl FnMut(&Work) -> bool) -> Vec<Work> {
        let mut removed = vec![];
        for _ in 0..self.len() {
            let Some(work) = self.pop_front() else { break };
            if goes(&work) {
                removed.push(work);
            } else {
                self.push_back(work);
            }
        }
        removed
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Work> {
        std::iter::from_fn(|| self.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::lanes::Mark, id::SourceLane};

    fn lane(n: u32) -> SourceLane {
        SourceLane { topic: "t".into(), lane: crate::id::Lane(n) }
    }

    fn skip(n: u32) -> Work {
        Work::Skip {
            source: lane(n),
            mark: Mark { epoch: 1, seq: 1, id: None, next_offset: 1 },
            repeated: false,
        }
    }

    #[test]
    fn what_is_removed_and_what_stays_keep_their_order() {
        let mut queue = Queue::default();
        [1, 2, 1, 3, 2].into_iter().for_each(|n| queue.push_back(skip(n)));
        queue.push_front(skip(9));
        let lanes = |works: &[Work]| -> Vec<u32> {
            works.iter().filter_map(Work::source).map(|source| source.lane.0).collect()
        };
        let removed = queue.remove(|work| work.source() == Some(&lane(2)));
        assert_eq!(lanes(&removed), [2, 2]);
        let left: Vec<Work> = queue.drain().collect();
        assert_eq!(lanes(&left), [9, 1, 1, 3]);
        assert!(queue.is_empty() && queue.bytes() == 0);
    }
}
