//! What a live reader did not see of what it could have seen.

use std::{collections::HashSet, fmt};

use crate::evidence::{Evidence, Record};

/// Records of a partition, one after the other, none of which was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// The topic.
    pub topic: String,
    /// Where there.
    pub partition: i32,
    /// The first offset and the last.
    pub offsets: (i64, i64),
    /// The times of these two, in milliseconds since 1970.
    pub times_ms: (Option<i64>, Option<i64>),
    /// How many.
    pub records: usize,
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, offsets: (first, last), times_ms, records } = self;
        write!(f, "{topic} {partition}: {records} at offsets {first} to {last}")?;
        match times_ms {
            (Some(first), Some(last)) => write!(f, ", of the times {first} to {last} ms"),
            _ => Ok(()),
        }
    }
}

/// The gaps in what was seen, by topic and offset; nothing when nobody watched.
#[must_use]
pub fn unseen(evidence: &Evidence) -> Vec<Unseen> {
    let Some(seen) = &evidence.seen else { return vec![] };
    let seen: HashSet<(&str, i32, i64)> =
        seen.iter().map(|s| (s.topic.as_str(), s.partition, s.offset)).collect();
    let gaps = evidence.services.iter().flat_map(|service| {
        let topic = service.topic.as_str();
        let is_seen = |r: &Record| seen.contains(&(topic, r.partition, r.offset));
        // They come by partition and offset.
        let runs = service
            .log
            .records
            .chunk_by(|a, b| a.partition == b.partition && is_seen(a) == is_seen(b));
        let missed = runs.filter(|run| !is_seen(&run[0]));
        missed.map(|run| Unseen::of(topic, run)).collect::<Vec<_>>()
    });
    gaps.collect()
}

impl Unseen {
    fn of(topic: &str, run: &[Record]) -> Self {
        let (first, last) = (&run[0], &run[run.len() - 1]);
        Self {
            topic: topic.to_owned(),
            partition: first.partition,
            offsets: (first.offset, last.offset),
            times_ms: (first.timestamp_ms, last.timestamp_ms),
            records: run.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Log, Service, Sighting, Store};

    fn record(partition: i32, offset: i64) -> Record {
        let timestamp_ms = Some(offset * 10);
        Record { partition, offset, key: vec![], value: vec![], timestamp_ms, headers: vec![] }
    }

    fn sighting(partition: i32, offset: i64) -> Sighting {
        let [id, seq] = [String::new(), String::new()];
        Sighting { topic: "t".into(), partition, offset, id, seq }
    }

    fn evidence(seen: Option<Vec<Sighting>>) -> Evidence {
        // Offset 3 is a mark.
        let records = [1, 2, 4, 5, 6].map(|offset| record(0, offset));
        let records = records.into_iter().chain([record(1, 1)]).collect();
        let log = Log { records, ends: vec![] };
        let service = Service { name: "s".into(), topic: "t".into(), store: Store::default(), log };
        Evidence { services: vec![service], seen, ..Evidence::default() }
    }

    #[test]
    fn gaps_are_told_with_their_places_and_times() {
        let seen = vec![sighting(0, 1), sighting(0, 5), sighting(1, 1)];
        let told: Vec<String> =
            unseen(&evidence(Some(seen))).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "t 0: 2 at offsets 2 to 4, of the times 20 to 40 ms",
                "t 0: 1 at offsets 6 to 6, of the times 60 to 60 ms",
            ]
        );
    }

    #[test]
    fn who_saw_everything_and_who_did_not_watch_have_no_gaps() {
        let all = [1, 2, 4, 5, 6].map(|offset| sighting(0, offset));
        let all = all.into_iter().chain([sighting(1, 1)]).collect();
        assert_eq!(unseen(&evidence(Some(all))), []);
        assert_eq!(unseen(&evidence(None)), []);
    }
}
