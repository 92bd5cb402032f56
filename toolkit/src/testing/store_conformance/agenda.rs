//! P13, P14: the agenda in an append. Claims are in `claims`.

mod claims;

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

pub use self::claims::*;
use super::{
    StorePlace,
    fixtures::*,
    payloads::{byte_strings, odd_texts},
};
use crate::{
    id::{AgendaId, CauseId, SagaId},
    runtime::Timestamp,
    store::{
        AgendaChange, AgendaClaim, AgendaItem, AgendaKind, AgendaQuery, AgendaState, Answer,
        Append, AppendError, EventStore, HeldChange,
    },
};

const LONG: Duration = Duration::from_secs(600);
const EVERYTHING: usize = 100_000;

/// A deadline that nobody has tried.
pub(crate) fn deadline(due: i64) -> AgendaItem {
    AgendaItem {
        id: AgendaId(uuid()),
        kind: AgendaKind::Deadline,
        name: "time_is_up".into(),
        key: "b-1".into(),
        saga: saga(),
        causation: "caused by a test".into(),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        payload: Bytes::from_static(b"{\"booking\":\"b-1\"}"),
        set_at: Timestamp(5),
        due: Timestamp(due),
        state: AgendaState::Pending,
        attempts: 0,
        begun: false,
        outcome: None,
        reason: String::new(),
        token: uuid(),
    }
}

/// An effect that nobody has tried.
pub(crate) fn effect(due: i64) -> AgendaItem {
    AgendaItem { kind: AgendaKind::Effect, name: "pay".into(), ..deadline(due) }
}

pub(crate) fn put(item: &AgendaItem) -> AgendaChange {
    AgendaChange::Put(Box::new(item.clone()))
}

pub(crate) fn done(item: &AgendaItem) -> AgendaChange {
    AgendaChange::Done { id: item.id, token: item.token }
}

/// What makes `before` out of an item: the columns that a try changes are those of `after`.
pub(crate) fn tried(before: &AgendaItem, after: &AgendaItem) -> AgendaChange {
    AgendaChange::Update {
        id: before.id,
        token: before.token,
        due: after.due,
        state: after.state,
        attempts: after.attempts,
        begun: after.begun,
        outcome: after.outcome.clone(),
        reason: after.reason.clone(),
    }
}

/// An append of nothing else.
pub(crate) fn changes(agenda: Vec<AgendaChange>) -> Append {
    Append { cause: Some(cause()), at: Timestamp(1), agenda, ..Append::default() }
}

pub(crate) async fn put_all<'a>(
    store: &dyn EventStore,
    items: impl IntoIterator<Item = &'a AgendaItem>,
) {
    store.append(&changes(items.into_iter().map(put).collect())).await.unwrap();
}

pub(crate) async fn agenda(store: &dyn EventStore) -> Vec<AgendaItem> {
    store.agenda(&AgendaQuery { limit: EVERYTHING, ..AgendaQuery::default() }).await.unwrap()
}

pub(crate) fn claim_due(kind: AgendaKind, names: &[&'static str], now: i64) -> AgendaClaim {
    AgendaClaim {
        kind,
        names: names.iter().map(|name| (*name).into()).collect(),
        now: Timestamp(now),
        token: uuid(),
        lease: LONG,
        limit: EVERYTHING,
    }
}

/// Claims one item that must be due.
async fn take(store: &dyn EventStore, item: &AgendaItem) -> AgendaItem {
    let claim =
        AgendaClaim { names: vec![item.name.clone()], ..claim_due(item.kind, &[], item.due.0) };
    let mut items = store.claim_agenda(&claim).await.unwrap();
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!((items[0].id, items[0].token), (item.id, claim.token));
    items.remove(0)
}

fn ids(items: &[AgendaItem]) -> Vec<AgendaId> {
    items.iter().map(|item| item.id).collect()
}

/// Every column, whatever bytes and texts are in it.
pub async fn p13_items_are_kept_exactly(place: &dyn StorePlace) {
    let store = open(place).await;
    let texts = odd_texts();
    let mut items = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let bytes = byte_strings();
        let (payload, other) = (bytes[n % bytes.len()].clone(), bytes[n / 2 % bytes.len()].clone());
        items.push(AgendaItem {
            name: text.clone().into(),
            key: text.as_str().into(),
            causation: text.clone(),
            trace: (n % 3 > 0).then(|| text.as_str().into()),
            reason: text.clone(),
            payload,
            outcome: (n % 2 > 0).then_some(other),
            state: if n % 5 > 0 { AgendaState::Pending } else { AgendaState::Dead },
            attempts: u32::MAX - u32::try_from(n).unwrap(),
            begun: n % 4 > 0,
            set_at: Timestamp(i64::MAX - i64::try_from(n).unwrap()),
            ..if n % 2 > 0 { effect(-1) } else { deadline(-1) }
        });
    }
    items.push(AgendaItem { due: Timestamp(i64::MAX), ..deadline(0) });
    items.push(AgendaItem { due: Timestamp(i64::MIN), ..effect(0) });
    put_all(&*store, &items).await;
    items.sort_by_key(|item| (item.due, item.id));
    assert_eq!(agenda(&*store).await, items);
    for text in &texts {
        for kind in [AgendaKind::Deadline, AgendaKind::Effect] {
            let is_due = |i: &&AgendaItem| {
                i.kind == kind && i.name == text.as_str() && i.state == AgendaState::Pending
            };
            let due: Vec<_> = items.iter().filter(is_due).cloned().collect();
            let claim = AgendaClaim { names: vec![text.clone().into()], ..claim_due(kind, &[], 0) };
            let with_token = |item: &AgendaItem| AgendaItem { token: claim.token, ..item.clone() };
            let due: Vec<_> = due.iter().map(with_token).collect();
            assert_eq!(store.claim_agenda(&claim).await.unwrap(), due, "{text:?}");
        }
    }
}

/// Nothing of the earlier one stays, not even its claim.
pub async fn p13_a_put_replaces_an_item(place: &dyn StorePlace) {
    let store = open(place).await;
    let old = AgendaItem {
        attempts: 3,
        begun: true,
        outcome: Some(Bytes::from_static(b"old")),
        reason: "old".into(),
        ..effect(10)
    };
    put_all(&*store, [&old]).await;
    let claimed = take(&*store, &old).await;
    let new = AgendaItem { id: old.id, trace: None, ..deadline(20) };
    put_all(&*store, [&new]).await;
    assert_eq!(agenda(&*store).await, [new.clone()]);
    assert_fails!(
        store.append(&changes(vec![done(&claimed)])).await,
        AppendError::AgendaChanged { ids } if ids == [old.id]
    );
    let again = take(&*store, &new).await;
    store.append(&changes(vec![done(&again)])).await.unwrap();
    assert_eq!(agenda(&*store).await, []);
}

/// Also from under the one who has claimed it; what is not there is no error.
pub async fn p13_a_clear_takes_an_item_away(place: &dyn StorePlace) {
    let store = open(place).await;
    let (one, two, three) = (deadline(1), deadline(2), deadline(3));
    put_all(&*store, [&one, &two, &three]).await;
    let claim = AgendaClaim { limit: 1, ..claim_due(AgendaKind::Deadline, &["time_is_up"], 3) };
    let claimed = store.claim_agenda(&claim).await.unwrap().remove(0);
    assert_eq!(claimed.id, one.id);
    let nothing = AgendaId(uuid());
    let clears = [one.id, two.id, nothing].map(AgendaChange::Clear);
    store.append(&changes(clears.to_vec())).await.unwrap();
    assert_eq!(agenda(&*store).await, [three]);
    assert_fails!(
        store.append(&changes(vec![done(&claimed)])).await,
        AppendError::AgendaChanged { ids } if ids == [one.id]
    );
}

/// Whoever does not have the token changes nothing, and is told which items it is about.
pub async fn p13_an_ending_needs_its_token(place: &dyn StorePlace) {
    let store = open(place).await;
    let items = [deadline(1), effect(2), deadline(3), effect(4), deadline(5)];
    put_all(&*store, &items).await;
    let wrong = |n: usize| AgendaItem { token: uuid(), ..items[n].clone() };
    let absent = deadline(6);
    let s = stream("s");
    let mut bad = append_to(&s, 0);
    bad.agenda = vec![
        done(&items[0]),
        done(&wrong(1)),
        tried(&items[2], &deadline(9)),
        tried(&wrong(3), &effect(9)),
        done(&absent),
        AgendaChange::Clear(items[4].id),
        put(&deadline(7)),
    ];
    assert_fails!(
        store.append(&bad).await,
        AppendError::AgendaChanged { ids: named }
            if sorted(&named) == sorted(&[items[1].id, items[3].id, absent.id])
    );
    assert_eq!(agenda(&*store).await, items);
    assert_eq!(head(&*store, &s).await, 0);
    assert_eq!(store.outcome(bad.cause.unwrap()).await.unwrap(), None);
    let ends = items.iter().map(done).collect();
    store.append(&changes(ends)).await.unwrap();
    assert_eq!(agenda(&*store).await, []);
    assert_fails!(
        store.append(&changes(vec![done(&items[0])])).await,
        AppendError::AgendaChanged { ids } if ids == [items[0].id]
    );
}

/// What a try has come to is there, byte by byte; its claim has ended.
pub async fn p14_a_try_is_kept(place: &dyn StorePlace) {
    let store = open(place).await;
    let mut item = effect(10);
    put_all(&*store, [&item]).await;
    let texts = odd_texts();
    for (n, outcome) in (0_u32..).zip(byte_strings()) {
        let claimed = take(&*store, &item).await;
        let after = AgendaItem {
            due: Timestamp(20 + i64::from(n)),
            attempts: n + 1,
            begun: n % 2 == 0,
            outcome: (n > 0).then_some(outcome),
            reason: texts[n as usize].clone(),
            ..claimed.clone()
        };
        store.append(&changes(vec![tried(&claimed, &after)])).await.unwrap();
        assert_eq!(agenda(&*store).await, [after.clone()]);
        let early = claim_due(AgendaKind::Effect, &["pay"], after.due.0 - 1);
        assert_eq!(store.claim_agenda(&early).await.unwrap(), [], "not due yet");
        item = after;
    }
    let claimed = take(&*store, &item).await;
    let dead = AgendaItem { state: AgendaState::Dead, ..claimed.clone() };
    store.append(&changes(vec![tried(&claimed, &dead)])).await.unwrap();
    let late = claim_due(AgendaKind::Effect, &["pay"], i64::MAX);
    assert_eq!(store.claim_agenda(&late).await.unwrap(), [], "a person decides");
    assert_eq!(agenda(&*store).await, [dead.clone()]);
    // A person ends it with the token that is shown, or makes it pending again.
    let alive = AgendaItem { state: AgendaState::Pending, ..dead.clone() };
    store.append(&changes(vec![tried(&dead, &alive)])).await.unwrap();
    take(&*store, &alive).await;
}

/// Endings, then clears, then puts, in whatever order they are given: one id may be in each.
pub async fn p13_changes_of_an_item_have_an_order(place: &dyn StorePlace) {
    let store = open(place).await;
    let before: Vec<AgendaItem> = (0..7).map(deadline).collect();
    put_all(&*store, &before).await;
    let anew = |item: &AgendaItem| AgendaItem { id: item.id, ..deadline(item.due.0 + 100) };
    let fresh: Vec<AgendaItem> = before.iter().map(anew).collect();
    let clear = |n: usize| AgendaChange::Clear(before[n].id);
    let shifted = |n: usize| AgendaItem { attempts: 1, due: Timestamp(50), ..before[n].clone() };
    let agenda_changes = vec![
        put(&fresh[0]),
        done(&before[0]),
        put(&fresh[1]),
        tried(&before[1], &shifted(1)),
        clear(2),
        done(&before[2]),
        clear(3),
        tried(&before[3], &shifted(3)),
        put(&fresh[4]),
        clear(4),
        put(&fresh[5]),
        clear(5),
        done(&before[5]),
        tried(&before[6], &shifted(6)),
    ];
    store.append(&changes(agenda_changes)).await.unwrap();
    let after: Vec<AgendaItem> =
        [&shifted(6), &fresh[0], &fresh[1], &fresh[4], &fresh[5]].into_iter().cloned().collect();
    assert_eq!(agenda(&*store).await, after);
    // What is put cannot take the place of what had to be there.
    let gone = AgendaItem { token: uuid(), ..deadline(1) };
    for ending in [done(&gone), tried(&gone, &gone)] {
        assert_fails!(
            store.append(&changes(vec![ending, put(&gone)])).await,
            AppendError::AgendaChanged { ids } if ids == [gone.id]
        );
    }
    assert_eq!(agenda(&*store).await, after);
}

/// Whatever an append fails of, its agenda is as it was; and the other way round. What was done before comes
/// first, then what is lost, then what is void, then what can be decided again.
pub async fn p13_an_append_and_its_agenda_are_one(place: &dyn StorePlace) {
    let store = open(place).await;
    let (epoch, _) = own(&*store, &source(0)).await;
    let (item, s, used) = (deadline(1), stream("s"), cause());
    let mut first = append_to(&s, 0);
    first.answers.push(Answer { cause: used, body: Bytes::new() });
    first.agenda.push(put(&item));
    store.append(&first).await.unwrap();

    let mut good = append(vec![public(&s, 2, 0, "k")]);
    good.positions.push(move_to(&source(0), epoch, 0, 1));
    good.agenda = vec![done(&item), put(&deadline(2))];
    let mut bad = good.clone();
    let flaws: [(&str, fn(&mut Append, CauseId)); 5] = [
        ("read", |a, _| a.reads.push((stream("other"), 9))),
        ("agenda", |a, _| a.agenda.push(done(&deadline(1)))),
        ("held", |a, _| {
            let id = "nothing".to_owned();
            a.held.push(HeldChange::Release { source: source(0), id, attempts: 1 });
        }),
        ("position", |a, _| a.positions[0].epoch += 1),
        ("cause", |a, used| a.answers.push(Answer { cause: used, body: Bytes::new() })),
    ];
    for (name, flaw) in flaws {
        flaw(&mut bad, used);
        let error = store.append(&bad).await.expect_err(name);
        let is_first = match name {
            "read" => matches!(error, AppendError::Conflict { .. }),
            "agenda" => matches!(error, AppendError::AgendaChanged { .. }),
            "held" => matches!(error, AppendError::HeldChanged { .. }),
            "position" => matches!(error, AppendError::PositionLost { .. }),
            _ => matches!(error, AppendError::AlreadyDone { .. }),
        };
        assert!(is_first, "{name}: {error:?}");
        let mut alone = good.clone();
        flaw(&mut alone, used);
        store.append(&alone).await.expect_err(name);
        assert_eq!(agenda(&*store).await, [item.clone()], "{name}");
        assert_eq!(head(&*store, &s).await, 1, "{name}");
        assert_eq!(store.outcome(bad.cause.unwrap()).await.unwrap(), None, "{name}");
        assert_eq!(store.lane_heads().await.unwrap().iter().sum::<u64>(), 0, "{name}");
    }
    let appended = store.append(&good).await.unwrap();
    assert_eq!(store.outcome(good.cause.unwrap()).await.unwrap(), Some(appended));
    assert_eq!(agenda(&*store).await.len(), 1);
    assert_eq!(head(&*store, &s).await, 2);
}

/// One id twice in one of the groups would have two outcomes.
pub async fn p13_an_item_is_changed_once_in_each_way(place: &dyn StorePlace) {
    let store = open(place).await;
    let item = deadline(1);
    put_all(&*store, [&item]).await;
    let clear = AgendaChange::Clear(item.id);
    for twice in [
        vec![done(&item), done(&item)],
        vec![done(&item), tried(&item, &item)],
        vec![clear.clone(), clear],
        vec![put(&item), put(&item)],
    ] {
        let append = Append { reads: vec![(stream("s"), 0)], ..changes(twice) };
        assert_fails!(store.append(&append).await, AppendError::Rejected(_));
    }
    assert_eq!(agenda(&*store).await, [item]);
}

/// By saga, by state, by both; the earliest first, and no more than asked for.
pub async fn p13_the_agenda_is_shown_by_saga_and_state(place: &dyn StorePlace) {
    let store = open(place).await;
    let sagas = [saga(), saga()];
    let item = |n: i64| AgendaItem {
        saga: sagas[usize::try_from(n % 2).unwrap()],
        state: if n % 3 == 0 { AgendaState::Dead } else { AgendaState::Pending },
        ..if n % 5 == 0 { effect(100 - n) } else { deadline(100 - n) }
    };
    let mut items: Vec<AgendaItem> = (0..12).map(item).collect();
    put_all(&*store, &items).await;
    items.reverse();
    let states = [None, Some(AgendaState::Pending), Some(AgendaState::Dead)];
    for saga in [None, Some(sagas[0]), Some(sagas[1]), Some(SagaId(Uuid::nil()))] {
        for state in states {
            let asked = |i: &&AgendaItem| {
                saga.is_none_or(|saga| saga == i.saga) && state.is_none_or(|s| s == i.state)
            };
            let all: Vec<_> = items.iter().filter(asked).cloned().collect();
            for limit in [0, 1, 3, EVERYTHING, usize::MAX] {
                let shown = store.agenda(&AgendaQuery { state, saga, limit }).await.unwrap();
                assert_eq!(shown, all[..limit.min(all.len())], "{saga:?} {state:?} {limit}");
            }
        }
    }
}
