//! Ids of spans, derived from ids that the engine has made: nothing is drawn for them, so that tracing
//! changes nothing else, and the same seed gives the same spans.

use uuid::Uuid;

use super::{SpanId, TraceId};

/// Spreads every bit over all: the finaliser of `splitmix64`.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn hash(seed: u64, words: &[u64], text: &str) -> u64 {
    let start = words.iter().fold(mix(seed), |hash, word| mix(hash ^ word));
    text.bytes().fold(start, |hash, byte| mix(hash ^ u64::from(byte)))
}

/// The id of the span in which `service` works on something that has an id; `turn` tells repetitions of
/// it apart.
pub(super) fn span(id: Uuid, service: &str, turn: u64) -> SpanId {
    let (high, low) = id.as_u64_pair();
    SpanId(hash(0x51, &[high, low, turn], service).max(1))
}

/// The id of a trace that begins where `service` works on something that has an id.
pub(super) fn trace(id: Uuid, service: &str) -> TraceId {
    let (high, low) = id.as_u64_pair();
    let half = |seed| u128::from(hash(seed, &[high, low], service));
    TraceId((half(0x7a) << 64 | half(0x7b)).max(1))
}

/// A saga's own trace: its id, for whoever looks for it.
pub(super) fn saga(saga: crate::id::SagaId) -> TraceId {
    TraceId(saga.0.as_u128().max(1))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_by_each_of_their_parts() {
        let mut spans = HashSet::new();
        for id in 0..1_000 {
            for service in ["order", "payment"] {
                for turn in 0..3 {
                    assert!(spans.insert(span(Uuid::from_u128(id), service, turn)));
                }
            }
        }
        let id = Uuid::from_u128(7);
        assert_eq!(span(id, "order", 0), span(id, "order", 0));
        assert_ne!(trace(id, "order"), trace(id, "payment"));
    }
}
