//! Leases (P9).

use std::time::Duration;

use super::state::State;
use crate::{runtime::Timestamp, store::Lease};

/// Kept when it is given back: its token must not start again.
#[derive(Clone)]
pub(super) struct LeaseRow {
    holder: String,
    token: u64,
    expires: Timestamp,
}

impl State {
    pub(super) fn lease(
        &mut self,
        name: &str,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Option<Lease> {
        let row = self.leases.entry(name.to_owned()).or_insert_with(|| LeaseRow {
            holder: String::new(),
            token: 0,
            expires: now,
        });
        let free = row.expires <= now;
        if !free && row.holder != holder {
            return None;
        }
        if free {
            row.token += 1;
            holder.clone_into(&mut row.holder);
        }
        row.expires = now.plus(ttl);
        Some(Lease { token: row.token, ttl })
    }

    pub(super) fn release(&mut self, name: &str, holder: &str) {
        if let Some(row) = self.leases.get_mut(name).filter(|row| row.holder == holder) {
            row.expires = Timestamp(i64::MIN);
        }
    }
}
