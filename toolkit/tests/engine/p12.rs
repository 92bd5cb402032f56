//! P12: the kinds of failure. The lane goes on in every case.

use quadrille::{log::Header, log::record::name, store::Claim};

use crate::harness::*;

fn note(key: &str, how: How) -> Note {
    Note { key: key.into(), text: "text".into(), how }
}

/// Another key of the same lane, sent afterwards, is handled: the lane goes on.
async fn goes_on(world: &World) {
    world.send(saga(9), note("next", How::Do));
    world.applied().await;
    assert_eq!(world.types("next").await, ["NOTED"], "the lane goes on");
}

#[tokio::test]
async fn p12_a_retryable_failure_is_parked_and_tried_again() {
    let world = World::new(1).await;
    let trial = world.start().await;
    world.send(saga(1), note("o", How::FailTimes(2)));
    goes_on(&world).await;
    world.nothing_parked().await;
    assert_eq!(world.types("o").await, ["NOTED"]);
    assert_eq!(world.script.calls("NOTE", "o"), 3);
    let counters = trial.client.counters();
    assert_eq!((counters.messages_parked, counters.messages_dead), (2, 0));
}

#[tokio::test]
async fn p12_a_failure_that_does_not_pass_is_given_up() {
    let world = World::new(1).await;
    let trial = world.start().await;
    world.send(saga(1), note("o", How::Fail));
    let dead = world.the_dead().await;
    assert_eq!(dead.attempts, 4);
    assert_eq!(dead.reason, "gave up after 4 attempts: told to fail");
    assert_eq!((dead.event_type.as_str(), dead.saga), ("NOTE", Some(saga(1).to_string())));
    assert_eq!(world.script.calls("NOTE", "o"), 4);
    assert_eq!(trial.client.counters().messages_dead, 1);
    goes_on(&world).await;
}

#[tokio::test]
async fn p12_a_failure_that_lasts_too_long_is_given_up() {
    let world = World::with(1, |config| {
        config.retry.attempts_max = u32::MAX;
        config.retry.total_max = Duration::from_millis(50);
    })
    .await;
    let _trial = world.start().await;
    world.send(saga(1), note("o", How::Fail));
    let dead = world.the_dead().await;
    assert!(dead.reason.starts_with("gave up after 0 s"), "{}", dead.reason);
    assert!(dead.attempts > 2, "{}", dead.attempts);
}

#[tokio::test]
async fn p12_what_cannot_succeed_is_dead_at_once_with_its_reason() {
    for (how, reason, bugs) in [
        (How::Terminal, "terminal: told to fail for good", 0),
        (How::Panic, "bug: the handler panicked: told to panic", 1),
        (How::AwaitOther, "bug: the handler awaits something other than its turn", 1),
        (How::Bytes(2_000), "terminal: NOTED has 2", 0),
        (How::UnderKey("a\0b".into()), "terminal: NOTED has a bad key", 0),
    ] {
        let world = World::with(1, |config| config.limits.event_bytes_max = 1_000).await;
        let trial = world.start().await;
        world.send(saga(1), note("o", how.clone()));
        goes_on(&world).await;
        let dead = world.the_dead().await;
        assert!(dead.reason.starts_with(reason), "{how:?}: {}", dead.reason);
        assert!(world.types("o").await.is_empty(), "{how:?}");
        assert_eq!(world.script.calls("NOTE", "o"), 1, "{how:?}: no second try");
        assert_eq!(trial.client.counters().handler_bugs, bugs, "{how:?}");
    }
}

#[tokio::test]
async fn p12_a_payload_that_does_not_fit_its_type_is_dead() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    let (source, seq, id, mut record) = world.next(saga(1), &note("o", How::Do));
    record.value = (&b"{\"key\":"[..]).into();
    world.put(&source, record);
    goes_on(&world).await;
    let dead = world.the_dead().await;
    assert!(dead.reason.contains("the payload does not fit its event type"), "{}", dead.reason);
    assert_eq!((dead.seq, dead.id, &dead.payload[..]), (seq, id.to_string(), &b"{\"key\":"[..]));
}

/// An id that no store takes, made by a handler from what it was sent.
#[tokio::test]
async fn p12_a_stream_id_with_a_nul_is_refused_with_its_reason() {
    let world = World::new(1).await;
    let trial = world.start().await;
    world.send(saga(1), Take { key: "o".into(), sku: "a\0b".into(), how: How::Do });
    goes_on(&world).await;
    let dead = world.the_dead().await;
    assert!(dead.reason.contains("control character"), "{}", dead.reason);
    let refused = trial.client.execute("a\0b", TakeOne).await;
    assert!(
        matches!(&refused, Err(ClientError::Rejected(why)) if why.contains("control")),
        "{refused:?}"
    );
}

/// In a string of a payload it is data, and none of our business.
#[tokio::test]
async fn p12_a_nul_in_a_payload_goes_through_as_it_came() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    world.send(saga(1), Note { key: "o".into(), text: "a\0b".into(), how: How::Do });
    world.applied().await;
    assert_eq!(world.all::<Noted>("o").await[0].text, "a\0b");
}

#[tokio::test]
async fn p12_a_type_that_nobody_here_consumes_is_skipped_and_counted() {
    let world = World::new(1).await;
    let trial = world.start().await;
    world.send(saga(1), Alien { key: "o".into() });
    goes_on(&world).await;
    assert_eq!(trial.client.counters().messages_skipped, 1);
    assert!(world.held(HeldState::Dead).await.is_empty());
}

/// It need not be good for anything but its place in the lane; a log may bring no more of it.
#[tokio::test]
async fn p12_of_what_nobody_here_consumes_only_its_place_is_looked_at() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let (source, seq, _, mut record) = world.next(saga(1), &Alien { key: "o".into() });
    let place = [name::ID, name::TYPE, name::LANE, name::LANE_SEQ];
    record.headers.retain(|header| place.contains(&&*header.name));
    (record.key, record.value) = Default::default();
    world.put(&source, record.clone());
    goes_on(&world).await;
    assert_eq!(trial.client.counters().messages_skipped, 1);
    assert!(world.held(HeldState::Dead).await.is_empty());

    // The last number has one event only (P8).
    record.headers.retain(|header| header.name != name::LANE_SEQ);
    let last = (seq + 1).to_string();
    record.headers.push(Header { name: name::LANE_SEQ.into(), value: last.into() });
    world.put(&source, record);
    let stopped = until("the lane to stop", || async { trial.client.stopped_lanes().pop() }).await;
    assert!(stopped.1.contains("another event than"), "{}", stopped.1);
}

/// A numbered record that lacks something: stored with its reason, and its number counts.
#[tokio::test]
async fn p12_a_record_without_a_header_is_a_stored_refusal() {
    for (header, reason) in [
        (name::ID, "no header ce_id"),
        (name::TYPE, "no header ce_type"),
        (name::CORRELATION_ID, "no header ce_correlationid"),
    ] {
        let world = World::new(1).await;
        let _trial = world.start().await;
        let (source, seq, _, mut record) = world.next(saga(1), &note("o", How::Do));
        record.headers.retain(|h| h.name != header);
        world.put(&source, record);
        goes_on(&world).await;
        let dead = world.the_dead().await;
        assert_eq!((&*dead.reason, dead.seq), (reason, seq));
    }
}

/// No number, no header at all, no text: the position cannot move by it, and the lane goes on all the same.
#[tokio::test]
async fn p12_a_foreign_record_is_a_stored_refusal_once() {
    let world = World::new(1).await;
    let first = world.start().await;
    let (source, _, _, mut record) = world.next(saga(1), &note("o", How::Do));
    world.numbers.lock().unwrap().insert(source.clone(), 0);
    record.headers = vec![Header { name: "x".into(), value: (&b"\xff\0"[..]).into() }].into();
    record.key = (&b"\xff\xfe"[..]).into();
    record.value = (&b"\0garbage\xff"[..]).into();
    world.put(&source, record);
    goes_on(&world).await;
    let dead = world.the_dead().await;
    assert!(dead.reason.contains("ce_specversion"), "{}", dead.reason);
    assert_eq!(&dead.payload[..], b"\0garbage\xff");
    // Read again after a restart: still one.
    first.kill().await;
    let _second = world.start().await;
    world.send(saga(9), note("last", How::Do));
    world.applied().await;
    world.the_dead().await;
}

#[tokio::test]
async fn p12_a_key_in_the_wrong_lane_is_a_stored_refusal() {
    let world = World::new(2).await;
    let _trial = world.start().await;
    let (here, there) = (world.key_in(Lane(0), "here"), world.key_in(Lane(1), "there"));
    let (source, _, _, mut record) = world.next(saga(1), &note(&here, How::Do));
    record.key = there.into();
    world.put(&source, record);
    world.send(saga(1), note(&here, How::Do));
    world.applied().await;
    assert!(world.the_dead().await.reason.starts_with("wrong key"));
    assert_eq!(world.types(&here).await, ["NOTED"]);
}

/// The store refuses the data of one message among many: it is found, and the others are not harmed.
#[tokio::test]
async fn p12_a_batch_that_the_store_refuses_is_bisected_and_the_culprit_is_dead() {
    let world = World::new(1).await;
    world.store.reject_payloads_with("poison");
    for n in 0..37 {
        let text = if n == 23 { "poison" } else { "fine" };
        world.send(saga(1), Note { key: format!("o-{n}"), text: text.into(), how: How::Do });
    }
    let trial = world.start().await;
    world.applied().await;
    let dead = world.the_dead().await;
    assert_eq!(&*dead.key, "o-23");
    assert!(dead.reason.contains("the store refuses what was decided"), "{}", dead.reason);
    assert_eq!(world.stored().await.len(), 36);
    assert!(world.store.appends() < 40, "{} appends", world.store.appends());
    // A command is told.
    let announce = Announce { key: "b".into(), text: "poison".into() };
    let refused = trial.client.execute("b", announce).await;
    assert!(matches!(&refused, Err(ClientError::Rejected(_))), "{refused:?}");
    goes_on(&world).await;
}

/// A held message whose decision the store refuses is dead as well, and its key's later ones wait.
#[tokio::test]
async fn p12_a_retry_that_the_store_refuses_is_dead() {
    let world = World::new(1).await;
    world.store.reject_payloads_with("poison");
    let _trial = world.start().await;
    world.send(saga(1), Note { key: "o".into(), text: "poison".into(), how: How::FailTimes(1) });
    world.send(saga(1), note("o", How::Do));
    goes_on(&world).await;
    let dead = world.the_dead().await;
    assert_eq!((dead.seq, dead.attempts), (1, 2));
    assert_eq!(world.held(HeldState::Waiting).await.len(), 1);
    assert!(world.types("o").await.is_empty());
}

/// During a rolling upgrade the older version leaves the lanes of the newer one alone.
#[tokio::test]
async fn p12_an_instance_that_consumes_less_is_refused_the_lanes() {
    let world = World::new(1).await;
    let source = world.lane("up", "o");
    let mut consumes = Trial::consumes();
    consumes.push("ZZ_NEW".to_owned());
    let claim = Claim { lanes: vec![source.clone()], consumes, start: StartAt::First, held_max: 1 };
    world.store.claim(&claim).await.unwrap();
    let trial = world.start().await;
    world.send(saga(1), note("o", How::Do));
    world.send(saga(1), RivalNote { key: "o".into(), text: "rival".into() });
    until_true("the other lane", || async { world.types("o").await.len() == 1 }).await;
    let stopped =
        until("the lane to be refused", || async { trial.client.stopped_lanes().pop() }).await;
    assert_eq!(stopped.0, source);
    assert!(stopped.1.contains("ZZ_NEW"), "{}", stopped.1);
    assert_eq!(world.positions().await[&source], 0);
    assert_eq!(world.all::<Noted>("o").await[0].text, "rival");
}
