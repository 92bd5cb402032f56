//! The independent checker on a real story: whole, it passes; with one event lost, doubled, swapped or
//! changed in one byte, in the log or in the store, it finds and names it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use checker::{
    evidence::Record,
    judge::judge,
    live::Watcher,
    read::{self, Sources, kafka},
    report::Report,
};
use demo::script::Script;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    producer::{
        BaseRecord, DefaultProducerContext, FutureProducer, FutureRecord, Producer as _,
        ThreadedProducer,
    },
};
use sqlx::{Connection as _, PgConnection};
use stack::{
    place::Place,
    processes::{SERVICES, Stack},
    quiet, storm,
    story::{self, QUIET_LIMIT},
    tables, wait,
};

const ORDERS: u64 = 60;

#[tokio::test]
async fn the_checker_passes_a_whole_story_and_names_each_seeded_corruption() -> Result<()> {
    let _alone = story::alone().await;
    let mut stack = Stack::prepare(Place::given(env!("CARGO_BIN_EXE_stack-service"))?).await?;
    let script = Script { seed: 61, sagas: ORDERS, skus: 4 };
    let driver = story::begin(&mut stack, script, 1).await?;
    let watcher = Watcher::start(&stack.kafka, &SERVICES.map(|service| stack.topic(service)))?;
    driver.place_all().await?;
    quiet::until_quiet(&stack, ORDERS, QUIET_LIMIT).await?;
    for service in SERVICES {
        stack.end_in_peace(service, 1).await?;
    }
    let sources = storm::sources(&stack);
    let mut events = 0;
    for service in SERVICES {
        events += usize::try_from(tables::count_public(&stack.url(service)).await?)?;
    }
    wait::until("the live reader", wait::LIMIT, async || Ok(watcher.count() >= events)).await?;
    let seen = watcher.stop()?;

    let whole = judge(&read::gather(&sources, Some(seen.clone())).await?);
    ensure!(whole.holds(), "{whole}");
    ensure!(whole.invariants.iter().filter(|it| it.checked > 0).count() > 11, "{whole}");
    ensure!(!format!("{whole}").contains("did not list"), "{whole}");

    log_side(&stack, &sources).await?;
    store_side(&stack, &sources).await?;

    // What a reader saw and the store does not have.
    let mut made_up = seen;
    made_up.last_mut().context("nothing seen")?.id = "01890000-0000-7000-8000-000000000000".into();
    let report = judge(&read::gather(&sources, Some(made_up)).await?);
    ensure!(report.violated() == ["no_reader_saw_what_is_not"], "{report}");
    named(&report, "no_reader_saw_what_is_not", "is not in the store")?;
    stack.remove().await
}

/// A violation of this invariant that says this.
fn named(report: &Report, invariant: &str, words: &str) -> Result<()> {
    let found = report.invariants.iter().find(|it| it.name == invariant).context("none")?;
    ensure!(found.told.iter().any(|told| told.contains(words)), "no {words:?} in\n{report}");
    Ok(())
}

/// Corrupt copies of payment's topic, each judged in its place.
async fn log_side(stack: &Stack, sources: &Sources) -> Result<()> {
    let topic = stack.topic("payment");
    let records = kafka::read(&stack.kafka, &topic)?.records;
    let middle = records.len() / 2;
    // Two neighbours of one partition.
    let middle = (middle..records.len() - 1)
        .find(|&n| records[n].partition == records[n + 1].partition && records[n].offset > 2)
        .context("no neighbours")?;
    let seq = records[middle].header("ce_laneseq").context("no number")?.to_owned();
    let change = |what: &str| {
        let mut copy = records.clone();
        match what {
            "lost" => drop(copy.remove(middle)),
            "doubled" => copy.insert(middle, records[middle].clone()),
            "swapped" => copy.swap(middle, middle + 1),
            "changed" => copy[middle].value[2] ^= 1,
            "hung" => {}
            _ => copy[middle].headers.retain(|(name, _)| name != "ce_causationid"),
        }
        copy
    };
    for (what, invariant, words) in [
        ("lost", "log_is_store", format!("number {seq} (")),
        ("lost", "log_lanes_dense", format!("{seq} to {seq} lost")),
        ("doubled", "log_is_store", "doubled in the log".to_owned()),
        ("doubled", "log_lanes_dense", format!("{seq} doubled")),
        ("swapped", "log_lanes_dense", format!("{seq} comes after")),
        ("changed", "log_is_store", "the payload differs from byte 2 on".to_owned()),
        ("header", "log_is_store", "the header ce_causationid is None".to_owned()),
        ("hung", "no_hanging_transaction", "a transaction is open".to_owned()),
    ] {
        let copy = format!("{topic}.{what}.{invariant}");
        write(&stack.kafka, &copy, &change(what)).await?;
        let hung =
            if what == "hung" { Some(hang(&stack.kafka, &stack.namespace, &copy)?) } else { None };
        let mut sources = sources.clone();
        sources.services[1].log.clone_from(&copy);
        let report = judge(&read::gather(&sources, None).await?);
        ensure!(report.violated().contains(&invariant), "{what}: {report}");
        named(&report, invariant, &words).with_context(|| what.to_owned())?;
        if what == "hung" {
            named(&report, invariant, "is Ongoing")?;
        }
        // The store is whole.
        ensure!(!report.violated().contains(&"store_lanes_dense"), "{what}: {report}");
        if let Some(producer) = hung {
            producer.abort_transaction(TRANSACTION_LIMIT)?;
        }
        admin(&stack.kafka)?.delete_topics(&[&copy], &AdminOptions::new()).await?;
    }
    Ok(())
}

fn admin(kafka: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", kafka).create()?)
}

/// Records in a new topic of four partitions, in this order.
async fn write(kafka: &str, topic: &str, records: &[Record]) -> Result<()> {
    let new = NewTopic::new(topic, 4, TopicReplication::Fixed(1));
    for made in admin(kafka)?.create_topics(&[new], &AdminOptions::new()).await? {
        made.map_err(|(topic, error)| anyhow::anyhow!("{topic}: {error}"))?;
    }
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("enable.idempotence", "true")
        .create()?;
    let mut sent = vec![];
    for record in records {
        let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let mut next = FutureRecord::to(topic)
            .partition(record.partition)
            .key(&record.key)
            .payload(&record.value)
            .headers(headers);
        next.timestamp = record.timestamp_ms;
        sent.push(producer.send_result(next).map_err(|(error, _)| error)?);
    }
    for delivery in sent {
        delivery.await?.map_err(|(error, _)| error)?;
    }
    Ok(())
}

type Producer = ThreadedProducer<DefaultProducerContext>;

const TRANSACTION_LIMIT: Duration = Duration::from_secs(20);

/// A transaction that is not ended, of a producer that counts among this namespace's.
fn hang(kafka: &str, namespace: &str, topic: &str) -> Result<Producer> {
    let producer: Producer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("transactional.id", format!("{namespace}.hung"))
        .create()?;
    producer.init_transactions(TRANSACTION_LIMIT)?;
    producer.begin_transaction()?;
    let record = BaseRecord::<str, str>::to(topic).partition(0).payload("never");
    producer.send(record).map_err(|(error, _)| error)?;
    producer.flush(TRANSACTION_LIMIT)?;
    Ok(producer)
}

/// Corruptions of payment's tables, each undone by its opposite before the next.
async fn store_side(stack: &Stack, sources: &Sources) -> Result<()> {
    let url = stack.url("payment");
    let aside = "CREATE TABLE aside AS SELECT * FROM events";
    // Its indexes would not let some of it happen.
    run(
        &url,
        &[aside, "DROP INDEX events_lane", "ALTER TABLE events DROP CONSTRAINT events_stream"],
    )
    .await?;
    let one = "lane = (SELECT lane FROM events WHERE lane_seq = 4 LIMIT 1) AND lane_seq";
    for (what, statement, invariant, words) in [
        ("lost", format!("DELETE FROM events WHERE {one} = 2"), "store_lanes_dense", "2 to 2 lost"),
        ("lost", format!("DELETE FROM events WHERE {one} = 2"), "log_is_store", "not in the store"),
        ("lost", format!("DELETE FROM events WHERE {one} = 2"), "each_record_applied_once", " 0 times"),
        (
            "lost",
            "DELETE FROM events WHERE stream LIKE 'account/%' AND version = 2".to_owned(),
            "law_money",
            "moved",
        ),
        (
            "doubled",
            format!("INSERT INTO events SELECT * FROM events WHERE {one} = 2"),
            "store_lanes_dense",
            "2 doubled",
        ),
        (
            "doubled",
            format!("INSERT INTO events SELECT * FROM events WHERE {one} = 2"),
            "stream_versions_dense",
            "doubled",
        ),
        (
            "applied twice",
            "INSERT INTO events SELECT version + 1, time, NULL, NULL, gen_random_uuid(), saga, stream, \
             'BILLED_ORDER', causation, NULL, trace, payload FROM events \
             WHERE event_type = 'PAYMENT_DECLINED'"
                .to_owned(),
            "each_record_applied_once",
            " 2 times",
        ),
        (
            "swapped",
            format!("UPDATE events SET lane_seq = 5 - lane_seq WHERE {one} IN (2, 3)"),
            "log_is_store",
            "the header ce_id is",
        ),
        (
            "changed",
            format!("UPDATE events SET payload = set_byte(payload, 1, 0) WHERE {one} = 2"),
            "log_is_store",
            "the payload differs from byte 1 on",
        ),
        (
            "uncaused",
            format!("UPDATE events SET causation = gen_random_uuid()::text WHERE {one} = 2"),
            "each_event_one_cause",
            "is not there",
        ),
        (
            "unread",
            "UPDATE positions SET last_seq = last_seq - 1 WHERE last_seq > 2 AND lane = \
             (SELECT min(lane) FROM positions WHERE last_seq > 2)"
                .to_owned(),
            "positions_at_the_logs_end",
            "the log's end is",
        ),
    ] {
        run(&url, &["CREATE TABLE before AS SELECT * FROM positions", &statement]).await?;
        let report = judge(&read::gather(sources, None).await?);
        ensure!(report.violated().contains(&invariant), "{what}: {report}");
        named(&report, invariant, words).with_context(|| what.to_owned())?;
        run(
            &url,
            &[
                "TRUNCATE events",
                "INSERT INTO events SELECT * FROM aside",
                "UPDATE positions p SET last_seq = b.last_seq FROM before b \
                 WHERE b.topic = p.topic AND b.lane = p.lane",
                "DROP TABLE before",
            ],
        )
        .await?;
    }
    // An order without its end, and a message that a person would have to look at.
    let order = stack.url("order");
    run(&order, &["UPDATE events SET event_type = 'ORDER_X' WHERE event_type = 'ORDER_FAILED'"])
        .await?;
    let held = "INSERT INTO held VALUES ('t', 0, 'm', 'k', 1, 1, 'T', NULL, '', '', 'dead', 1, 1, 1, 'why')";
    run(&order, &[held]).await?;
    let report = judge(&read::gather(sources, None).await?);
    named(&report, "every_saga_at_an_end", "has 0 ends")?;
    named(&report, "nothing_held_without_a_plan", "m is dead: why")?;
    run(&order, &["UPDATE events SET event_type = 'ORDER_FAILED' WHERE event_type = 'ORDER_X'"])
        .await?;
    run(&order, &["DELETE FROM held"]).await?;
    let report = judge(&read::gather(sources, None).await?);
    ensure!(report.holds(), "whole again: {report}");
    Ok(())
}

async fn run(url: &str, statements: &[&str]) -> Result<()> {
    let mut database = PgConnection::connect(url).await?;
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe((*statement).to_owned())).execute(&mut database).await?;
    }
    Ok(())
}
