//! The changes of an append, as few statements can make them.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use uuid::Uuid;

use super::{AgendaChange, AgendaItem, AgendaState};
use crate::{id::AgendaId, runtime::Timestamp, store::reason::kept};

/// What becomes of each item, sorted by id. An id is in one of the first three at most, and among those that
/// are put only besides having ended: that is to be done last.
#[derive(Debug, Default, PartialEq)]
pub(in crate::store) struct AgendaPlan<'a> {
    /// They must be there with this token, and go.
    pub(in crate::store) ended: Vec<(AgendaId, Uuid)>,
    /// They go if they are there.
    pub(in crate::store) cleared: Vec<AgendaId>,
    /// They must be there with this token, and stay.
    pub(in crate::store) tried: Vec<Tried<'a>>,
    /// They are there in the end, and nothing of an earlier one.
    pub(in crate::store) put: Vec<&'a AgendaItem>,
}

/// What [`AgendaChange::Update`] says.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct Tried<'a> {
    pub(in crate::store) id: AgendaId,
    pub(in crate::store) token: Uuid,
    pub(in crate::store) due: Timestamp,
    pub(in crate::store) state: AgendaState,
    pub(in crate::store) attempts: u32,
    pub(in crate::store) begun: bool,
    pub(in crate::store) outcome: Option<&'a Bytes>,
    pub(in crate::store) reason: Cow<'a, str>,
}

#[derive(Default)]
struct Fate<'a> {
    token: Option<Uuid>,
    tried: Option<Tried<'a>>,
    cleared: bool,
    put: Option<&'a AgendaItem>,
}

impl<'a> AgendaPlan<'a> {
    pub(in crate::store) fn of(changes: &'a [AgendaChange]) -> Self {
        let mut fates: BTreeMap<AgendaId, Fate<'a>> = BTreeMap::new();
        for change in changes {
            fates.entry(change.id()).or_default().note(change);
        }
        let mut plan = Self::default();
        for (id, fate) in fates {
            plan.add(id, fate);
        }
        plan
    }

    fn add(&mut self, id: AgendaId, fate: Fate<'a>) {
        match fate {
            // What comes after the try leaves nothing of it but its condition.
            Fate { tried: Some(tried), cleared: false, put: None, .. } => self.tried.push(tried),
            Fate { token: Some(token), .. } => self.ended.push((id, token)),
            Fate { cleared: true, put: None, .. } => self.cleared.push(id),
            _ => {}
        }
        self.put.extend(fate.put);
    }
}

impl<'a> Fate<'a> {
    fn note(&mut self, change: &'a AgendaChange) {
        match change {
            AgendaChange::Put(item) => self.put = Some(item),
            AgendaChange::Clear(_) => self.cleared = true,
            AgendaChange::Done { token, .. } => self.token = Some(*token),
            AgendaChange::Update { id, token, due, state, attempts, begun, outcome, reason } => {
                self.token = Some(*token);
                self.tried = Some(Tried {
                    id: *id,
                    token: *token,
                    due: *due,
                    state: *state,
                    attempts: *attempts,
                    begun: *begun,
                    outcome: outcome.as_ref(),
                    reason: kept(reason),
                });
            }
        }
    }
}
