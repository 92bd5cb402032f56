//! P7: after every abort or doubt, a new epoch; what is in doubt is read from the tail.

use std::sync::Mutex;

use async_trait::async_trait;
use quadrille::log::memory::{MemoryLog, ProducerEpoch, PublishHook, Refused};

use crate::harness::*;

async fn announce(trial: &Instance, count: usize) {
    for n in 0..count {
        let announce = Announce { key: "b".into(), text: n.to_string() };
        let Ok(_) = trial.client.execute("b", announce).await.unwrap();
    }
}

/// Every step, each way of failing: whether it was done or not, nothing is doubled and nothing lost.
#[tokio::test]
async fn p07_after_a_doubt_nothing_is_doubled_or_lost_and_the_epoch_is_new() {
    for step in [PublishStep::Begin, PublishStep::Produce(0), PublishStep::Commit] {
        for fate in [StepFate::LoseRequest, StepFate::LoseReply] {
            let world = World::new(1).await;
            let broker = Broker::of(&world);
            broker.script([(step, fate)]);
            let trial = world.start().await;
            announce(&trial, 3).await;
            until_true("the doubt", || async { trial.client.counters().relay_doubts == 1 }).await;
            announce(&trial, 3).await;
            world.level().await;
            assert!(broker.script_is_done());
            let epochs: Vec<u64> =
                broker.seen(step).iter().map(|producer| producer.epoch).collect();
            assert!(
                epochs.iter().skip(1).all(|epoch| *epoch == epochs[0] + 1),
                "{step:?} {fate:?}: {epochs:?}"
            );
        }
    }
}

/// Doubt upon doubt.
#[tokio::test]
async fn p07_many_doubts_in_a_row_end_well() {
    let world = World::with(2, |config| config.limits.relay_records_max = 4).await;
    let broker = Broker::of(&world);
    for n in 0..40 {
        let step = [PublishStep::Commit, PublishStep::Produce(1), PublishStep::Commit][n % 3];
        let fate = [StepFate::LoseReply, StepFate::LoseRequest][n % 2];
        broker.script([(step, fate)]);
    }
    let trial = world.start().await;
    for n in 0..200 {
        let key = format!("b-{}", n % 7);
        let Ok(_) = trial
            .client
            .execute(&*key.clone(), Announce { key, text: n.to_string() })
            .await
            .unwrap();
    }
    world.level().await;
    assert!(trial.client.counters().relay_doubts > 10);
}

/// A commit that the network delivers late, in the middle of a later transaction.
#[derive(Debug)]
struct LateEnd {
    log: MemoryLog,
    lost: Mutex<Option<ProducerEpoch>>,
    late: Mutex<Option<Result<(), Refused>>>,
}

#[async_trait]
impl PublishHook for LateEnd {
    async fn before(&self, producer: &ProducerEpoch, step: PublishStep) -> StepFate {
        let mut lost = self.lost.lock().unwrap();
        match (step, &*lost) {
            (PublishStep::Commit, None) => {
                *lost = Some(producer.clone());
                StepFate::LoseRequest
            }
            // The second record is not written yet: half a transaction would be committed.
            (PublishStep::Produce(1), Some(first)) => {
                let late = self.log.end(first, true);
                self.late.lock().unwrap().get_or_insert(late);
                StepFate::Proceed
            }
            _ => StepFate::Proceed,
        }
    }
}

#[tokio::test]
async fn p07_a_late_end_does_not_end_a_later_transaction() {
    let world = World::new(1).await;
    let setup = world.beside().await;
    announce(&setup, 3).await;
    setup.kill().await;
    world.leases_expire();
    world.log.recreate_topic(&world.topic("trial"));
    let hook = Arc::new(LateEnd {
        log: world.log.clone(),
        lost: Mutex::default(),
        late: Mutex::default(),
    });
    world.log.set_publish_hook(Some(hook.clone()));
    let _trial = world.start().await;
    world.level().await;
    let late = hook.late.lock().unwrap().clone().expect("the end came late");
    assert!(matches!(late, Err(Refused::Fenced(_))), "{late:?}");
}
