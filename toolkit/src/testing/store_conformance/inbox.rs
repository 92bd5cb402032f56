//! P4: events of foreign producers are taken once, and remembered for as long as is wished.

use tokio::task::JoinSet;

use super::{StorePlace, fixtures::*};
use crate::{
    runtime::Timestamp,
    store::{Append, AppendError, InboxEntry},
};

fn entry(source: &str, id: &str) -> InboxEntry {
    InboxEntry { source: source.into(), id: id.into() }
}

fn taking(mut entries: Vec<InboxEntry>) -> Append {
    entries.sort();
    Append { cause: Some(cause()), at: Timestamp(1), inbox: entries, ..Append::default() }
}

fn ids(range: std::ops::Range<u32>) -> Vec<InboxEntry> {
    range.map(|n| entry("a source", &n.to_string())).collect()
}

/// All that were seen are named, and nothing of the append is there, the new ones neither.
pub async fn p04_a_foreign_event_is_taken_once(place: &dyn StorePlace) {
    let store = open(place).await;
    store.append(&taking(ids(0..600))).await.unwrap();
    let s = stream("s");
    let mut again = append_to(&s, 0);
    again.inbox =
        taking(vec![entry("a source", "7"), entry("new", "7"), entry("a source", "99")]).inbox;
    let seen = taking(vec![entry("a source", "7"), entry("a source", "99")]).inbox;
    assert_fails!(
        store.append(&again).await,
        AppendError::SeenBefore { entries } if sorted(&entries) == seen
    );
    assert_eq!(head(&*store, &s).await, 0);
    // A handle of its own, and after the first is gone.
    drop(store);
    let store = open(place).await;
    assert_fails!(store.append(&again).await, AppendError::SeenBefore { .. });
    again.inbox = vec![entry("new", "7")];
    store.append(&again).await.unwrap();
    assert_eq!(head(&*store, &s).await, 1);
    assert_fails!(store.append(&taking(ids(0..600))).await, AppendError::SeenBefore { entries } if entries.len() == 600);
}

/// After causes and positions, before held messages and streams.
pub async fn p04_what_was_seen_has_its_place_in_the_order(place: &dyn StorePlace) {
    let store = open(place).await;
    let lane = source(0);
    let (epoch, _) = own(&*store, &lane).await;
    let first = taking(ids(0..1));
    store.append(&first).await.unwrap();
    let wrong = Append {
        positions: vec![move_to(&lane, epoch, 0, 1)],
        reads: vec![(stream("s"), 5)],
        inbox: ids(0..1),
        ..Append::default()
    };
    assert_fails!(store.append(&wrong).await, AppendError::SeenBefore { .. });
    let lost = Append { positions: vec![move_to(&lane, epoch + 1, 0, 1)], ..wrong.clone() };
    assert_fails!(store.append(&lost).await, AppendError::PositionLost { .. });
    let done = Append { cause: first.cause, ..lost };
    assert_fails!(store.append(&done).await, AppendError::AlreadyDone { .. });
    let unseen = Append { inbox: ids(1..2), ..wrong };
    assert_fails!(store.append(&unseen).await, AppendError::Conflict { .. });
    assert_eq!(own(&*store, &lane).await.1.last_seq, 0);
}

/// Neither case nor blanks nor odd characters make two names one, or one name two.
pub async fn p04_source_and_id_are_kept_exactly(place: &dyn StorePlace) {
    let store = open(place).await;
    let longest = "x".repeat(crate::id::FOREIGN_ID_BYTES_MAX);
    let entries = [
        ("s", "id"),
        ("s", "ID"),
        ("s ", "id"),
        ("s", "id "),
        ("si", "d"),
        ("", "sid"),
        ("s'", "\"id\""),
        ("https://x.example/ä?q=1#f", "\\ 💶"),
        ("s", "01"),
        ("s", "1"),
        (&longest, &longest),
        ("s", "{a,b}"),
    ];
    for (source, id) in entries {
        store.append(&taking(vec![entry(source, id)])).await.unwrap();
    }
    let all = taking(entries.iter().map(|(source, id)| entry(source, id)).collect());
    assert_fails!(
        store.append(&all).await,
        AppendError::SeenBefore { entries } if sorted(&entries) == all.inbox
    );
}

/// Neither a conflict nor a lost position has taken anything.
pub async fn p04_an_append_that_fails_leaves_nothing_in_the_inbox(place: &dyn StorePlace) {
    let store = open(place).await;
    let failing = Append { reads: vec![(stream("s"), 5)], ..taking(ids(0..3)) };
    assert_fails!(store.append(&failing).await, AppendError::Conflict { .. });
    store.append(&taking(ids(0..3))).await.unwrap();
}

/// Several at the same moment with overlapping events: each event is in one append.
pub async fn p04_one_of_many_takes_a_foreign_event(place: &dyn StorePlace) {
    let (first, second) = (open(place).await, open(place).await);
    for round in 0..10 {
        let mut tasks = JoinSet::new();
        for task in 0..4 {
            let store = if task % 2 == 0 { first.clone() } else { second.clone() };
            let mut entries: Vec<InboxEntry> = (0..8)
                .map(|n| entry(&format!("round {round}"), &((n * 3 + task) % 8).to_string()))
                .collect();
            entries.truncate(5);
            tasks.spawn(async move { take_what_is_new(&*store, entries).await });
        }
        let mut taken: Vec<InboxEntry> = tasks.join_all().await.concat();
        taken.sort();
        assert!(taken.is_sorted_by(|a, b| a < b), "taken twice: {taken:?}");
        assert_eq!(taken.len(), 8, "and nothing is left out");
    }
}

/// Leaves out what was seen, until the rest is taken, as an engine does.
async fn take_what_is_new(
    store: &dyn crate::store::EventStore,
    mut entries: Vec<InboxEntry>,
) -> Vec<InboxEntry> {
    loop {
        match patient(store, &taking(entries.clone())).await {
            Ok(_) => return entries,
            Err(AppendError::SeenBefore { entries: seen }) => {
                assert!(!seen.is_empty());
                entries.retain(|entry| !seen.contains(entry));
            }
            Err(AppendError::Conflict { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Oldest or not: what is older than asked for goes, few at a time, and can be taken again.
pub async fn p04_the_inbox_forgets_by_age(place: &dyn StorePlace) {
    let store = open(place).await;
    for at in [30, 10, 20] {
        let n = u32::try_from(at).unwrap();
        let append = Append { at: Timestamp(at), ..taking(ids(n..n + 3)) };
        store.append(&append).await.unwrap();
    }
    assert_eq!(store.prune_inbox(Timestamp(10), 100).await.unwrap(), 0);
    assert_eq!(store.prune_inbox(Timestamp(21), 4).await.unwrap(), 4, "few at a time");
    assert_eq!(store.prune_inbox(Timestamp(21), 4).await.unwrap(), 2);
    assert_eq!(store.prune_inbox(Timestamp(21), 4).await.unwrap(), 0);
    store.append(&taking(ids(10..13))).await.unwrap();
    store.append(&taking(ids(20..23))).await.unwrap();
    assert_fails!(
        store.append(&taking(ids(29..33))).await,
        AppendError::SeenBefore { entries } if sorted(&entries) == ids(30..33)
    );
}
