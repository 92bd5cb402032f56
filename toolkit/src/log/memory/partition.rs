//! One partition: records, marks, and what is still open.

use std::collections::{BTreeMap, VecDeque};

use crate::id::SourceLane;
use crate::log::{LogRecord, NewRecord};
use crate::mutant::{Mutant, broken};

/// What an offset holds.
#[derive(Debug)]
enum Entry {
    /// A record that is there for all.
    Committed(LogRecord),
    /// A record of an open transaction of this producer.
    Open(u64, LogRecord),
    /// An aborted record, or a mark that ends a transaction. Nobody sees it; it has an offset.
    Hidden,
}

impl Entry {
    /// The record, when readers may see it.
    fn seen(&self) -> Option<&LogRecord> {
        match self {
            Self::Committed(record) => Some(record),
            Self::Open(_, record) if broken(Mutant::ReadUncommitted) => Some(record),
            Self::Open(..) | Self::Hidden => None,
        }
    }
}

/// Offsets are dense in here: a hidden entry is what a reader sees as a hole.
#[derive(Debug, Default)]
pub(super) struct Partition {
    start: i64,
    entries: VecDeque<Entry>,
    /// Producers with an open transaction here, and the offset of its first record.
    open: BTreeMap<u64, i64>,
}

impl Partition {
    pub(super) fn start(&self) -> i64 {
        self.start
    }

    /// The high watermark: the offset that the next record gets.
    pub(super) fn end(&self) -> i64 {
        self.start + i64::try_from(self.entries.len()).unwrap_or(i64::MAX)
    }

    /// Readers see nothing from here on.
    pub(super) fn last_stable(&self) -> i64 {
        self.open.values().min().map_or(self.end(), |first| (*first).max(self.start))
    }

    pub(super) fn append(
        &mut self,
        source: SourceLane,
        record: NewRecord,
        producer: Option<u64>,
    ) -> i64 {
        let offset = self.end();
        let record = LogRecord {
            source,
            offset,
            key: record.key,
            value: record.value,
            headers: record.headers,
            time: record.time,
        };
        self.entries.push_back(match producer {
            Some(producer) => {
                self.open.entry(producer).or_insert(offset);
                Entry::Open(producer, record)
            }
            None => Entry::Committed(record),
        });
        offset
    }

    /// Ends a producer's transaction: its records are there or hidden, and a mark takes an offset.
    pub(super) fn finish(&mut self, producer: u64, commit: bool) {
        if let Some(first) = self.open.remove(&producer) {
            let from = self.index(first);
            for entry in self.entries.range_mut(from..) {
                if matches!(entry, Entry::Open(owner, _) if *owner == producer) {
                    let ended = std::mem::replace(entry, Entry::Hidden);
                    if let (true, Entry::Open(_, record)) = (commit, ended) {
                        *entry = Entry::Committed(record);
                    }
                }
            }
        }
        self.entries.push_back(Entry::Hidden);
    }

    /// Takes at most `max` records from `at` on, and moves `at` behind them. An offset outside of what
    /// the partition holds starts at its start.
    pub(super) fn read(&self, at: &mut i64, max: usize, into: &mut Vec<LogRecord>) {
        if *at < self.start || *at > self.end() {
            *at = self.start;
        }
        let from = self.index(*at);
        let to = match broken(Mutant::ReadUncommitted) {
            true => self.entries.len(),
            false => self.index(self.last_stable()).max(from),
        };
        let mut room = max;
        for entry in self.entries.range(from..to) {
            if room == 0 {
                break;
            }
            if let Some(record) = entry.seen() {
                into.push(record.clone());
                room -= 1;
            }
            *at += 1;
        }
    }

    /// What readers may see, oldest first.
    pub(super) fn committed(&self) -> impl DoubleEndedIterator<Item = &LogRecord> {
        self.entries.range(..self.index(self.last_stable())).filter_map(|entry| match entry {
            Entry::Committed(record) => Some(record),
            _ => None,
        })
    }

    /// Retention: forgets what lies before `offset`.
    pub(super) fn delete_before(&mut self, offset: i64) {
        let count = self.index(offset);
        self.entries.drain(..count);
        self.start += i64::try_from(count).unwrap_or(0);
    }

    /// Forgets the oldest entries before `passed`, but keeps `keep` entries, the last record and all
    /// that is open.
    pub(super) fn trim(&mut self, passed: i64, keep: usize) {
        let surplus = self.entries.len().saturating_sub(keep);
        if surplus == 0 {
            return;
        }
        let Some(last) = self.committed().next_back().map(|record| record.offset) else { return };
        let oldest_kept = self.start.saturating_add(i64::try_from(surplus).unwrap_or(i64::MAX));
        self.delete_before(oldest_kept.min(passed).min(last));
    }

    /// The log lost its tail: everything from `offset` on is gone.
    pub(super) fn truncate(&mut self, offset: i64) {
        let count = self.index(offset);
        self.entries.truncate(count);
        let end = self.end();
        self.open.retain(|_, first| *first < end);
    }

    /// The position of an offset among the entries, clamped to what there is.
    fn index(&self, offset: i64) -> usize {
        usize::try_from(offset.saturating_sub(self.start)).unwrap_or(0).min(self.entries.len())
    }
}
