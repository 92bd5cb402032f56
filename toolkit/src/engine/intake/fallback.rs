//! Positions that the store has lost, seen by an intake that has nothing to do.

use super::Running;
use crate::{id::SourceLane, runtime::Timestamp, service::Service, store::Position};

impl<S: Service> Running<S> {
    /// Whoever moves a position learns by its compare-and-set that the store has an older one (P2). Whoever
    /// only waits must look: a fail-over may have lost nothing but positions, and what was applied under
    /// them.
    pub(super) fn next_look_at_positions(&self) -> Option<Timestamp> {
        (!self.draining && self.parts.decider.lanes.len() > 0).then_some(self.look_at_positions)
    }

    pub(super) async fn look_at_positions(&mut self) {
        let now = self.parts.runtime.clock.now();
        if self.next_look_at_positions().is_none_or(|at| now < at) {
            return;
        }
        self.look_at_positions = now.plus(self.parts.limits.lease_ttl);
        // What is under way would be compared with a store that has it already, or not yet.
        if !self.parts.decider.is_idle() || !self.commit.is_idle() {
            return;
        }
        let store = self.parts.store.clone();
        let Ok(stored) = self.alongside(async move { store.positions().await }).await else {
            // Claims, appends and the agenda say that the store does not answer.
            return;
        };
        for (lane, at) in &mut self.assigned {
            let stored = stored.iter().find(|(source, _)| source == lane);
            let stored = stored.map(|(_, position)| position);
            if is_behind(stored, &self.parts.decider.lanes, lane) {
                tracing::warn!(%lane, "the store has an older position than was committed: claimed again");
                *at = Some(now);
            }
        }
    }
}

/// Whether the store has a position from before our last commit; one that is ahead is another owner's. A lane
/// without numbers has its offset alone (P4).
fn is_behind(
    stored: Option<&Position>,
    lanes: &crate::engine::lanes::LaneBook,
    lane: &SourceLane,
) -> bool {
    let Some(ours) = lanes.guard(lane) else { return false };
    let Some(stored) = stored else { return true };
    stored.last_seq < ours.seq || (ours.seq == 0 && stored.next_offset < ours.next_offset)
}
