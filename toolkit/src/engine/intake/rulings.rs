//! What persons have ruled on dead letters, seen by a running engine.

use super::Running;
use crate::{
    engine::decider::Work,
    runtime::Timestamp,
    service::Service,
    store::{LetterId, RulingQuery},
};

/// Rulings that are read at once.
const RULINGS_MAX: usize = 100;

/// How far the rulings were read.
#[derive(Debug, Default)]
pub(super) struct Rulings {
    /// The last number that was seen; `None` before the first look.
    seen: Option<u64>,
    look_at: Timestamp,
}

impl<S: Service> Running<S> {
    pub(super) fn next_look_for_rulings(&self) -> Option<Timestamp> {
        (!self.draining && self.waits_for_a_person()).then_some(self.rulings.look_at)
    }

    /// A message that was set aside does not show in the lanes; so the first look comes also without a dead key.
    fn waits_for_a_person(&self) -> bool {
        let decider = &self.parts.decider;
        self.rulings.seen.is_none() || decider.lanes.any_dead() || decider.sets_aside()
    }

    /// Keys on which a person has ruled are tried again. What was ruled before the lanes were claimed shows in
    /// the claim.
    pub(super) async fn look_for_rulings(&mut self) {
        let now = self.parts.runtime.clock.now();
        if !self.waits_for_a_person() || now < self.rulings.look_at {
            return;
        }
        self.rulings.look_at = now.plus(self.parts.limits.rulings_poll_every);
        let query =
            RulingQuery { after: self.rulings.seen.unwrap_or(0), saga: None, limit: RULINGS_MAX };
        let store = self.parts.store.clone();
        let Ok(rulings) = self.alongside(async move { store.rulings(&query).await }).await else {
            return;
        };
        if rulings.len() == RULINGS_MAX {
            self.rulings.look_at = now;
        }
        self.rulings.seen =
            Some(rulings.last().map_or(self.rulings.seen.unwrap_or(0), |r| r.number));
        for ruling in rulings {
            let LetterId::Message { source, .. } = ruling.letter else { continue };
            let Some(mark) = self.parts.decider.lanes.accepted(&source) else { continue };
            let key = ruling.key.into();
            self.parts.decider.push(Work::Ruled { source, key, epoch: mark.epoch });
        }
    }
}
