//! A broker that loses requests and answers, or holds them up, as a test wants it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use quadrille::log::memory::{ProducerEpoch, PublishHook, PublishStep, StepFate};
use tokio::sync::watch;

use super::World;

/// Stands between the relays and the log.
#[derive(Debug)]
pub struct Broker {
    script: Mutex<VecDeque<(PublishStep, StepFate)>>,
    seen: Mutex<Vec<(ProducerEpoch, PublishStep)>>,
    /// The transactional id whose commits are held up.
    holding: watch::Sender<Option<String>>,
    held: Mutex<usize>,
}

impl Broker {
    /// Puts one between the relays of a world and its log.
    pub fn of(world: &World) -> Arc<Self> {
        let broker = Arc::new(Self {
            script: Mutex::default(),
            seen: Mutex::default(),
            holding: watch::Sender::new(None),
            held: Mutex::default(),
        });
        world.log.set_publish_hook(Some(broker.clone()));
        broker
    }

    /// The next time that this step is asked for, this becomes of it; and so on.
    pub fn script(&self, fates: impl IntoIterator<Item = (PublishStep, StepFate)>) {
        self.script.lock().unwrap().extend(fates);
    }

    /// Who has asked for a step, in order.
    pub fn seen(&self, step: PublishStep) -> Vec<ProducerEpoch> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(_, s)| *s == step).map(|(producer, _)| producer.clone()).collect()
    }

    pub fn script_is_done(&self) -> bool {
        self.script.lock().unwrap().is_empty()
    }

    /// Holds up the next commits of this id.
    pub fn hold(&self, transactional_id: &str) {
        self.holding.send_replace(Some(transactional_id.to_owned()));
    }

    /// Nobody else is held up from now on; who is, stays so.
    pub fn hold_no_more(&self) {
        self.holding.send_if_modified(|id| {
            *id = Some(String::new());
            false
        });
    }

    pub fn resume(&self) {
        self.holding.send_replace(None);
    }

    pub fn held_up(&self) -> usize {
        *self.held.lock().unwrap()
    }
}

#[async_trait]
impl PublishHook for Broker {
    async fn before(&self, producer: &ProducerEpoch, step: PublishStep) -> StepFate {
        // Others may run between any two steps.
        tokio::task::yield_now().await;
        self.seen.lock().unwrap().push((producer.clone(), step));
        let mut holding = self.holding.subscribe();
        let held = holding.borrow().as_deref() == Some(&*producer.transactional_id);
        if held && step == PublishStep::Commit {
            *self.held.lock().unwrap() += 1;
            let _ = holding.wait_for(Option::is_none).await.is_ok();
            *self.held.lock().unwrap() -= 1;
        }
        let mut script = self.script.lock().unwrap();
        match script.front() {
            Some((next, fate)) if *next == step => {
                let fate = *fate;
                script.pop_front();
                fate
            }
            _ => StepFate::Proceed,
        }
    }
}
