//! Where a lane number is: by bisection, for numbers grow with the offsets (P3).

use std::time::Instant;

use super::reader::{Go, Reader};
use crate::{
    id::{LaneSeq, SourceLane},
    log::{Found, LogError, record},
};

/// Offsets that are read through rather than bisected further: one fetch brings about as many.
const SCAN_MAX: i64 = 512;
/// A partition with up to this many offsets is read through before a number is called missing: a loss stops
/// a lane, and a relay that published again may have left numbers that do not grow everywhere.
const READ_ALL_MAX: i64 = 1_000_000;

/// A record with a number.
#[derive(Clone, Copy, Debug)]
struct Mark {
    offset: i64,
    seq: LaneSeq,
}

struct Search<'a> {
    reader: &'a Reader,
    source: &'a SourceLane,
    deadline: Instant,
    seq: LaneSeq,
}

/// Looks up the record with this lane number among the committed ones.
pub(super) fn find(reader: &Reader, source: &SourceLane, seq: LaneSeq) -> Result<Found, LogError> {
    let ends = reader.ends(source)?;
    let search = Search { reader, source, deadline: reader.deadline(), seq };
    let Some(first) = search.first_mark(ends.start, ends.last_stable)? else {
        return Ok(Found::Missing { first: None });
    };
    if first.seq == seq {
        return Ok(Found::At(first.offset));
    }
    let missing = Found::Missing { first: Some(first.seq) };
    if seq < first.seq {
        return Ok(missing);
    }
    let mut found = search.bisect(first, ends.last_stable)?;
    if found.is_none() && ends.last_stable - first.offset <= READ_ALL_MAX {
        found = search.read_through(first.offset, ends.last_stable)?;
    }
    Ok(found.map_or(missing, Found::At))
}

impl Search<'_> {
    /// The first record with a number from `from` on, before `to`.
    fn first_mark(&self, from: i64, to: i64) -> Result<Option<Mark>, LogError> {
        let mut mark = None;
        self.reader.scan(self.source, from, to, self.deadline, |record| {
            mark = record::lane_seq(&record.headers).map(|seq| Mark { offset: record.offset, seq });
            if mark.is_some() { Go::Stop } else { Go::On }
        })?;
        Ok(mark)
    }

    /// The offset of the number, if it is there and the numbers grow.
    fn bisect(&self, first: Mark, end: i64) -> Result<Option<i64>, LogError> {
        // The number lies behind `low`, and before `high`.
        let (mut low, mut high) = (first, end);
        let mut guess = true;
        while high - low.offset > SCAN_MAX {
            let middle = low.offset + (high - low.offset) / 2;
            // Numbers are nearly as dense as offsets: a guess mostly comes close, and every second try
            // halves what is left all the same.
            let at = if guess { self.guess(low, high) } else { middle };
            guess = !guess;
            match self.first_mark(at, high)? {
                Some(mark) if mark.seq == self.seq => return Ok(Some(mark.offset)),
                Some(mark) if mark.seq < self.seq => {
                    low = mark;
                    if let Some(offset) = self.look_ahead(low, high)? {
                        return Ok(Some(offset));
                    }
                }
                _ => high = at,
            }
        }
        self.read_through(low.offset + 1, high)
    }

    /// The number is mostly found here after one or two guesses: a lane is dense but for the marks.
    fn look_ahead(&self, low: Mark, high: i64) -> Result<Option<i64>, LogError> {
        if self.seq - low.seq > SCAN_MAX.unsigned_abs() / 2 {
            return Ok(None);
        }
        self.read_through(low.offset + 1, high.min(low.offset + 1 + SCAN_MAX))
    }

    /// A little before where the number would be if every offset since `low` had one.
    fn guess(&self, low: Mark, high: i64) -> i64 {
        let ahead = i64::try_from(self.seq - low.seq).unwrap_or(i64::MAX);
        let dense = low.offset.saturating_add(ahead);
        dense.clamp(low.offset + 1, high - 1)
    }

    fn read_through(&self, from: i64, to: i64) -> Result<Option<i64>, LogError> {
        let mut found = None;
        self.reader.scan(self.source, from, to, self.deadline, |record| {
            if record::lane_seq(&record.headers) == Some(self.seq) {
                found = Some(record.offset);
                return Go::Stop;
            }
            Go::On
        })?;
        Ok(found)
    }
}
