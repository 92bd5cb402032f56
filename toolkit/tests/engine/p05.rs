//! P5: lane numbers are dense, whoever appends.

use crate::harness::*;

#[tokio::test]
async fn p05_numbers_stay_dense_with_two_instances_appending() {
    let world = World::new(2).await;
    let (one, two) = (world.start().await, world.beside().await);
    // Every fifth append of the one fails, one way or the other.
    let pass = [Fault::Pass; 4];
    for fault in [Fault::Conflict, Fault::UnknownLost, Fault::Unavailable, Fault::UnknownCommitted]
    {
        world.store.script(pass);
        world.store.script([fault]);
    }
    let mut announcing = tokio::task::JoinSet::new();
    for n in 0..60 {
        let client = if n % 2 == 0 { one.client.clone() } else { two.client.clone() };
        announcing.spawn(async move {
            let key = format!("b-{}", n % 5);
            let Ok(_) =
                client.execute(&*key.clone(), Announce { key, text: n.to_string() }).await.unwrap();
        });
        tokio::task::yield_now().await;
    }
    announcing.join_all().await;
    let mut total = 0;
    for lane in 0..2 {
        let numbers: Vec<u64> =
            world.in_store(lane).await.into_iter().map(|(seq, _)| seq).collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
        total += numbers.len();
    }
    assert_eq!(total, 60);
    world.level().await;
}
