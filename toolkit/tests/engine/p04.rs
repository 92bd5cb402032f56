//! P4: events without our numbers are known by CloudEvents `source` and `id`, for as long as is stated.

use quadrille::{id::SagaId, log::record::name};

use crate::harness::*;

fn note(id: &str, key: &str, text: &str, how: How) -> Foreign {
    Foreign::new(id, key, "NOTE", &Note { key: key.into(), text: text.into(), how })
}

async fn texts(world: &World, key: &str) -> Vec<String> {
    world.all::<Noted>(key).await.into_iter().map(|noted| noted.text).collect()
}

/// Waits until the key has so many answers, and everything before them is committed.
async fn answers(world: &World, key: &str, count: usize) -> Vec<String> {
    until_true(&format!("{count} answers of {key}"), || async {
        texts(world, key).await.len() >= count
    })
    .await;
    texts(world, key).await
}

/// A last event of its own key: when it is answered, everything before it in the lane is.
async fn settled(world: &World, id: &str) {
    note(id, id, "last", How::Do).send(world);
    answers(world, id, 1).await;
}

async fn sagas(world: &World, key: &str) -> Vec<SagaId> {
    let stored = world.stored().await;
    let of_key = stored.iter().filter(|e| e.published.as_ref().is_some_and(|p| *p.key == *key));
    of_key.map(|event| event.saga).collect()
}

#[tokio::test]
async fn p04_a_foreign_event_is_applied_once_in_one_batch_and_later() {
    let world = World::new(1).await;
    for id in ["1", "2", "1", "1"] {
        note(id, "o", id, How::Do).send(&world);
    }
    let trial = world.start().await;
    settled(&world, "x").await;
    assert_eq!(texts(&world, "o").await, ["1", "2"]);
    assert_eq!(trial.client.counters().messages_duplicate, 2, "seen from the overlay");
    for id in ["2", "3", "1"] {
        note(id, "o", id, How::Do).send(&world);
    }
    settled(&world, "y").await;
    assert_eq!(texts(&world, "o").await, ["1", "2", "3"]);
    assert_eq!(trial.client.counters().messages_duplicate, 4, "seen from the store");
    assert_eq!(world.held(HeldState::Dead).await, []);
    let caused = &world.stored().await[0];
    assert_eq!(caused.causation, "1", "by its id there");
}

/// The same id of another source is another event; the same event on another topic is the same.
#[tokio::test]
async fn p04_source_and_id_name_an_event_wherever_it_comes() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    let first = note("1", "o", "one", How::Do);
    first.send(&world);
    answers(&world, "o", 1).await;
    Foreign { service: "rival", ..first.clone() }.send(&world);
    let other =
        Foreign { source: "https://other.example".into(), ..note("1", "o", "two", How::Do) };
    other.send(&world);
    settled(&world, "x").await;
    let last = Foreign { service: "rival", ..note("9", "y", "last", How::Do) };
    last.send(&world);
    answers(&world, "y", 1).await;
    assert_eq!(texts(&world, "o").await, ["one", "two"]);
}

/// What the store has seen becomes a skip; the rest of the batch, commands included, is decided again.
#[tokio::test]
async fn p04_what_was_seen_is_left_out_and_the_rest_of_the_batch_goes_on() {
    let world = World::new(1).await;
    let trial = world.start().await;
    for n in [3, 5] {
        note(&n.to_string(), "early", "early", How::Do).send(&world);
    }
    answers(&world, "early", 2).await;
    world.store.hold();
    note("blocks", "blocks", "text", How::Do).send(&world);
    until_true("the append to be held up", || async { world.store.held_up() == 1 }).await;
    for n in 0..10 {
        note(&n.to_string(), "o", &n.to_string(), How::Do).send(&world);
    }
    let client = trial.client.clone();
    let announce = Announce { key: "b".into(), text: "hello".into() };
    let command = tokio::spawn(async move { client.execute("b", announce).await });
    until_true("the batch to be decided", || async { world.script.calls("NOTE", "o") == 10 }).await;
    world.store.resume();
    command.await.unwrap().unwrap().unwrap();
    assert_eq!(answers(&world, "o", 8).await, ["0", "1", "2", "4", "6", "7", "8", "9"]);
    let counters = trial.client.counters();
    assert_eq!((counters.messages_duplicate, counters.messages_skipped), (2, 0));
    assert_eq!(world.types("b").await, ["ANNOUNCED"]);
    let refused = world.store.seen().iter().filter(|a| a.inbox.len() == 10).count();
    assert_eq!(refused, 1, "one append named both");
}

/// The first is in the append that is being committed, its repetition is decided on top; the append
/// fails: then both are decided again, and one counts.
#[tokio::test]
async fn p04_a_repetition_of_what_was_not_committed_is_the_first() {
    for fault in [Fault::Conflict, Fault::UnknownLost, Fault::UnknownCommitted] {
        let world = World::new(1).await;
        let trial = world.start().await;
        world.store.hold();
        note("1", "o", "one", How::Do).send(&world);
        until_true("the append", || async { world.store.held_up() == 1 }).await;
        note("1", "o", "one", How::Do).send(&world);
        note("2", "p", "two", How::Do).send(&world);
        until_true("the second batch", || async { world.script.calls("NOTE", "p") == 1 }).await;
        world.store.script([fault]);
        world.store.resume();
        settled(&world, "x").await;
        assert_eq!(texts(&world, "o").await, ["one"], "{fault:?}");
        assert_eq!(texts(&world, "p").await, ["two"], "{fault:?}");
        assert_eq!(trial.client.counters().messages_duplicate, 1, "{fault:?}");
    }
}

#[tokio::test]
async fn p04_a_restart_goes_on_at_the_offset() {
    let world = World::new(1).await;
    let first = world.start().await;
    for n in 0..20 {
        note(&n.to_string(), "o", &n.to_string(), How::Do).send(&world);
    }
    answers(&world, "o", 20).await;
    first.kill().await;
    let second = world.start().await;
    settled(&world, "x").await;
    let counters = second.client.counters();
    assert_eq!((counters.messages_applied, counters.messages_duplicate), (1, 0));
    assert_eq!(texts(&world, "o").await.len(), 20);
}

/// Offsets begin anew; whoever sends again what was sent before is heard once. (Shorter than before: a
/// longer one cannot be told from the one that was read.)
#[tokio::test]
async fn p04_a_topic_made_again_is_read_from_its_start() {
    let world = World::new(1).await;
    let mut trial = Some(world.start().await);
    for n in 0..5 {
        note(&n.to_string(), "o", &n.to_string(), How::Do).send(&world);
    }
    answers(&world, "o", 5).await;
    for (restarted, new) in [(false, ["a", "b"].as_slice()), (true, &["c"])] {
        if let Some(running) = trial.take_if(|_| restarted) {
            running.kill().await;
        }
        assert!(world.log.recreate_topic(&world.topic("up")));
        for n in [&["3"], new].concat() {
            note(n, "o", n, How::Do).send(&world);
        }
        if restarted {
            trial = Some(world.start().await);
        }
        settled(&world, &format!("x-{restarted}")).await;
    }
    assert_eq!(texts(&world, "o").await, ["0", "1", "2", "3", "4", "a", "b", "c"]);
}

/// Older than the inbox remembers: below the offset at which the lane was left it is not applied again,
/// from there on it is.
#[tokio::test]
async fn p04_what_the_inbox_has_forgotten_is_judged_by_its_offset() {
    let world = World::new(1).await;
    let first = world.start().await;
    world.send(saga(1), Note { key: "n".into(), text: "numbered".into(), how: How::Do });
    world.applied().await;
    let old = quadrille::runtime::Timestamp(1);
    Foreign { at: old, ..note("1", "o", "one", How::Do) }.send(&world);
    answers(&world, "o", 1).await;
    first.kill().await;
    let forgotten = quadrille::runtime::Timestamp(i64::MAX);
    assert!(world.store.prune_inbox(forgotten, 100).await.unwrap() > 0);
    Foreign { at: old, ..note("2", "o", "two", How::Do) }.send(&world);
    // It reads on from the numbered event, and meets both.
    let _second = world.start().await;
    settled(&world, "x").await;
    assert_eq!(texts(&world, "o").await, ["one", "two"]);
}

#[tokio::test]
async fn p04_numbered_and_foreign_events_share_a_lane() {
    let world = World::new(1).await;
    let mut trial = world.start().await;
    for round in 0..3 {
        for n in 0..4 {
            let text = format!("{round}-{n}");
            if n % 2 == 0 {
                note(&text, "o", &text, How::Do).send(&world);
            } else {
                world.send(saga(1), Note { key: "o".into(), text, how: How::Do });
            }
        }
        answers(&world, "o", 4 * (round + 1)).await;
        trial.kill().await;
        trial = world.start().await;
    }
    settled(&world, "x").await;
    let expected: Vec<String> =
        (0..3).flat_map(|round| (0..4).map(move |n| format!("{round}-{n}"))).collect();
    assert_eq!(texts(&world, "o").await, expected);
    assert_eq!(trial.client.stopped_lanes(), []);
}

/// Parked, with numbered and foreign ones behind it, over a restart: in the order of the log.
#[tokio::test]
async fn p04_a_parked_foreign_event_holds_back_its_key_in_order() {
    let world = World::with(1, |config| config.retry.delay_first = Duration::from_millis(50)).await;
    let first = world.start().await;
    world.send(saga(1), Note { key: "n".into(), text: "numbered".into(), how: How::Do });
    note("1", "o", "1", How::FailTimes(2)).send(&world);
    note("2", "o", "2", How::Do).send(&world);
    world.send(saga(1), Note { key: "o".into(), text: "3".into(), how: How::Do });
    let (source, record) = note("4", "o", "4", How::Do).structured(&world);
    world.put(&source, record);
    note("2", "o", "2 again", How::Do).send(&world);
    until_true("all to be held", || async {
        world.held(HeldState::Waiting).await.len() == 3 || !texts(&world, "o").await.is_empty()
    })
    .await;
    first.kill().await;
    let _second = world.start().await;
    assert_eq!(answers(&world, "o", 4).await, ["1", "2", "3", "4"]);
    settled(&world, "x").await;
    world.nothing_parked().await;
    assert_eq!(texts(&world, "o").await.len(), 4);
}

#[tokio::test]
async fn p04_a_dead_foreign_event_is_dead_once_and_holds_back_its_key() {
    let world = World::new(1).await;
    let trial = world.start().await;
    note("1", "o", "1", How::Terminal).send(&world);
    note("1", "o", "1", How::Terminal).send(&world);
    note("2", "o", "2", How::Do).send(&world);
    settled(&world, "x").await;
    note("1", "o", "1", How::Terminal).send(&world);
    settled(&world, "y").await;
    let dead = world.the_dead().await;
    assert_eq!((&*dead.key, &*dead.event_type), ("o", "NOTE"));
    assert!(dead.headers.windows(3).any(|bytes| bytes == b"\"1\""), "its own id is shown");
    assert_eq!(world.held(HeldState::Waiting).await.len(), 1);
    assert_eq!(trial.client.counters().messages_dead, 1);
}

/// The first event of a saga may come from outside; later ones find it by the same correlation.
#[tokio::test]
async fn p04_a_foreign_event_starts_a_saga_and_a_foreign_failure_compensates_it() {
    for correlation in [None, Some("process 17".to_owned()), Some(saga(7).to_string())] {
        let world = World::new(1).await;
        let _trial = world.start().await;
        let ask = Ask { key: "o".into(), how: How::Do };
        let ask = Foreign { correlation, ..Foreign::new("1", "o", "ASK", &ask) };
        ask.send(&world);
        until_true("the step", || async { world.types("o").await == ["DONE"] }).await;
        let begun = sagas(&world, "o").await[0];
        match ask.correlation.as_deref() {
            Some(text) if text == saga(7).to_string() => assert_eq!(begun, saga(7)),
            _ => assert_eq!(begun.0.get_version_num(), 5, "made from its names"),
        }
        let failed = Foreign { id: "2".into(), event_type: "FAILED".into(), ..ask.clone() };
        let data = serde_json::to_vec(&Failed { key: "o".into() }).unwrap();
        let correlation = ask.correlation.clone().or_else(|| Some(begun.to_string()));
        Foreign { service: "rival", data, correlation, ..failed }.send(&world);
        until_true("the undo", || async { world.types("o").await == ["DONE", "REVERTED"] }).await;
        assert_eq!(sagas(&world, "o").await, [begun, begun]);
    }
}

#[tokio::test]
async fn p04_structured_mode_is_read_as_binary_mode_is() {
    let world = World::new(1).await;
    let trial = world.start().await;
    let (source, record) = note("1", "o", "data", How::Do).structured(&world);
    world.put(&source, record);
    // The same event in the other mode is the same event.
    note("1", "o", "data", How::Do).send(&world);
    let base64 = r#"{"specversion":"1.0","id":"2","source":"https://risk.example/checks","type":"NOTE",
        "data_base64":"eyJrZXkiOiJvIiwidGV4dCI6ImJhc2U2NCIsImhvdyI6IkRvIn0="}"#;
    let (source, record) =
        note("2", "o", "", How::Do).envelope(&world, "application/cloudevents+json", base64);
    world.put(&source, record);
    settled(&world, "x").await;
    assert_eq!(texts(&world, "o").await, ["data", "base64"]);
    assert_eq!(trial.client.counters().messages_duplicate, 1);
    assert_eq!(world.held(HeldState::Dead).await, []);
}

#[tokio::test]
async fn p04_what_cannot_be_read_is_dead_with_its_reason() {
    for (content_type, value, reason) in [
        ("application/cloudevents-batch+json", "[]", "send one event a record"),
        ("application/cloudevents+avro", "{}", "only application/cloudevents+json is read"),
        ("application/cloudevents+json", "[1]", "no JSON object"),
        (
            "application/cloudevents+json",
            r#"{"specversion":"1.0","id":"1","type":"NOTE","data":1}"#,
            "no header ce_source",
        ),
        (
            "application/cloudevents+json",
            r#"{"specversion":"0.3","id":"1","source":"s","type":"NOTE"}"#,
            "only \"1.0\"",
        ),
        (
            "application/cloudevents+json",
            r#"{"specversion":"1.0","id":"1","source":"s","type":"NOTE","laneseq":1}"#,
            "binary mode only",
        ),
        (
            "application/cloudevents+json",
            r#"{"specversion":"1.0","id":"1","source":"s","type":"NOTE","a":{}}"#,
            "no text, number or boolean",
        ),
        (
            "application/cloudevents+json",
            r#"{"specversion":"1.0","id":"1","source":"s","type":"NOTE","data":1,"data_base64":""}"#,
            "one of them",
        ),
        (
            "application/cloudevents+json",
            r#"{"specversion":"1.0","id":"1","source":"s","type":"NOTE","time":"noon"}"#,
            "no RFC 3339",
        ),
    ] {
        let world = World::new(1).await;
        let _trial = world.start().await;
        let (source, record) = note("", "o", "", How::Do).envelope(&world, content_type, value);
        world.put(&source, record);
        settled(&world, "x").await;
        let dead = world.the_dead().await;
        assert!(dead.reason.contains(reason), "{value}: {}", dead.reason);
        assert_eq!(&dead.payload[..], value.as_bytes());
    }
}

#[tokio::test]
async fn p04_an_event_without_a_key_takes_its_partition_key_or_is_dead() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    let (source, mut keyed) = note("1", "o", "one", How::Do).binary(&world);
    keyed.key = (&b""[..]).into();
    let keyless = quadrille::log::NewRecord { headers: keyed.headers.clone(), ..keyed.clone() };
    keyed
        .headers
        .push(quadrille::log::Header { name: name::PARTITION_KEY.into(), value: "o".into() });
    world.put(&source, keyed);
    settled(&world, "x").await;
    assert_eq!(texts(&world, "o").await, ["one"]);
    let mut keyless = keyless;
    keyless.headers.retain(|h| h.name != name::ID);
    keyless.headers.push(quadrille::log::Header { name: name::ID.into(), value: "2".into() });
    world.put(&source, keyless);
    settled(&world, "y").await;
    assert!(world.the_dead().await.reason.starts_with("no key"));
}

/// An event of ours whose numbers were lost on the way is no foreign one: it would count twice.
#[tokio::test]
async fn p04_an_event_of_ours_without_its_number_is_not_taken() {
    let world = World::new(1).await;
    let _trial = world.start().await;
    let (source, _, _, mut record) =
        world.next(saga(1), &Note { key: "o".into(), text: "one".into(), how: How::Do });
    record.headers.retain(|h| h.name != name::LANE_SEQ && h.name != name::LANE);
    world.put(&source, record);
    settled(&world, "x").await;
    assert!(world.the_dead().await.reason.contains("has lost its number"));
    assert!(world.types("o").await.is_empty());
}

/// A partitioner of its own: the key's home is where its producer puts it.
#[tokio::test]
async fn p04_a_foreign_producer_chooses_its_partitions() {
    let world = World::new(2).await;
    let _trial = world.start().await;
    let key = world.key_in(Lane(0), "o");
    let (_, mut record) = note("1", &key, "one", How::Do).binary(&world);
    record.lane = Lane(1);
    world.put(&SourceLane { topic: world.topic("up"), lane: Lane(1) }, record);
    assert_eq!(answers(&world, &key, 1).await, ["one"]);
    assert_eq!(world.held(HeldState::Dead).await, []);
}

#[tokio::test]
async fn p04_a_topic_that_is_not_named_like_ours_is_mapped() {
    let world = World::with(1, |config| {
        config.topics.insert("up".into(), "t.rival.events".into());
    })
    .await;
    let _trial = world.start().await;
    Foreign { service: "rival", ..note("1", "o", "mapped", How::Do) }.send(&world);
    note("2", "o", "not read", How::Do).send(&world);
    assert_eq!(answers(&world, "o", 1).await, ["mapped"]);
    Foreign { service: "rival", ..note("3", "x", "last", How::Do) }.send(&world);
    answers(&world, "x", 1).await;
    assert_eq!(texts(&world, "o").await, ["mapped"]);
}

/// Two instances read the same event from two topics at the same moment.
#[tokio::test]
async fn p04_two_instances_take_an_event_once() {
    let world = World::new(1).await;
    let _up = world.start_with(|config| config.sources = Some(vec!["up".into()])).await;
    let _rival = world.start_with(|config| config.sources = Some(vec!["rival".into()])).await;
    for n in 0..50 {
        let (key, id) = (format!("o-{}", n % 5), n.to_string());
        let event = note(&id, &key, &id, How::Do);
        event.send(&world);
        Foreign { service: "rival", ..event }.send(&world);
    }
    for service in ["up", "rival"] {
        let last = Foreign { service, ..note(service, service, "last", How::Do) };
        last.send(&world);
        answers(&world, service, 1).await;
    }
    let mut all = vec![];
    for n in 0..5 {
        all.extend(texts(&world, &format!("o-{n}")).await);
    }
    all.sort_by_key(|text| text.parse::<u32>().unwrap());
    assert_eq!(all, (0..50).map(|n: u32| n.to_string()).collect::<Vec<_>>());
}
