//! P11, P12: letters set aside, rulings, and what people ask about a saga.

use bytes::Bytes;
use uuid::Uuid;

use super::{StorePlace, agenda, fixtures::*};
use crate::{
    id::SagaId,
    runtime::Timestamp,
    store::{
        Action, AgendaChange, AgendaItem, AgendaState, Append, Claimed, EventStore, HeldChange,
        HeldMessage, HeldState, Letter, LetterCounts, LetterId, NewEvent, NewRuling,
        REASON_BYTES_MAX, Ruled, Ruling, RulingQuery,
    },
};

const ALL: RulingQuery = RulingQuery { after: 0, saga: None, limit: 100 };

fn message(id: &str, key: &str, seq: u64, state: HeldState) -> HeldMessage {
    HeldMessage { state, ..parked(&source(0), id, key, seq) }
}

fn named(id: &str) -> LetterId {
    LetterId::Message { source: source(0), id: id.to_owned() }
}

fn ruling(letter: LetterId, attempts: u32, action: Action) -> NewRuling {
    NewRuling {
        letter,
        attempts,
        action,
        who: "ada@desk".into(),
        note: "the shelf was mended: später".into(),
        at: Timestamp(9_000),
    }
}

async fn hold(store: &dyn EventStore, messages: &[HeldMessage]) -> u64 {
    let (epoch, _) = own(store, &source(0)).await;
    let held = messages.iter().map(|m| HeldChange::Hold(Box::new(m.clone()))).collect();
    let append = Append { held, ..moves(vec![move_to(&source(0), epoch, 0, 0)]) };
    store.append(&append).await.unwrap();
    epoch
}

async fn held_ids(store: &dyn EventStore, key: &str) -> Vec<String> {
    let held = store.held(&source(0), key, 100).await.unwrap();
    held.into_iter().map(|message| message.id).collect()
}

async fn the_message(store: &dyn EventStore, id: &str) -> Option<HeldMessage> {
    match store.letter(&named(id)).await.unwrap() {
        Some(Letter::Message(message)) => Some(*message),
        None => None,
        other => panic!("{other:?}"),
    }
}

async fn the_item(store: &dyn EventStore, item: &AgendaItem) -> Option<AgendaItem> {
    match store.letter(&LetterId::Agenda(item.id)).await.unwrap() {
        Some(Letter::Item(item)) => Some(*item),
        None => None,
        other => panic!("{other:?}"),
    }
}

async fn done(store: &dyn EventStore, ruling: &NewRuling) -> u64 {
    match store.rule(ruling).await.unwrap() {
        Ruled::Done(number) => number,
        other => panic!("{other:?}"),
    }
}

/// A message set aside holds nobody back: neither a claim nor a retry of its key sees it.
pub async fn p11_a_message_set_aside_holds_nobody_back(place: &dyn StorePlace) {
    let store = open(place).await;
    let aside = message("m1", "k", 1, HeldState::Aside);
    let waiting = message("m2", "k", 2, HeldState::Waiting);
    hold(&*store, &[aside.clone(), waiting, message("n1", "alone", 1, HeldState::Aside)]).await;
    let Claimed::Owned { held, .. } = claim(&*store, &source(0)).await else { panic!() };
    let heads: Vec<&str> = held.iter().map(|head| head.id.as_str()).collect();
    assert_eq!(heads, ["m2"]);
    assert_eq!(held_ids(&*store, "k").await, ["m2"]);
    let listed = store.held_in(HeldState::Aside, 10).await.unwrap();
    assert_eq!(listed.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["m1", "n1"]);
    assert_eq!(the_message(&*store, "m1").await, Some(aside));
    // Replayed, it is in its place again.
    done(&*store, &ruling(named("m1"), 1, Action::Replay)).await;
    assert_eq!(held_ids(&*store, "k").await, ["m1", "m2"]);
}

/// Replay makes it due in its place; skip and resolve take it away. Who, when and why are kept.
pub async fn p12_rulings_on_messages_are_done_and_kept(place: &dyn StorePlace) {
    let store = open(place).await;
    let letters: Vec<HeldMessage> =
        (1..=3).map(|n| message(&format!("m{n}"), "k", n, HeldState::Dead)).collect();
    hold(&*store, &letters).await;
    let replay = ruling(named("m1"), 1, Action::Replay);
    let numbers = [
        done(&*store, &replay).await,
        done(&*store, &ruling(named("m2"), 1, Action::Skip)).await,
        done(&*store, &ruling(named("m3"), 1, Action::Resolve)).await,
    ];
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let replayed =
        HeldMessage { state: HeldState::Parked, next_at: Timestamp(9_000), ..letters[0].clone() };
    assert_eq!(store.held(&source(0), "k", 10).await.unwrap(), [replayed]);
    // Another handle, as after a restart.
    let store = place.open().await;
    let kept = store.rulings(&ALL).await.unwrap();
    let first = Ruling {
        number: numbers[0],
        at: Timestamp(9_000),
        who: replay.who.clone(),
        action: "replay".into(),
        note: replay.note.clone(),
        letter: replay.letter.clone(),
        event_type: letters[0].event_type.clone(),
        key: "k".into(),
        saga: letters[0].saga.clone(),
        reason: letters[0].reason.clone(),
    };
    assert_eq!(kept[0], first);
    assert_eq!(kept.iter().map(|r| r.number).collect::<Vec<_>>(), numbers);
    assert_eq!(kept.iter().map(|r| &*r.action).collect::<Vec<_>>(), ["replay", "skip", "resolve"]);
    let later = RulingQuery { after: numbers[0], limit: 1, ..ALL };
    let later = store.rulings(&later).await.unwrap();
    assert_eq!(later.iter().map(|r| r.number).collect::<Vec<_>>(), numbers[1..2]);
}

/// What does not fit is not done, and leaves no ruling.
pub async fn p12_a_ruling_that_does_not_fit_is_not_done(place: &dyn StorePlace) {
    let store = open(place).await;
    let keyless = message("mute", "", 0, HeldState::Dead);
    let messages = [
        message("dead", "k", 1, HeldState::Dead),
        message("tried", "l", 2, HeldState::Parked),
        keyless,
    ];
    hold(&*store, &messages).await;
    let answer = Action::Answer { outcome: Bytes::from_static(b"{}") };
    let unfit = [
        ruling(named("tried"), 1, Action::Skip),
        ruling(named("mute"), 1, Action::Replay),
        ruling(named("dead"), 1, answer),
    ];
    for unfit in unfit {
        let ruled = store.rule(&unfit).await.unwrap();
        assert!(matches!(ruled, Ruled::Unfit(_)), "{unfit:?}: {ruled:?}");
    }
    let changed = store.rule(&ruling(named("dead"), 2, Action::Skip)).await.unwrap();
    assert_eq!(changed, Ruled::Changed);
    let none = store.rule(&ruling(named("none"), 1, Action::Skip)).await.unwrap();
    assert_eq!(none, Ruled::NotThere);
    assert_eq!(the_message(&*store, "none").await, None);
    assert_eq!(store.rulings(&ALL).await.unwrap(), []);
    for message in messages {
        assert_eq!(the_message(&*store, &message.id).await, Some(message), "as it was");
    }
}

/// Those that are held back behind another, or are tried again by themselves, are none.
pub async fn p12_dead_letters_are_counted_by_kind(place: &dyn StorePlace) {
    let store = open(place).await;
    assert_eq!(store.count_letters().await.unwrap(), LetterCounts::default());
    let messages = [
        message("dead", "k", 1, HeldState::Dead),
        message("behind it", "k", 2, HeldState::Waiting),
        message("let past", "l", 3, HeldState::Aside),
        message("tried", "m", 4, HeldState::Parked),
    ];
    hold(&*store, &messages).await;
    let dead = |item: AgendaItem| AgendaItem { state: AgendaState::Dead, ..item };
    let (late, unpaid) = (dead(agenda::deadline(1)), dead(agenda::effect(2)));
    agenda::put_all(&*store, [&late, &unpaid, &agenda::effect(3)]).await;
    let counts = LetterCounts { messages: 2, deadlines: 1, effects: 1 };
    assert_eq!(store.count_letters().await.unwrap(), counts);
    done(&*store, &ruling(LetterId::Agenda(late.id), late.attempts, Action::Replay)).await;
    done(&*store, &ruling(named("let past"), 1, Action::Skip)).await;
    let counts = LetterCounts { messages: 1, deadlines: 0, effects: 1 };
    assert_eq!(store.count_letters().await.unwrap(), counts);
}

/// The text of an error may come from anywhere. It does not make an append fail: a NUL is shown, and what is
/// too long is cut; and so it is with the words of a ruling.
pub async fn p12_what_went_wrong_is_kept_however_it_is_worded(place: &dyn StorePlace) {
    const TOLD: &str = "\0the gateway said\0";
    const KEPT: &str = "␀the gateway said␀";
    let store = open(place).await;
    let long = "é\0".repeat(REASON_BYTES_MAX);
    let told = |id: &str, seq, reason: &str| HeldMessage {
        reason: reason.to_owned(),
        ..message(id, id, seq, HeldState::Dead)
    };
    let epoch = hold(&*store, &[told("m", 1, TOLD), told("long", 2, &long)]).await;
    assert_eq!(the_message(&*store, "m").await.unwrap().reason, KEPT);
    let cut = the_message(&*store, "long").await.unwrap().reason;
    assert!(cut.len() <= REASON_BYTES_MAX && cut.starts_with("é␀é␀"), "{} bytes", cut.len());

    let item = AgendaItem { reason: TOLD.to_owned(), ..agenda::effect(1) };
    agenda::put_all(&*store, [&item]).await;
    assert_eq!(the_item(&*store, &item).await.unwrap().reason, KEPT);

    let again = HeldChange::Update {
        source: source(0),
        id: "m".to_owned(),
        attempts: 1,
        new_attempts: 2,
        state: HeldState::Dead,
        next_at: Timestamp(1),
        reason: format!("{TOLD} again"),
    };
    let dead = AgendaChange::Update {
        id: item.id,
        token: item.token,
        due: Timestamp(1),
        state: AgendaState::Dead,
        attempts: 2,
        begun: true,
        outcome: None,
        reason: format!("{TOLD} again"),
    };
    let moves = moves(vec![move_to(&source(0), epoch, 0, 0)]);
    let append = Append { held: vec![again], agenda: vec![dead], ..moves };
    store.append(&append).await.unwrap();
    let reasons = [
        the_message(&*store, "m").await.unwrap().reason,
        the_item(&*store, &item).await.unwrap().reason,
    ];
    assert_eq!(reasons, [format!("{KEPT} again"), format!("{KEPT} again")]);

    let (who, note) = (TOLD.to_owned(), TOLD.to_owned());
    let ruling = NewRuling { who, note, ..ruling(named("m"), 2, Action::Skip) };
    done(&*store, &ruling).await;
    let recorded = store.rulings(&ALL).await.unwrap().remove(0);
    assert_eq!((&*recorded.who, &*recorded.note), (KEPT, KEPT));
    assert_eq!(recorded.reason, format!("{KEPT} again"));
}

/// A deadline or an effect: replayed it can be claimed, answered it has its outcome, skipped it is gone.
pub async fn p12_rulings_on_the_agenda_are_done_and_kept(place: &dyn StorePlace) {
    let store = open(place).await;
    let dead = |item: AgendaItem| AgendaItem {
        state: AgendaState::Dead,
        attempts: 4,
        reason: "gave up".into(),
        ..item
    };
    let (late, paid, gone) =
        (dead(agenda::deadline(1)), dead(agenda::effect(2)), dead(agenda::effect(3)));
    agenda::put_all(&*store, [&late, &paid, &gone]).await;
    let id = |item: &AgendaItem| LetterId::Agenda(item.id);
    let answer = Action::Answer { outcome: Bytes::from_static(b"{\"paid\": 1}") };
    let unfit = store.rule(&ruling(id(&late), 4, answer.clone())).await.unwrap();
    assert!(matches!(unfit, Ruled::Unfit(_)), "{unfit:?}");
    done(&*store, &ruling(id(&late), 4, Action::Replay)).await;
    done(&*store, &ruling(id(&paid), 4, answer)).await;
    done(&*store, &ruling(id(&gone), 4, Action::Skip)).await;
    let due = Timestamp(9_000);
    let again = AgendaItem { state: AgendaState::Pending, due, ..late.clone() };
    assert_eq!(the_item(&*store, &late).await, Some(again));
    let outcome = Some(Bytes::from_static(b"{\"paid\": 1}"));
    let answered = AgendaItem { state: AgendaState::Pending, due, outcome, ..paid.clone() };
    assert_eq!(the_item(&*store, &paid).await, Some(answered));
    assert_eq!(the_item(&*store, &gone).await, None);
    let claim = agenda::claim_due(paid.kind, &["pay"], 9_000);
    assert_eq!(
        store.claim_agenda(&claim).await.unwrap()[0].outcome.as_deref(),
        Some(&b"{\"paid\": 1}"[..])
    );
    let of_saga = RulingQuery { saga: Some(paid.saga), ..ALL };
    let kept = store.rulings(&of_saga).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((&*kept[0].action, &*kept[0].reason), ("answer", "gave up"));
    assert_eq!((&*kept[0].event_type, &*kept[0].key), ("pay", "b-1"));
}

/// Many rule on one letter at once: one of them has done it. Whoever reads rulings misses none.
pub async fn p12_one_of_many_rules_on_a_letter(place: &dyn StorePlace) {
    let store = open(place).await;
    let letters: Vec<HeldMessage> =
        (1..=5).map(|n| message(&format!("m{n}"), &format!("k{n}"), n, HeldState::Dead)).collect();
    hold(&*store, &letters).await;
    let mut ruling_at_once = tokio::task::JoinSet::new();
    for n in 0..20 {
        let store = place.open().await;
        let action = if n % 2 == 0 { Action::Skip } else { Action::Replay };
        let new = ruling(named(&format!("m{}", n % 5 + 1)), 1, action);
        ruling_at_once.spawn(async move { store.rule(&new).await.unwrap() });
    }
    let mut seen = vec![];
    while !ruling_at_once.is_empty() {
        let after = seen.last().copied().unwrap_or(0);
        let news = store.rulings(&RulingQuery { after, ..ALL }).await.unwrap();
        seen.extend(news.iter().map(|r| r.number));
        if let Some(ruled) = ruling_at_once.try_join_next() {
            ruled.unwrap();
        } else {
            tokio::task::yield_now().await;
        }
    }
    let after = seen.last().copied().unwrap_or(0);
    seen.extend(
        store.rulings(&RulingQuery { after, ..ALL }).await.unwrap().iter().map(|r| r.number),
    );
    let all = store.rulings(&ALL).await.unwrap();
    assert_eq!(seen, all.iter().map(|r| r.number).collect::<Vec<_>>(), "none was overlooked");
    assert_eq!(all.len(), 5, "{all:?}");
    assert!(store.held_in(HeldState::Dead, 10).await.unwrap().is_empty());
}

/// A saga that began at this millisecond.
fn saga_of(ms: u128) -> SagaId {
    SagaId(Uuid::from_u128(ms << 80 | 0x7 << 76 | 0x2 << 62 | u128::from(unique())))
}

/// All events of a saga and no others, as they were appended; what is held of it, as it came.
pub async fn a_saga_is_found_in_events_and_held_messages(place: &dyn StorePlace) {
    let store = open(place).await;
    let began_ms = 1_704_067_200_000;
    let (saga, of_old) = (saga_of(began_ms), saga_of(1));
    let began = i64::try_from(began_ms).unwrap() * 1000;
    let names = ["a", "b"].map(stream);
    for n in 1..=30_u64 {
        let saga = if n % 3 == 0 {
            saga
        } else if n % 3 == 1 {
            of_old
        } else {
            super::fixtures::saga()
        };
        let time = Timestamp(began - 5_000_000 + i64::try_from(n).unwrap() * 1_000_000);
        let event = |name: usize| NewEvent { saga, time, ..public(&names[name], n, 1, "k") };
        store.append(&append(vec![event(0), event(1)])).await.unwrap();
    }
    for saga in [saga, of_old] {
        let mut expected = vec![];
        for name in &names {
            expected
                .extend(slice(&*store, name).await.events.into_iter().filter(|e| e.saga == saga));
        }
        expected.sort_by_key(|event| (event.time, event.id));
        assert_eq!(expected.len(), 20);
        assert_eq!(store.saga_events(saga, 100).await.unwrap(), expected);
        assert_eq!(store.saga_events(saga, 3).await.unwrap(), expected[..3]);
    }
    assert_eq!(store.saga_events(saga_of(began_ms), 100).await.unwrap(), []);

    let of = |saga: SagaId, message: HeldMessage| HeldMessage {
        saga: Some(saga.to_string()),
        ..message
    };
    let first = of(saga, message("m1", "k", 1, HeldState::Aside));
    let second = of(saga, message("m2", "l", 2, HeldState::Waiting));
    let other = of(of_old, message("m3", "k", 3, HeldState::Dead));
    hold(&*store, &[second.clone(), first.clone(), other]).await;
    assert_eq!(store.held_of_saga(saga, 100).await.unwrap(), [first.clone(), second]);
    assert_eq!(store.held_of_saga(saga, 1).await.unwrap(), [first]);
}
