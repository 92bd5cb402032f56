//! A member of a group whose librdkafka does not go on by itself is replaced. What befalls it is made by a proxy: a
//! request that gets lost keeps librdkafka waiting for a minute or longer, while its connection is in order.
//! And librdkafka is kept from what would crash it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use quadrille::{
    id::{Lane, SourceLane},
    log::{
        Delivery, EventLog as _, Headers, LogError, NewRecord, Subscription, TopicSpec,
        kafka::{KafkaConfig, KafkaLog},
    },
    runtime::Runtime,
};
use stack::{
    proxy::{Proxy, wire},
    wait,
};
use tokio::time::timeout;

/// librdkafka itself gives a lost request up after 60 s at the earliest.
const LIMIT: Duration = Duration::from_secs(40);
/// Longer than it takes to find out that a lane stands still.
const QUIET: Duration = Duration::from_secs(9);

/// A topic of one lane and one record, and two ways to it: one by a proxy.
struct Ground {
    proxy: Proxy,
    direct: KafkaLog,
    by_proxy: KafkaLog,
    lane: SourceLane,
    group: String,
}

impl Ground {
    async fn new() -> Result<Self> {
        let broker = std::env::var("QUADRILLE_TEST_KAFKA")
            .context("QUADRILLE_TEST_KAFKA is not set: run these tests with `cargo xtask test`")?;
        let proxy = Proxy::before(&broker).await?;
        let log = |address: &str| -> Result<KafkaLog> {
            let mut config = KafkaConfig::new(address);
            config.limits.session_timeout = Duration::from_secs(6);
            config.limits.deaf_max = Duration::from_secs(9);
            config.limits.membership_max = Duration::from_secs(13);
            config.limits.standstill_max = Duration::from_secs(4);
            Ok(KafkaLog::new(config)?)
        };
        let (direct, by_proxy) = (log(&broker)?, log(&proxy.address)?);
        let name = format!("replaced.{}", Runtime::tokio().new_uuid());
        let topic = TopicSpec { name: name.as_str().into(), lanes: 1, record_bytes_max: 10_000 };
        direct.ensure_topic(&topic).await?;
        let lane = SourceLane { topic: topic.name, lane: Lane(0) };
        let ground = Self { proxy, direct, by_proxy, lane, group: format!("{name}.group") };
        ground.publish(&ground.direct, b"1").await?;
        Ok(ground)
    }

    /// One record more, in a transaction of its own.
    async fn publish(&self, log: &KafkaLog, value: &'static [u8]) -> Result<()> {
        let record = NewRecord {
            lane: self.lane.lane,
            key: "k".into(),
            value: value.into(),
            headers: Headers::default(),
            time: Runtime::tokio().clock.now(),
        };
        let publisher = log.publisher(&self.group, &self.lane.topic).await?;
        drop(publisher.publish(vec![record]).await?);
        Ok(())
    }

    async fn member(&self) -> Result<Box<dyn Subscription>> {
        let topics = [self.lane.topic.clone()];
        Ok(self.by_proxy.subscribe(&self.group, &topics).await?)
    }

    /// Waits until the proxy has lost a request; it loses no more then.
    async fn until_one_is_lost(&self) -> Result<()> {
        wait::until("a request to get lost", LIMIT, async || Ok(self.proxy.lost() > 0)).await?;
        self.proxy.lose(&[]);
        Ok(())
    }
}

/// The next record of a member that is alone in its group, read from there.
async fn record(member: &mut dyn Subscription, from: i64) -> Result<(i64, Vec<u8>)> {
    let found = timeout(LIMIT, async {
        loop {
            match member.next(1).await? {
                Delivery::Assigned(lanes) => member.seek(&lanes[0], from).await?,
                Delivery::Records(records) => {
                    return Ok((records[0].offset, records[0].value.to_vec()));
                }
                Delivery::Revoked(_) => bail!("it is alone"),
            }
        }
    });
    found.await.context("no record in time")?
}

/// Why the member is given up. It may lose its lanes before.
async fn given_up(member: &mut dyn Subscription) -> Result<LogError> {
    loop {
        match timeout(LIMIT, member.next(1)).await.context("it is not given up")? {
            Err(error) => return Ok(error),
            Ok(Delivery::Records(records)) => bail!("{records:?} came"),
            Ok(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_fetches_nothing_more_is_replaced_and_its_successor_reads_on() -> Result<()> {
    let ground = Ground::new().await?;
    let mut member = ground.member().await?;
    let (first, value) = record(&mut *member, 0).await?;
    assert_eq!(value, b"1");
    ground.proxy.lose(&[wire::FETCH]);
    ground.until_one_is_lost().await?;
    ground.publish(&ground.direct, b"2").await?;
    let why = given_up(&mut *member).await?.to_string();
    ensure!(why.contains("stood still at") && why.contains("a new client takes over"), "{why}");
    drop(member);
    let (_, value) = record(&mut *ground.member().await?, first + 1).await?;
    assert_eq!(value, b"2");
    Ok(())
}

/// Behind the last record is always the mark of its transaction, which no reader is given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_in_which_nothing_happens_replaces_nobody() -> Result<()> {
    let ground = Ground::new().await?;
    let mut member = ground.member().await?;
    record(&mut *member, 0).await?;
    // Nothing is to happen: there is no condition to wait for.
    let news = timeout(QUIET, member.next(1)).await;
    ensure!(news.is_err(), "{news:?}");
    ground.publish(&ground.direct, b"2").await?;
    assert_eq!(record(&mut *member, 0).await?.1, b"2");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_without_a_place_is_replaced_and_its_successor_gets_one() -> Result<()> {
    let ground = Ground::new().await?;
    ground.proxy.lose(&[wire::JOIN_GROUP]);
    let mut member = ground.member().await?;
    ground.until_one_is_lost().await?;
    let why = given_up(&mut *member).await?.to_string();
    ensure!(why.contains("no place for this member"), "{why}");
    drop(member);
    assert_eq!(record(&mut *ground.member().await?, 0).await?.1, b"1");
    Ok(())
}

/// Its connections are in order, and nothing comes by them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_hears_nothing_is_replaced_and_its_successor_reads_on() -> Result<()> {
    let ground = Ground::new().await?;
    let mut member = ground.member().await?;
    let (first, _) = record(&mut *member, 0).await?;
    let all: Vec<wire::Kind> = (0..100).collect();
    ground.proxy.lose(&all);
    let why = given_up(&mut *member).await?.to_string();
    ensure!(why.contains("no broker has answered for"), "{why}");
    ground.proxy.lose(&[]);
    drop(member);
    ground.publish(&ground.direct, b"2").await?;
    assert_eq!(record(&mut *ground.member().await?, first + 1).await?.1, b"2");
    Ok(())
}

/// Answers in which a broker names the new leaders of some lanes, and says of others that they have none yet, can
/// crash librdkafka: `third-party/rdkafka-sys` does not ask for such answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_asked_for_that_names_new_leaders() -> Result<()> {
    let ground = Ground::new().await?;
    let mut member = ground.member().await?;
    record(&mut *member, 0).await?;
    ground.publish(&ground.by_proxy, b"2").await?;
    let newest = |kind| ground.proxy.newest(kind).context("no such request has come");
    // The first versions with leaders in their answers (KIP-951) are 16 and 10.
    assert!(newest(wire::FETCH)? < 16, "Fetch in version {}", newest(wire::FETCH)?);
    assert!(newest(wire::PRODUCE)? < 10, "Produce in version {}", newest(wire::PRODUCE)?);
    Ok(())
}
