//! P17: every append has a cause, unique in the store.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
    time::Instant,
};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{StorePlace, fixtures::*};
use crate::{
    id::Lane,
    runtime::Timestamp,
    store::{Answer, AppendError, Appended},
};

/// After a commit, and only then, the store knows the cause and the numbers that it got.
pub async fn p17_an_outcome_can_be_asked_for(place: &dyn StorePlace) {
    let store = open(place).await;
    let s = stream("s");
    let first = append(vec![public(&s, 1, 2, "k"), public(&s, 2, 0, "k"), public(&s, 3, 2, "k")]);
    let id = first.cause.unwrap();
    assert_eq!(store.outcome(id).await.unwrap(), None);
    let appended = store.append(&first).await.unwrap();
    assert_eq!(appended.first_in_lane, [(Lane(0), 1), (Lane(2), 1)]);
    let outcome = Appended { follows: vec![], ..appended };
    assert_eq!(store.outcome(id).await.unwrap(), Some(outcome));

    let failing = append_to(&s, 1);
    assert_fails!(store.append(&failing).await, AppendError::Conflict { .. });
    assert_eq!(store.outcome(failing.cause.unwrap()).await.unwrap(), None);

    let private = append_to(&s, 3);
    store.append(&private).await.unwrap();
    let outcome = store.outcome(private.cause.unwrap()).await.unwrap();
    assert_eq!(outcome, Some(Appended::default()), "an append without public events is known too");
    let second = append(vec![public(&s, 5, 2, "k")]);
    store.append(&second).await.unwrap();
    let outcome = store.outcome(second.cause.unwrap()).await.unwrap().unwrap();
    assert_eq!(outcome.first_in_lane, [(Lane(2), 3)]);
}

/// The same cause again is refused, by name, and does nothing.
pub async fn p17_a_cause_is_used_once(place: &dyn StorePlace) {
    let store = open(place).await;
    let s = stream("s");
    let first = append_to(&s, 0);
    store.append(&first).await.unwrap();
    let mut again = append_to(&s, 1);
    again.cause = first.cause;
    assert_fails!(
        store.append(&again).await,
        AppendError::AlreadyDone { causes } if causes == [first.cause.unwrap()]
    );
    assert_eq!(head(&*store, &s).await, 1);

    // An answered command is a cause as well, and among several only the used ones are named.
    let used = cause();
    let mut answered = append_to(&s, 1);
    answered.answers.push(Answer { cause: used, body: Bytes::from_static(b"1") });
    store.append(&answered).await.unwrap();
    let mut batch = append_to(&s, 2);
    for cause in [cause(), used, cause()] {
        batch.answers.push(Answer { cause, body: Bytes::from_static(b"2") });
    }
    assert_fails!(
        store.append(&batch).await,
        AppendError::AlreadyDone { causes } if causes == [used]
    );
    assert_eq!(store.answer(used).await.unwrap().unwrap(), "1");
    assert_eq!(store.answer(batch.answers[0].cause).await.unwrap(), None);
}

/// Several at the same moment with one cause: one is committed.
pub async fn p17_one_of_many_uses_a_cause(place: &dyn StorePlace) {
    let first = open(place).await;
    let second = open(place).await;
    for round in 0..10 {
        let cause = cause();
        let mut tasks = JoinSet::new();
        for task in 0..4 {
            let store = if task % 2 == 0 { first.clone() } else { second.clone() };
            let mut append = append_to(&stream(&format!("{round}-{task}")), 0);
            append.cause = Some(cause);
            tasks.spawn(async move { patient(&*store, &append).await });
        }
        let mut won = 0;
        while let Some(result) = tasks.join_next().await {
            match result.unwrap() {
                Ok(_) => won += 1,
                Err(AppendError::AlreadyDone { causes }) => assert_eq!(causes, [cause]),
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(won, 1);
    }
}

/// The first answer stays, byte by byte; a command's own cause may carry it.
pub async fn p17_answers_are_kept(place: &dyn StorePlace) {
    let store = open(place).await;
    let s = stream("s");
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut command = append_to(&s, 0);
    let own = command.cause.unwrap();
    let (other, empty) = (cause(), cause());
    command.answers = vec![
        Answer { cause: own, body: Bytes::from(every_byte.clone()) },
        Answer { cause: other, body: Bytes::from_static(b"other") },
        Answer { cause: empty, body: Bytes::new() },
    ];
    assert_eq!(store.answer(own).await.unwrap(), None);
    store.append(&command).await.unwrap();
    assert_eq!(store.answer(own).await.unwrap(), Some(Bytes::from(every_byte)));
    assert_eq!(store.answer(other).await.unwrap(), Some(Bytes::from_static(b"other")));
    assert_eq!(store.answer(empty).await.unwrap(), Some(Bytes::new()));
    assert_eq!(store.outcome(own).await.unwrap(), Some(Appended::default()));

    let silent = append_to(&s, 1);
    store.append(&silent).await.unwrap();
    assert_eq!(store.answer(silent.cause.unwrap()).await.unwrap(), None);
    let nothing_else = crate::store::Append {
        answers: vec![Answer { cause: cause(), body: Bytes::from_static(b"refused") }],
        ..Default::default()
    };
    store.append(&nothing_else).await.unwrap();
    let answer = store.answer(nothing_else.answers[0].cause).await.unwrap();
    assert_eq!(answer.unwrap(), "refused", "a refusal records nothing but its answer");
}

/// Whoever drops an append half-way finds all of it or nothing, and the store goes on.
pub async fn p17_a_dropped_append_is_whole_or_nothing(place: &dyn StorePlace) {
    let store = open(place).await;
    let since = Instant::now();
    for polls in 0..40 {
        let s = stream(&format!("dropped-{polls}"));
        let dropped = append(vec![public(&s, 1, 0, "k"), event(&s, 2)]);
        poll_some(store.append(&dropped), polls).await;
        let asked = store.outcome(dropped.cause.unwrap()).await.unwrap();
        // The next append queues behind whatever is left of the dropped one.
        patient(&*store, &append_to(&stream(&format!("next-{polls}")), 0)).await.unwrap();
        let outcome = store.outcome(dropped.cause.unwrap()).await.unwrap();
        assert!(asked.is_none() || asked == outcome, "what was committed stays so");
        let committed = outcome.is_some();
        let expected = if committed { 2 } else { 0 };
        assert_eq!(head(&*store, &s).await, expected, "dropped after {polls} polls");
        assert!(since.elapsed() < DEADLINE);
    }
    let lane = store.read_lane(Lane(0), 0, 100).await.unwrap();
    let numbers = lane.iter().map(|e| e.published.as_ref().unwrap().lane_seq);
    assert!(numbers.eq(1..=lane.len() as u64), "the lane is dense");
    assert_eq!(store.lane_heads().await.unwrap()[0], lane.len() as u64);
}

/// Polls a future a number of times at most, with other tasks in between, and drops it.
async fn poll_some<F: Future>(future: F, polls: usize) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
        // Time for the store's own threads, of which this test knows nothing.
        tokio::time::sleep(std::time::Duration::from_micros(50)).await;
    }
}

/// Causes that are too old to be asked for are forgotten, answers included; others stay.
pub async fn p17_old_causes_can_be_pruned(place: &dyn StorePlace) {
    let store = open(place).await;
    let mut causes = Vec::new();
    for at in [10, 20, 30] {
        let mut append = append_to(&stream(&format!("s{at}")), 0);
        append.at = Timestamp(at);
        let id = append.cause.unwrap();
        append.answers.push(Answer { cause: id, body: Bytes::from_static(b"a") });
        store.append(&append).await.unwrap();
        causes.push(id);
    }
    assert_eq!(store.prune_causes(Timestamp(20), 10).await.unwrap(), 1);
    assert_eq!(store.prune_causes(Timestamp(20), 10).await.unwrap(), 0);
    assert_eq!(store.outcome(causes[0]).await.unwrap(), None);
    assert_eq!(store.answer(causes[0]).await.unwrap(), None);
    for kept in &causes[1..] {
        assert!(store.outcome(*kept).await.unwrap().is_some());
        assert!(store.answer(*kept).await.unwrap().is_some());
    }
    assert_eq!(store.prune_causes(Timestamp(31), 1).await.unwrap(), 1, "few at a time");
    assert_eq!(store.prune_causes(Timestamp(31), 9).await.unwrap(), 1);
    assert_eq!(head(&*store, &stream("s10")).await, 1, "events are no causes");
}
