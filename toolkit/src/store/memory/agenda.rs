//! The agenda: what is due, who has claimed it, and how an append changes it.

use super::state::State;
use crate::{
    mutant::{Mutant, broken},
    runtime::Timestamp,
    store::{
        AgendaChange, AgendaClaim, AgendaItem, AgendaKind, AgendaQuery, AgendaState, Append,
        AppendError, reason::kept,
    },
};

#[derive(Clone)]
pub(super) struct AgendaRow {
    pub(super) item: AgendaItem,
    /// Until when a claim keeps others away, by the store's clock.
    leased: Option<Timestamp>,
}

impl State {
    pub(super) fn check_agenda(&self, append: &Append) -> Result<(), AppendError> {
        let changed = |change: &&AgendaChange| match change {
            AgendaChange::Done { id, token } | AgendaChange::Update { id, token, .. } => {
                self.agenda.get(id).is_none_or(|row| row.item.token != *token)
            }
            AgendaChange::Put(_) | AgendaChange::Clear(_) => false,
        };
        let ids: Vec<_> = append.agenda.iter().filter(changed).map(AgendaChange::id).collect();
        let fits = ids.is_empty() || broken(Mutant::ClaimUnchecked);
        if fits { Ok(()) } else { Err(AppendError::AgendaChanged { ids }) }
    }

    pub(super) fn write_agenda(&mut self, append: &Append) {
        let endings =
            |c: &AgendaChange| matches!(c, AgendaChange::Done { .. } | AgendaChange::Update { .. });
        let clears = |c: &AgendaChange| matches!(c, AgendaChange::Clear(_));
        let puts = |c: &AgendaChange| matches!(c, AgendaChange::Put(_));
        append.agenda.iter().filter(|c| endings(c)).for_each(|c| self.write_change(c));
        append.agenda.iter().filter(|c| clears(c)).for_each(|c| self.write_change(c));
        append.agenda.iter().filter(|c| puts(c)).for_each(|c| self.write_change(c));
    }

    fn write_change(&mut self, change: &AgendaChange) {
        match change {
            AgendaChange::Put(item) => {
                let reason = kept(&item.reason).into_owned();
                let row =
                    AgendaRow { item: AgendaItem { reason, ..(**item).clone() }, leased: None };
                self.agenda.insert(item.id, row);
            }
            AgendaChange::Clear(id) | AgendaChange::Done { id, .. } => {
                self.agenda.remove(id);
            }
            AgendaChange::Update { id, due, state, attempts, begun, outcome, reason, .. } => {
                let Some(row) = self.agenda.get_mut(id) else { return };
                row.leased = None;
                row.item = AgendaItem {
                    due: *due,
                    state: *state,
                    attempts: *attempts,
                    begun: *begun,
                    outcome: outcome.clone(),
                    reason: kept(reason).into_owned(),
                    ..row.item.clone()
                };
            }
        }
    }

    pub(super) fn claim_agenda(&mut self, claim: &AgendaClaim, now: Timestamp) -> Vec<AgendaItem> {
        let due = |row: &&mut AgendaRow| {
            row.item.kind == claim.kind
                && row.item.state == AgendaState::Pending
                && row.item.due <= claim.now
                && row.leased.is_none_or(|until| until <= now)
                && claim.names.contains(&row.item.name)
        };
        let mut rows: Vec<&mut AgendaRow> = self.agenda.values_mut().filter(due).collect();
        rows.sort_by_key(|row| (row.item.due, row.item.id));
        rows.truncate(claim.limit);
        let claimed = rows.into_iter().map(|row| {
            let begun = row.item.begun;
            row.leased = Some(now.plus(claim.lease));
            row.item.token = claim.token;
            row.item.begun = begun || row.item.kind == AgendaKind::Effect;
            AgendaItem { begun, ..row.item.clone() }
        });
        claimed.collect()
    }

    pub(super) fn agenda_items(&self, query: &AgendaQuery) -> Vec<AgendaItem> {
        let mut items: Vec<AgendaItem> = self
            .agenda
            .values()
            .map(|row| &row.item)
            .filter(|item| query.state.is_none_or(|state| item.state == state))
            .filter(|item| query.saga.is_none_or(|saga| item.saga == saga))
            .cloned()
            .collect();
        items.sort_by_key(|item| (item.due, item.id));
        items.truncate(query.limit);
        items
    }
}
