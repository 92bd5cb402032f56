//! P9: leases that expire by the store's clock.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{StorePlace, fixtures::*};

const LONG: Duration = Duration::from_secs(600);

/// One holder at a time; its token stays while it extends, and rises when the lease changes hands.
pub async fn p09_a_lease_has_one_holder(place: &dyn StorePlace) {
    let (first, second) = (open(place).await, open(place).await);
    let lease = first.lease("relay.0", "a", LONG).await.unwrap().unwrap();
    assert_eq!(lease.ttl, LONG);
    assert_eq!(second.lease("relay.0", "b", LONG).await.unwrap(), None);
    assert_eq!(first.lease("relay.0", "a", LONG).await.unwrap(), Some(lease), "extended");
    assert!(second.lease("relay.1", "b", LONG).await.unwrap().is_some(), "another lease");

    second.release("relay.0", "b").await.unwrap();
    assert_eq!(second.lease("relay.0", "b", LONG).await.unwrap(), None, "it was not b's to give");
    first.release("relay.0", "a").await.unwrap();
    let stolen = second.lease("relay.0", "b", LONG).await.unwrap().unwrap();
    assert!(stolen.token > lease.token);
    first.release("relay.0", "a").await.unwrap();
    assert_eq!(
        first.lease("relay.0", "a", LONG).await.unwrap(),
        None,
        "lost before it was released"
    );
    second.release("relay.0", "b").await.unwrap();
    second.release("nobody's", "b").await.unwrap();
    let back = first.lease("relay.0", "a", LONG).await.unwrap().unwrap();
    assert!(back.token > stolen.token, "a token never comes again");
}

/// A holder that no longer extends loses it to the next that asks.
pub async fn p09_a_lease_expires(place: &dyn StorePlace) {
    let store = open(place).await;
    let ttl = Duration::from_millis(300);
    let asked = Instant::now();
    let lease = store.lease("l", "a", ttl).await.unwrap().unwrap();
    let stolen = loop {
        if let Some(stolen) = store.lease("l", "b", LONG).await.unwrap() {
            break stolen;
        }
        assert!(asked.elapsed() < DEADLINE, "it does not expire");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    // A clock that counts milliseconds may round by one.
    assert!(asked.elapsed() + Duration::from_millis(2) >= ttl, "it expired early");
    assert!(stolen.token > lease.token);
    assert_eq!(store.lease("l", "a", ttl).await.unwrap(), None);
}

/// Several that ask at the same moment: one gets it.
pub async fn p09_one_of_many_gets_a_lease(place: &dyn StorePlace) {
    let (first, second) = (open(place).await, open(place).await);
    for round in 0..10 {
        let mut tasks = JoinSet::new();
        for task in 0..4 {
            let store = if task % 2 == 0 { first.clone() } else { second.clone() };
            tasks.spawn(async move {
                let (name, holder) = (format!("l{round}"), format!("h{task}"));
                let since = Instant::now();
                loop {
                    match store.lease(&name, &holder, LONG).await {
                        Ok(lease) => return lease.is_some(),
                        Err(error) => assert!(since.elapsed() < DEADLINE, "{error}"),
                    }
                }
            });
        }
        let won = tasks.join_all().await.into_iter().filter(|won| *won).count();
        assert_eq!(won, 1);
    }
}
