//! A transaction that its coordinator knows to be ended, and one partition does not: nothing ends it (P6).
//!
//! A broker that dies between a decision and its marks leaves one, rarely. Here it is made: a record of a
//! transaction comes to a partition of which the coordinator was not told. A broker asks the coordinator first,
//! unless that is switched off.

use quadrille::{
    log::{Delivery, LogRecord},
    store::memory::MemoryStore,
};
use tokio::sync::Mutex;

use super::{foreign, raw::Connection, *};

const VERIFICATION: &str = "transaction.partition.verification.enable";
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Whoever has switched the verification off: the first to switch it on again would not know of the second.
static SWITCHED: Mutex<()> = Mutex::const_new(());

/// Where the brokers are, and which of them leads the lane.
struct Places {
    brokers: Vec<String>,
    leader: String,
}

async fn places(cluster: &Cluster, lane: &SourceLane) -> Places {
    let (client, lane) = (cluster.client(), lane.clone());
    let ask = move || {
        let consumer: BaseConsumer = client.create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(&lane.topic), DEADLINE).expect("metadata");
        let place = |id: Option<i32>| {
            let brokers =
                metadata.brokers().iter().filter(move |b| id.is_none_or(|id| b.id() == id));
            brokers.map(|b| format!("{}:{}", b.host(), b.port())).collect::<Vec<_>>()
        };
        let partition = i32::try_from(lane.lane.0).expect("it fits");
        let mut partitions = metadata.topics()[0].partitions().iter();
        let leader = partitions.find(|p| p.id() == partition).expect("a partition").leader();
        Places { brokers: place(None), leader: place(Some(leader)).remove(0) }
    };
    tokio::task::spawn_blocking(ask).await.expect("it answers")
}

/// Makes a transaction of this id hang in the lane, at a later epoch than any before.
async fn hang(cluster: &Cluster, id: &str, lane: &SourceLane) {
    let places = places(cluster, lane).await;
    let mut leader = Connection::to(&places.leader).await;
    let alone = SWITCHED.lock().await;
    leader.configure(VERIFICATION, Some("false")).await;
    // A task of its own: if it fails, the other tests' cluster is put right all the same.
    let (id, lane) = (id.to_owned(), lane.clone());
    let written = tokio::spawn(async move { write_unannounced(&places, &id, &lane).await }).await;
    leader.configure(VERIFICATION, None).await;
    drop(alone);
    written.expect("a record that its coordinator does not know of");
}

/// Asks until the coordinator has ended what it knows of, and until every broker knows what was switched off.
async fn write_unannounced(places: &Places, id: &str, lane: &SourceLane) {
    let until = Instant::now() + DEADLINE;
    let writer = 'writer: loop {
        for broker in &places.brokers {
            match Connection::to(broker).await.init_producer_id(id).await {
                Ok(writer) => break 'writer writer,
                Err(refused) => assert!(Instant::now() < until, "{refused:?}"),
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    let mut leader = Connection::to(&places.leader).await;
    while let Err(refused) = leader.produce(id, writer, lane, b"hangs").await {
        assert!(Instant::now() < until, "{refused:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn values<'a>(records: impl IntoIterator<Item = &'a LogRecord>) -> Vec<String> {
    records.into_iter().map(|r| String::from_utf8_lossy(&r.value).into_owned()).collect()
}

/// Whether nothing is open at the lane's end, and what is seen there.
async fn seen(log: &KafkaLog, lane: &SourceLane) -> (bool, Vec<String>) {
    let back = log.read_back(lane, 10).await.expect("a tail");
    (back.stable, values(&back.records))
}

/// A coordinator answers before the marks are written: reads back until nothing is open.
async fn seen_at_rest(log: &KafkaLog, lane: &SourceLane) -> Vec<String> {
    let until = Instant::now() + DEADLINE;
    loop {
        let (stable, values) = seen(log, lane).await;
        if stable {
            return values;
        }
        assert!(Instant::now() < until, "a transaction is open for ever; before it: {values:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// What a member of a group reads from the start, when it is so many records.
async fn read(log: &KafkaLog, topic: &Arc<str>, count: usize) -> Vec<String> {
    let mut member =
        log.subscribe(&unique("group"), std::slice::from_ref(topic)).await.expect("a member");
    let mut read = vec![];
    let reading = async {
        while read.len() < count {
            match member.next(10).await.expect("a delivery") {
                Delivery::Assigned(lanes) => {
                    for lane in lanes {
                        member.seek(&lane, 0).await.expect("a seek");
                    }
                }
                Delivery::Revoked(_) => {}
                Delivery::Records(records) => read.extend(values(&records)),
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading).await.expect("the records in time");
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p06_a_hanging_transaction_is_ended_by_an_abort_of_the_same_id() {
    let cluster = connect().await;
    let log = cluster.log();
    let (topic, id) = (topic(&log, 1).await, unique("id"));
    let lane = SourceLane::new(topic.clone(), Lane(0));
    let first = publisher(&log, &id, &topic).await.publish(vec![numbered(0, 1)]).await;
    drop(first.expect("a commit"));
    hang(&cluster, &id, &lane).await;
    assert_eq!(seen(&log, &lane).await, (false, vec!["1".to_owned()]));

    let next = publisher(&log, &id, &topic).await;
    // An epoch is given only when all that the coordinator knows of has its marks.
    assert_eq!(seen(&log, &lane).await, (false, vec!["1".to_owned()]), "a new epoch ends it");
    next.abort_hanging(&[Lane(0)]).await.expect("an abort");
    let next = publisher(&log, &id, &topic).await;
    assert_eq!(seen_at_rest(&log, &lane).await, ["1"]);
    next.publish(vec![numbered(0, 2)]).await.expect("a commit");
    assert_eq!(seen_at_rest(&log, &lane).await, ["1", "2"]);
    assert_eq!(read(&log, &topic, 2).await, ["1", "2"]);
}

/// The running relay is fenced by who left the transaction, takes the next epoch, and finds that it hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p06_a_service_whose_lane_hangs_publishes_again_by_itself() {
    let cluster = connect().await;
    let (log, namespace) = (cluster.log(), unique("hanging"));
    let risks = format!("{namespace}.risk.events");
    cluster.make_topic(&spec(&risks, 1), &[]).await;
    let running = foreign::start(&cluster, &MemoryStore::default(), &namespace).await;
    let lane = SourceLane::new(format!("{namespace}.reviews.events"), Lane(0));
    cluster.produce(&risks, vec![foreign::binary("1", "o-1")]).await;
    let first = read(&log, &lane.topic, 1).await;
    hang(&cluster, &format!("{namespace}.reviews.relay.0"), &lane).await;
    assert_eq!(seen(&log, &lane).await, (false, first.clone()));

    cluster.produce(&risks, vec![foreign::binary("2", "o-2")]).await;
    let both = read(&log, &lane.topic, 2).await;
    assert_eq!((both.len(), &both[..1]), (2, &first[..]));
    assert!(both[1].contains("o-2"), "{both:?}");
    assert_eq!(seen_at_rest(&log, &lane).await, both);
    assert_eq!(running.client().counters().relay_hanging, 1);
    assert!(running.shutdown(DEADLINE).await);
}
