//! The log: partitions, and transactions as brokers and librdkafka do them without KIP-890. The end of a
//! transaction names its epoch only, so that a late or repeated one can end a later transaction of that epoch.

use crate::{LANES, SHARDS, list::List};

/// Records in a partition, at most.
pub const RECORDS_MAX: usize = 6;
/// Requests on the wire, at most.
pub const WIRE_MAX: usize = 4;

/// A record of ours in a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Record {
    /// Its number in the lane.
    pub seq: u8,
    /// Its event.
    pub id: u8,
    /// The transactional id that wrote it.
    pub shard: u8,
    /// Its offset.
    pub offset: u8,
    /// Its transaction has not ended.
    pub open: bool,
}

/// The end of a partition as a relay reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tail {
    /// Number and event of the last committed record of ours.
    pub last: Option<(u8, u8)>,
    /// The first offset that retention has left.
    pub start: u8,
    /// The offset after the last record or mark.
    pub end: u8,
    /// Which topic it is.
    pub topic: u8,
    /// No transaction is open.
    pub stable: bool,
}

/// A partition. Aborted records are gone at once; only the offsets remember them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Partition {
    /// What is there, in order of offsets.
    pub records: List<Record, RECORDS_MAX>,
    /// Which topic it belongs to.
    pub topic: u8,
    /// The first offset that is left.
    pub start: u8,
    /// The next offset.
    pub end: u8,
    /// The last number that retention has removed.
    pub trimmed: u8,
}

impl Partition {
    /// What a reader of committed records sees: up to the first open one.
    pub fn visible(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().take_while(|record| !record.open)
    }

    /// No transaction is open.
    #[must_use]
    pub fn stable(&self) -> bool {
        self.records.iter().all(|record| !record.open)
    }

    /// Reads the end.
    #[must_use]
    pub fn tail(&self) -> Tail {
        Tail {
            last: self.visible().last().map(|record| (record.seq, record.id)),
            start: self.start,
            end: self.end,
            topic: self.topic,
            stable: self.stable(),
        }
    }

    fn end_of_transaction(&mut self, shard: u8, commit: bool, offsets: bool) {
        if commit {
            self.records.each(|record| record.open &= record.shard != shard);
        } else {
            self.records.retain(|record| !record.open || record.shard != shard);
        }
        self.end += u8::from(offsets);
    }
}

/// What a transaction's coordinator is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Txn {
    /// No transaction, and none before it in this epoch.
    #[default]
    None,
    /// Records were written.
    Open,
    /// Decided; the marks are being written, partition by partition.
    Ending {
        /// Committed, or aborted.
        commit: bool,
    },
    /// All marks are written.
    Ended {
        /// Committed, or aborted.
        commit: bool,
    },
}

/// The coordinator of one transactional id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Coordinator {
    /// Whoever comes with another is turned away.
    pub epoch: u8,
    /// Its transaction.
    pub txn: Txn,
    /// The partitions that the transaction has written to, or that still lack its mark.
    pub partitions: [bool; LANES],
    /// Positions that were sent with transactions and committed with them: only the variant that relies on
    /// them writes any.
    pub offsets: [u8; LANES],
    /// Positions of the open transaction.
    pub offsets_open: Option<[u8; LANES]>,
}

/// A request that ends a transaction, on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EndTxn {
    /// Which transactional id.
    pub shard: u8,
    /// The epoch is all it knows of the transaction it means.
    pub epoch: u8,
    /// Commit, or abort.
    pub commit: bool,
    /// Nobody waits for its answer: a copy that was sent again, or its sender is gone.
    pub late: bool,
}

/// How a coordinator answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, or done before.
    Done,
    /// A later epoch exists.
    Fenced,
    /// There is no such transaction to end.
    NoSuchTransaction,
}

/// All partitions, all coordinators, and the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Log {
    /// One a lane.
    pub partitions: [Partition; LANES],
    /// One a shard.
    pub coordinators: [Coordinator; SHARDS],
    /// Requests on their way.
    pub wire: List<EndTxn, WIRE_MAX>,
}

impl Log {
    /// Whether the coordinator is writing marks: it puts everybody off.
    #[must_use]
    pub fn is_ending(&self, shard: u8) -> bool {
        matches!(self.coordinators[usize::from(shard)].txn, Txn::Ending { .. })
    }

    /// Asks for an epoch. An open transaction is fenced and aborted first: then the answer is none yet.
    pub fn init(&mut self, shard: u8) -> Option<u8> {
        let coordinator = &mut self.coordinators[usize::from(shard)];
        match coordinator.txn {
            Txn::Ending { .. } => None,
            Txn::Open => {
                coordinator.epoch += 1;
                coordinator.txn = Txn::Ending { commit: false };
                None
            }
            Txn::None | Txn::Ended { .. } => {
                coordinator.epoch += 1;
                coordinator.txn = Txn::None;
                Some(coordinator.epoch)
            }
        }
    }

    /// The coordinator aborts a transaction that stays open too long, and fences its owner.
    pub fn time_out(&mut self, shard: u8) {
        let coordinator = &mut self.coordinators[usize::from(shard)];
        coordinator.epoch += 1;
        coordinator.txn = Txn::Ending { commit: false };
    }

    /// Writes one record; false when the writer is fenced.
    pub fn produce(&mut self, lane: usize, epoch: u8, record: Record, offsets: bool) -> bool {
        let coordinator = &mut self.coordinators[usize::from(record.shard)];
        if coordinator.epoch != epoch {
            return false;
        }
        coordinator.txn = Txn::Open;
        coordinator.partitions[lane] = true;
        let partition = &mut self.partitions[lane];
        let fits = partition.records.push(Record { offset: partition.end, open: true, ..record });
        debug_assert!(fits, "checked before");
        partition.end += u8::from(offsets);
        true
    }

    /// Takes the end of a transaction off the wire. It may mean another than the one that is open: only its
    /// epoch is looked at.
    pub fn end(&mut self, request: EndTxn) -> Answer {
        let coordinator = &mut self.coordinators[usize::from(request.shard)];
        if coordinator.epoch != request.epoch {
            return Answer::Fenced;
        }
        match coordinator.txn {
            Txn::Open => {
                coordinator.txn = Txn::Ending { commit: request.commit };
                Answer::Done
            }
            Txn::Ended { commit } | Txn::Ending { commit } if commit == request.commit => {
                Answer::Done
            }
            _ => Answer::NoSuchTransaction,
        }
    }

    /// Writes the mark into one partition; the last one ends the transaction.
    pub fn mark(&mut self, shard: u8, lane: usize, offsets: bool) {
        let coordinator = &mut self.coordinators[usize::from(shard)];
        let Txn::Ending { commit } = coordinator.txn else { return };
        coordinator.partitions[lane] = false;
        self.partitions[lane].end_of_transaction(shard, commit, offsets);
        if coordinator.partitions.iter().any(|open| *open) {
            return;
        }
        coordinator.txn = Txn::Ended { commit };
        let sent = coordinator.offsets_open.take();
        if let (true, Some(sent)) = (commit, sent) {
            coordinator.offsets = sent;
        }
    }

    /// Requests of former epochs do nothing any more, and nobody waits for them.
    pub fn forget_dead_requests(&mut self) {
        let epochs = self.coordinators.map(|coordinator| coordinator.epoch);
        self.wire
            .retain(|request| !request.late || request.epoch == epochs[usize::from(request.shard)]);
    }
}
