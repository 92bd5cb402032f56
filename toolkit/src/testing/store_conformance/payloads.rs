//! Bytes and texts come back as they went in.

use bytes::Bytes;

use super::{StorePlace, fixtures::*};
use crate::{
    id::{Lane, STREAM_ID_BYTES_MAX, StreamId},
    store::{HeldChange, HeldMessage, NewEvent, NewSnapshot, Route},
};

/// Every byte value, nothing at all, a mebibyte, and what only looks like JSON or text.
pub(crate) fn byte_strings() -> Vec<Bytes> {
    let every: Bytes = (0..=255).collect::<Vec<u8>>().into();
    let big: Bytes = (0..1 << 20).map(|n: u32| n.to_le_bytes()[n as usize % 3]).collect();
    vec![
        every,
        Bytes::new(),
        big,
        Bytes::from_static(b"{ \"spaces\" : 1.0, \"twice\":1,\"twice\":2 }"),
        Bytes::from_static(b"\xf0\x28\x8c\xbc not UTF-8 \x00"),
    ]
}

/// Texts that are patterns, SQL or numbers to some; the last is as long as the id of a stream may be.
pub(crate) fn odd_texts() -> Vec<String> {
    let odd = [
        "plain",
        "PLAIN",
        "Plain ",
        " ",
        "'",
        "''; DROP TABLE events; --",
        "\"",
        "\\",
        "\\\"",
        "%",
        "_",
        "*",
        "$1",
        "?1",
        ":a",
        "[]",
        "{}",
        "{1,2}",
        "a/b//c",
        "ä",
        "a\u{308}",
        "Ω≈ç√",
        "日本語",
        "🦀🦀",
        "\u{200b}",
        "\u{feff}",
        "\u{fffd}",
        "\u{10ffff}",
        "null",
        "NULL",
        "0",
        "00",
        "1e3",
        "-0",
        "\\u0041",
    ];
    let long = "x".repeat(STREAM_ID_BYTES_MAX - "account/".len());
    odd.into_iter().map(str::to_owned).chain([long]).collect()
}

/// Payloads, held messages and snapshots: every byte value, nothing at all, and a mebibyte.
pub async fn p12_payloads_are_kept_exactly(place: &dyn StorePlace) {
    let store = open(place).await;
    let (epoch, _) = own(&*store, &source(0)).await;
    for (n, payload) in byte_strings().into_iter().enumerate() {
        let (s, id) = (stream(&format!("s{n}")), format!("m{n}"));
        let event = NewEvent { payload: payload.clone(), ..public(&s, 1, 0, "k") };
        let mut append = append(vec![event]);
        append.positions.push(move_to(&source(0), epoch, 0, 0));
        let message = parked(&source(0), &id, &id, 1);
        let message = HeldMessage { payload: payload.clone(), headers: payload.clone(), ..message };
        append.held.push(HeldChange::Hold(Box::new(message.clone())));
        append.snapshots.push(NewSnapshot {
            stream: s.clone(),
            version: 1,
            snapshot_version: 2,
            state: payload.clone(),
        });
        store.append(&append).await.unwrap();
        assert_eq!(slice(&*store, &s).await.events[0].payload, payload);
        let from_lane = store.read_lane(Lane(0), n as u64, 1).await.unwrap().remove(0);
        assert_eq!(from_lane.payload, payload);
        assert_eq!(store.held(&source(0), &id, 1).await.unwrap(), [message]);
        assert_eq!(slice_of(&*store, &s, 2).await.snapshot, Some((1, payload)));
    }
}

/// Ids, keys, types and the like are text, not patterns, not SQL, and case matters.
pub async fn p12_odd_texts_are_kept_exactly(place: &dyn StorePlace) {
    let store = open(place).await;
    let (epoch, _) = own(&*store, &source(0)).await;
    let odd = odd_texts();
    for (n, text) in odd.iter().enumerate() {
        let s = stream(text);
        let written = NewEvent {
            event_type: text.clone().into(),
            causation: text.clone(),
            trace: Some(text.as_str().into()),
            route: Some(Route { lane: Lane(0), key: text.as_str().into() }),
            ..event(&s, 1)
        };
        let mut append = append(vec![written.clone()]);
        append.positions.push(move_to(&source(0), epoch, 0, 0));
        let message = HeldMessage {
            reason: text.clone(),
            event_type: text.clone(),
            saga: None,
            ..parked(&source(0), text, text, 1)
        };
        append.held.push(HeldChange::Hold(Box::new(message.clone())));
        store.append(&append).await.unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let expected = recorded(&written, n as u64 + 1);
        assert_eq!(slice(&*store, &s).await.events, std::slice::from_ref(&expected), "{text:?}");
        assert_eq!(store.read_lane(Lane(0), n as u64, 9).await.unwrap(), [expected]);
        assert_eq!(store.held(&source(0), text, 9).await.unwrap(), [message], "{text:?}");
    }
    // All at once too: whatever carries the list of streams must not mix them up.
    let streams: Vec<StreamId> = odd.iter().map(|text| stream(text)).collect();
    let reads: Vec<_> = streams.iter().map(|s| read(s, 1)).collect();
    let slices = store.load(&reads).await.unwrap();
    for (s, slice) in streams.iter().zip(&slices) {
        assert_eq!((slice.version, &slice.events[0].stream), (1, s));
    }
    let next = append(streams.iter().map(|s| event(s, 2)).collect());
    store.append(&next).await.unwrap();
}
