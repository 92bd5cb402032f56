//! What is tried outside, seen from there: whether an engine that may have done a thing asks before it does
//! it again (P14).

use std::collections::{BTreeMap, BTreeSet};

use super::{executor::GroupId, node::Node, report::Broken};
use crate::{effect::Call, id::AgendaId};

#[derive(Debug, Default)]
pub(super) struct Tries(BTreeMap<AgendaId, Tried>);

/// One effect.
#[derive(Debug, Default)]
struct Tried {
    /// Lives that have asked and not yet sent, with the number of their try.
    asked: BTreeSet<(GroupId, u32)>,
    /// By number of a try: how often it was sent without asking. The first claim of a try may.
    unasked: BTreeMap<u32, u32>,
    /// By number of a try: who made it.
    lives: BTreeMap<u32, BTreeSet<GroupId>>,
    /// Tries that have got no answer.
    unknown: BTreeSet<u32>,
}

impl Tries {
    pub(super) fn asks(&mut self, life: GroupId, call: &Call) {
        let tried = self.0.entry(call.key).or_default();
        tried.asked.insert((life, call.attempt));
        tried.lives.entry(call.attempt).or_default().insert(life);
    }

    pub(super) fn unknown(&mut self, life: GroupId, call: &Call) {
        let tried = self.0.entry(call.key).or_default();
        // Where two instances make the same try, it counts what the later claim knows.
        if tried
            .lives
            .get(&call.attempt)
            .is_some_and(|lives| lives.len() == 1 && lives.contains(&life))
        {
            tried.unknown.insert(call.attempt);
        }
    }

    /// What is wrong with sending this.
    fn sends(&mut self, life: GroupId, call: &Call) -> Option<String> {
        let tried = self.0.entry(call.key).or_default();
        tried.lives.entry(call.attempt).or_default().insert(life);
        if tried.asked.remove(&(life, call.attempt)) {
            return None;
        }
        let unasked = tried.unasked.entry(call.attempt).or_default();
        *unasked += 1;
        if *unasked > 1 {
            return Some(format!(
                "try {} of {} was sent {unasked} times, and nobody asked in between",
                call.attempt, call.key
            ));
        }
        let before = tried.unknown.range(..call.attempt).next_back()?;
        Some(format!(
            "try {} of {} was sent without asking, and try {before} had no answer",
            call.attempt, call.key
        ))
    }
}

/// A request reaches the outside.
pub(super) fn performs(node: &Node, call: &Call) {
    let core = node.core();
    core.tell(node.place(), || {
        let count = call.attempt;
        format!("calls outside: try {count} of {}", call.key)
    });
    // A store that fell back has forgotten what was tried.
    if core.witness().fell_back(node.service()) {
        return;
    }
    let wrong = core.tries().sends(node.group(), call);
    if let Some(wrong) = wrong {
        let name = "what may have been done outside is asked for before it is sent again";
        core.fail(Broken::invariant(name, wrong));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::SagaId, runtime::Timestamp};

    const A: GroupId = GroupId(1);
    const B: GroupId = GroupId(2);

    fn call(attempt: u32) -> Call {
        Call {
            key: AgendaId::named("effect"),
            saga: SagaId(uuid::Uuid::nil()),
            attempt,
            requested_at: Timestamp(0),
            trace: None,
            trace_state: None,
        }
    }

    #[test]
    fn the_first_try_is_sent_and_what_follows_a_refusal_too() {
        let mut tries = Tries::default();
        assert_eq!(tries.sends(A, &call(1)), None);
        assert_eq!(tries.sends(B, &call(2)), None);
    }

    #[test]
    fn what_got_no_answer_is_asked_for() {
        let mut tries = Tries::default();
        assert_eq!(tries.sends(A, &call(1)), None);
        tries.unknown(A, &call(1));
        assert!(tries.sends(A, &call(2)).is_some_and(|wrong| wrong.contains("without asking")));
        tries.asks(A, &call(3));
        assert_eq!(tries.sends(A, &call(3)), None);
    }

    #[test]
    fn of_two_who_make_the_same_try_one_asks() {
        let mut tries = Tries::default();
        tries.asks(B, &call(1));
        assert_eq!(tries.sends(B, &call(1)), None);
        assert_eq!(
            tries.sends(A, &call(1)),
            None,
            "the first to claim it, and the last to wake up"
        );
        assert!(tries.sends(B, &call(1)).is_some_and(|wrong| wrong.contains("2 times")));
    }
}
