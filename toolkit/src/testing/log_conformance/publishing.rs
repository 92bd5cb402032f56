//! What is published is read: in order, byte for byte, and whole.

use bytes::Bytes;

use super::{
    LogUnderTest,
    ground::{ALL, Ground, record, records, unique, values},
};
use crate::{
    id::Lane,
    log::{Header, Headers, NewRecord},
    runtime::Timestamp,
};

/// The records of a lane have increasing offsets, and come in the order of publishing, over many
/// transactions.
pub async fn a_lane_keeps_the_order_of_publishing(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 2).await;
    let mut publisher = ground.publisher().await;
    for round in 0..5 {
        let mut both = records(0, (0..40).map(|n| format!("{round}.{n}")));
        both.extend(records(1, (0..40).map(|n| format!("{round}.{n}"))));
        publisher = publisher.publish(both).await.expect("a commit");
    }
    let expected: Vec<_> = (0..5).flat_map(|r| (0..40).map(move |n| format!("{r}.{n}"))).collect();
    let read = ground.read(400).await;
    assert_eq!(read.len(), 400);
    for lane in [ground.lane(0), ground.lane(1)] {
        let of_lane: Vec<_> = read.iter().filter(|r| r.source == lane).collect();
        assert!(of_lane.is_sorted_by(|a, b| a.offset < b.offset), "offsets must increase");
        assert_eq!(values(of_lane), expected);
    }
}

/// Empty, every byte, and nearly a megabyte; headers in their order, also two of one name.
pub async fn keys_values_and_headers_come_back_byte_for_byte(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    let every_byte: Bytes = (0..=255u8).collect::<Vec<_>>().into();
    let header =
        |name: &'static str, value: &Bytes| Header { name: name.into(), value: value.clone() };
    let large = Bytes::from(vec![0xa5; 900 * 1024]);
    let headers =
        vec![header("b", &every_byte), header("a", &Bytes::new()), header("b", &"last".into())];
    let written = [
        NewRecord { key: Bytes::new(), headers: Headers::default(), ..record(0, Bytes::new()) },
        NewRecord {
            key: every_byte.clone(),
            headers: headers.into(),
            ..record(0, every_byte.clone())
        },
        NewRecord { time: Timestamp(1_234_567_890_123_000), ..record(0, large) },
    ];
    ground.publish(written.to_vec()).await;
    let read = ground.read(written.len()).await;
    let back = ground.back(0, ALL).await.records;
    for (read, written) in read.iter().zip(&written).chain(back.iter().zip(&written)) {
        assert!(read.key == written.key, "the key has changed: {:?}", read.key);
        assert!(read.value == written.value, "the value of {} bytes has changed", read.value.len());
        assert_eq!(read.headers, written.headers);
        assert_eq!(read.time, written.time, "whole milliseconds must survive");
    }
    assert_eq!((read.len(), back.len()), (written.len(), written.len()));
}

/// In a lane where nothing hangs it leaves a mark that nobody sees; the id's next publisher goes on.
pub async fn p06_aborting_what_hangs_touches_nothing_else(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 2).await;
    let publisher = ground.publish(records(0, ["one".to_owned()])).await;
    publisher.abort_hanging(&[]).await.expect("nothing to do");
    let publisher = ground.publisher().await;
    publisher.abort_hanging(&[Lane(0), Lane(1)]).await.expect("an abort");
    for lane in [0, 1] {
        let seen = ground.stable(lane, ALL).await.records;
        assert_eq!(seen.len(), usize::from(lane == 0), "nobody sees what it wrote");
    }
    ground.publish(records(0, ["two".to_owned()])).await;
    assert_eq!(values(&ground.read(2).await), ["one", "two"]);
}

/// No records are no transaction.
pub async fn publishing_nothing_is_fine(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    let publisher = ground.publish(vec![]).await;
    publisher.publish(records(0, ["one".to_owned()])).await.expect("a commit");
    assert_eq!(values(&ground.read(1).await), ["one"]);
}

/// While one writes, nobody ever sees a part of a transaction in a lane; in the end all lanes have all.
pub async fn a_transaction_is_seen_whole_or_not_at_all(under: &dyn LogUnderTest) {
    const TRANSACTIONS: usize = 25;
    const OF_A_LANE: usize = 7;
    const LANES: u32 = 3;
    let ground = Ground::new(under, LANES).await;
    let writing = async {
        let mut publisher = ground.publisher().await;
        for transaction in 0..TRANSACTIONS {
            let names = || (0..OF_A_LANE).map(|n| format!("{transaction}.{n}"));
            let all = (0..LANES).flat_map(|lane| records(lane, names())).collect();
            publisher = publisher.publish(all).await.expect("a commit");
            tokio::task::yield_now().await;
        }
    };
    let looking = async {
        let mut seen = 0;
        while seen < TRANSACTIONS * OF_A_LANE {
            for lane in 0..LANES {
                seen = ground.back(lane, ALL).await.records.len();
                assert_eq!(seen % OF_A_LANE, 0, "a part of a transaction was visible");
            }
            tokio::task::yield_now().await;
        }
    };
    ground.in_time("all transactions", async { tokio::join!(writing, looking) }).await;
    let read = ground.read(TRANSACTIONS * OF_A_LANE * LANES as usize).await;
    assert_eq!(read.len(), TRANSACTIONS * OF_A_LANE * LANES as usize);
}

/// Readers stop at the first open transaction, whatever was committed behind it.
pub async fn p06_nothing_is_stable_behind_an_open_transaction(under: &dyn LogUnderTest) {
    let ground = Ground::new(under, 1).await;
    let open = records(0, ["open".to_owned()]);
    let hanging = unique("hanging");
    ground.publish(records(0, ["before".to_owned()])).await;
    if !under.leave_open(&hanging, &ground.topic, open).await {
        return;
    }
    ground.publish(records(0, ["behind".to_owned()])).await;
    let back = ground.back(0, ALL).await;
    assert_eq!(values(&back.records), ["before"]);
    assert!(!back.stable, "a transaction is open");

    drop(ground.publisher_of(&hanging).await);
    let back = ground.stable(0, ALL).await;
    assert_eq!(values(&back.records), ["before", "behind"]);
    assert_eq!(values(&ground.read(2).await), ["before", "behind"]);
}
