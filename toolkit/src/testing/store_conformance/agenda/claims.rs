//! Claims: who gets what, in which order, and for how long.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{super::StorePlace, super::fixtures::*, *};
use crate::store::StoreError;

/// The earliest first, of one kind and of the names that are asked for, if they are due and pending.
pub async fn p13_a_claim_takes_the_earliest_first(place: &dyn StorePlace) {
    let store = open(place).await;
    let named = |name: &'static str, due| AgendaItem { name: name.into(), ..deadline(due) };
    let mut due: Vec<AgendaItem> =
        (0..9).map(|n| named(["a", "b", "c"][n % 3], 50 - n as i64 / 2)).collect();
    let others = [
        named("a", 51),
        named("d", 1),
        AgendaItem { name: "a".into(), ..effect(1) },
        AgendaItem { state: AgendaState::Dead, ..named("a", 1) },
    ];
    put_all(&*store, due.iter().chain(&others)).await;
    due.sort_by_key(|item| (item.due, item.id));

    let claim = |names: &[&'static str], now, limit| AgendaClaim {
        limit,
        ..claim_due(AgendaKind::Deadline, names, now)
    };
    for nothing in [claim(&[], 50, 9), claim(&["a", "b"], 50, 0), claim(&["e"], 50, 9)] {
        assert_eq!(store.claim_agenda(&nothing).await.unwrap(), [], "{nothing:?}");
    }
    let only_b = claim(&["b"], 49, 1);
    let taken = store.claim_agenda(&only_b).await.unwrap();
    let first_b = due.iter().position(|item| item.name == "b").unwrap();
    assert_eq!(ids(&taken), [due.remove(first_b).id]);
    for limit in [3, 1, 2] {
        let taken = store.claim_agenda(&claim(&["c", "a", "b", "a"], 50, limit)).await.unwrap();
        let expected: Vec<AgendaItem> = due.drain(..limit).collect();
        assert_eq!(ids(&taken), ids(&expected));
    }
    let rest = store.claim_agenda(&claim(&["a", "b", "c"], 50, usize::MAX)).await.unwrap();
    assert_eq!(ids(&rest), ids(&due));
    assert_eq!(store.claim_agenda(&claim(&["a", "b", "c"], 50, 9)).await.unwrap(), []);
    let late = store.claim_agenda(&claim(&["a"], 51, 9)).await.unwrap();
    assert_eq!(ids(&late), [others[0].id]);
}

/// Until the lease has expired; then the next one gets it, and what the first one had is void.
pub async fn p13_a_claim_ends_with_its_lease(place: &dyn StorePlace) {
    let (first, second) = (open(place).await, open(place).await);
    let item = effect(10);
    put_all(&*first, [&item, &AgendaItem { due: Timestamp(9), ..effect(9) }]).await;
    let lease = Duration::from_millis(300);
    let claim = AgendaClaim { lease, ..claim_due(AgendaKind::Effect, &["pay"], 10) };
    let asked = Instant::now();
    let claimed = first.claim_agenda(&claim).await.unwrap();
    assert_eq!(claimed.len(), 2);
    let mut again = Vec::new();
    let next = claim_due(AgendaKind::Effect, &["pay"], 10);
    while again.len() < 2 {
        again.extend(second.claim_agenda(&next).await.unwrap());
        assert!(asked.elapsed() < DEADLINE, "it does not expire");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A clock that counts milliseconds may round by one.
    assert!(asked.elapsed() + Duration::from_millis(2) >= lease, "it expired early");
    assert_eq!(ids(&again), ids(&claimed));
    assert!(again.iter().all(|item| item.token == next.token && item.begun));
    for void in [done(&claimed[0]), tried(&claimed[1], &claimed[1])] {
        assert_fails!(
            first.append(&changes(vec![void.clone()])).await,
            AppendError::AgendaChanged { ids } if ids == [void.id()]
        );
    }
    second.append(&changes(again.iter().map(done).collect())).await.unwrap();
    assert_eq!(agenda(&*first).await, []);
}

/// An effect may have reached the outside as soon as it is claimed; whether it was so before is what the
/// claimer must know.
pub async fn p14_a_claim_says_whether_an_effect_was_begun(place: &dyn StorePlace) {
    let store = open(place).await;
    let (item, other) = (effect(10), deadline(10));
    put_all(&*store, [&item, &other]).await;
    let claimed = take(&*store, &item).await;
    assert!(!claimed.begun, "nobody was there before");
    assert_eq!(
        store.agenda(&AgendaQuery { saga: Some(item.saga), state: None, limit: 9 }).await.unwrap(),
        [AgendaItem { begun: true, ..claimed.clone() }],
    );
    // Nothing was sent, and the next one need not ask.
    let unsent = AgendaItem { begun: false, attempts: 1, ..claimed.clone() };
    store.append(&changes(vec![tried(&claimed, &unsent)])).await.unwrap();
    let claimed = take(&*store, &unsent).await;
    assert!(!claimed.begun);
    let unknown = AgendaItem { begun: true, attempts: 2, ..claimed.clone() };
    store.append(&changes(vec![tried(&claimed, &unknown)])).await.unwrap();
    assert!(take(&*store, &unknown).await.begun);

    let claimed = take(&*store, &other).await;
    let shown = AgendaQuery { saga: Some(other.saga), state: None, limit: 9 };
    assert_eq!(store.agenda(&shown).await.unwrap(), [claimed], "a deadline begins nothing");
}

/// Claims patiently: a store may be busy.
async fn claim(store: &dyn EventStore, claim: &AgendaClaim) -> Vec<AgendaItem> {
    let since = Instant::now();
    loop {
        match store.claim_agenda(claim).await {
            Ok(items) => return items,
            Err(StoreError::Unavailable(_)) if since.elapsed() < DEADLINE => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

const ITEMS: i64 = 300;

/// Several that claim at the same moment share out what is there: all of it, and nothing twice.
pub async fn p13_no_item_goes_to_two_claimers(place: &dyn StorePlace) {
    let (first, second) = (open(place).await, open(place).await);
    let named = |n: i64| AgendaItem {
        name: ["a", "b"][usize::try_from(n % 2).unwrap()].into(),
        ..deadline(n / 4)
    };
    let items: Vec<AgendaItem> = (0..ITEMS).map(named).collect();
    put_all(&*first, &items).await;
    let mut claimers = JoinSet::new();
    for n in 0..4 {
        let store = if n % 2 == 0 { first.clone() } else { second.clone() };
        claimers.spawn(async move {
            let mut got = Vec::new();
            loop {
                let asked =
                    AgendaClaim { limit: 7, ..claim_due(AgendaKind::Deadline, &["a", "b"], ITEMS) };
                let taken = claim(&*store, &asked).await;
                assert!(taken.iter().all(|item| item.token == asked.token));
                assert!(taken.is_sorted_by_key(|item| (item.due, item.id)));
                if taken.is_empty() {
                    return got;
                }
                got.extend(ids(&taken));
            }
        });
    }
    let got: Vec<_> = claimers.join_all().await.concat();
    assert_eq!(sorted(&got), sorted(&ids(&items)));
}

/// Leases that expire at once, endings, clears and puts, all at the same time: whoever ends an item is the
/// only one, and what it wrote with that is there once.
pub async fn p13_an_item_ends_once_whoever_has_claimed_it(place: &dyn StorePlace) {
    let (first, second) = (open(place).await, open(place).await);
    let mut items: Vec<AgendaItem> = (0..40).map(deadline).collect();
    put_all(&*first, &items).await;
    let mut workers = JoinSet::new();
    for n in 0..4 {
        let store = if n % 2 == 0 { first.clone() } else { second.clone() };
        workers.spawn(end_all(store));
    }
    let mut ends: BTreeMap<AgendaId, u32> = BTreeMap::new();
    for (id, count) in workers.join_all().await.into_iter().flatten() {
        *ends.entry(id).or_default() += count;
    }
    items.sort_by_key(|item| item.id);
    assert_eq!(ends, items.iter().map(|item| (item.id, 1)).collect());
    for item in &items {
        assert_eq!(head(&*first, &stream(&item.id.to_string())).await, 1);
    }
    assert_eq!(agenda(&*first).await, []);
}

/// Claims for no time at all, and ends what it has: mostly another has it by then.
async fn end_all(store: Arc<dyn EventStore>) -> BTreeMap<AgendaId, u32> {
    let mut ended = BTreeMap::new();
    let since = Instant::now();
    while !agenda(&*store).await.is_empty() {
        assert!(since.elapsed() < DEADLINE, "they do not end");
        let asked = AgendaClaim {
            lease: Duration::ZERO,
            limit: 3,
            ..claim_due(AgendaKind::Deadline, &["time_is_up"], 100)
        };
        for item in claim(&*store, &asked).await {
            let mut append = append(vec![event(&stream(&item.id.to_string()), 1)]);
            append.agenda = vec![done(&item), put(&deadline(1000)), AgendaChange::Clear(item.id)];
            let helper = append.agenda[1].id();
            match patient(&*store, &append).await {
                Ok(_) => {
                    *ended.entry(item.id).or_default() += 1;
                    let clear = changes(vec![AgendaChange::Clear(helper)]);
                    patient(&*store, &clear).await.unwrap();
                }
                Err(AppendError::AgendaChanged { ids }) => assert_eq!(ids, [item.id]),
                // Two that were in each other's way.
                Err(AppendError::Conflict { streams }) => assert_eq!(streams, []),
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    ended
}
