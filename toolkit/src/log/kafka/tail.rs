//! The end of a partition, read backwards (P6).

use std::collections::VecDeque;

use super::reader::{Go, Reader};
use crate::{
    id::SourceLane,
    log::{Backwards, LogError},
};

/// Offsets that are looked through at first. Marks and aborted records sit at the end of a partition: if
/// too few records come, eight times as many are tried.
const SPAN_FIRST: i64 = 512;

/// The last `count` committed records, or all when there are fewer.
pub(super) fn read_back(
    reader: &Reader,
    source: &SourceLane,
    count: usize,
) -> Result<Backwards, LogError> {
    let deadline = reader.deadline();
    let topic_id = reader.topic_id(&source.topic)?;
    let ends = reader.ends(source)?;
    let wanted = i64::try_from(count).unwrap_or(i64::MAX);
    let mut span = SPAN_FIRST.max(wanted.saturating_mul(2));
    loop {
        let from = ends.last_stable.saturating_sub(span).max(ends.start);
        let mut records = VecDeque::new();
        let mut seen = 0usize;
        reader.scan(source, from, ends.last_stable, deadline, |record| {
            seen += 1;
            records.push_back(record);
            if records.len() > count {
                records.pop_front();
            }
            Go::On
        })?;
        let all = from == ends.start;
        if seen >= count || all {
            return Ok(Backwards {
                records: records.into(),
                from_start: all && seen <= count,
                start_offset: ends.start,
                end_offset: ends.high.max(ends.last_stable),
                stable: ends.last_stable >= ends.high,
                topic_id,
            });
        }
        span = span.saturating_mul(8);
    }
}
