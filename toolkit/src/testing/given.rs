//! Given, when, then for aggregates: the facts so far, a command, and what it decides.
//!
//! ```
//! # use quadrille::{prelude::*, testing::given};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
//! # struct Account { funds: u64 }
//! # #[derive(Clone, Serialize, Deserialize, DomainEvent)]
//! # #[event(type = "account.funds_set", private)]
//! # struct FundsSet { funds: u64 }
//! # #[derive(Clone, Serialize, Deserialize, DomainEvent)]
//! # #[event(type = "account.captured", private)]
//! # struct Captured { amount: u64 }
//! # impl Aggregate for Account {
//! #     const NAME: &'static str = "account";
//! #     type Id = str;
//! #     type Events = (FundsSet, Captured);
//! # }
//! # impl Apply<FundsSet> for Account { fn apply(&mut self, e: &FundsSet) { self.funds = e.funds; } }
//! # impl Apply<Captured> for Account { fn apply(&mut self, e: &Captured) { self.funds -= e.amount; } }
//! # #[derive(Clone)]
//! # struct Capture { amount: u64 }
//! # #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! # struct NotEnough { missing: u64 }
//! # impl Command for Capture {
//! #     type Aggregate = Account;
//! #     type Emits = (Captured,);
//! #     type Refusal = NotEnough;
//! #     fn decide(self, account: &mut Facts<'_, Self>) -> Result<(), NotEnough> {
//! #         if self.amount > account.funds {
//! #             return Err(NotEnough { missing: self.amount - account.funds });
//! #         }
//! #         account.record(Captured { amount: self.amount });
//! #         Ok(())
//! #     }
//! # }
//! given((FundsSet { funds: 100 },))
//!     .when(Capture { amount: 70 })
//!     .then((Captured { amount: 70 },))
//!     .when(Capture { amount: 70 })
//!     .then_refused(NotEnough { missing: 40 });
//! ```
//!
//! The facts go through their stored form, as they would in a store. The steps have an order that the
//! compiler holds: what was decided must be looked at before the next command.
//!
//! ```compile_fail,E0599
//! # use quadrille::testing::given;
//! given(()).then(());
//! ```

use std::marker::PhantomData;

use bytes::Bytes;
use serde_json::Value;

use crate::{
    aggregate::{Aggregate, Command, Draft, Facts},
    event::DomainEvent,
    id::StreamId,
    list::FactList,
};

/// Events as a tuple, in order: `()`, `(FundsSet { … },)`, up to six.
pub trait Events {
    /// Each event's type name and stored payload.
    #[doc(hidden)]
    fn stored(&self) -> Vec<(&'static str, Bytes)>;
}

macro_rules! events {
    ($($name:ident $index:tt),*) => {
        impl<$($name: DomainEvent),*> Events for ($($name,)*) {
            fn stored(&self) -> Vec<(&'static str, Bytes)> {
                vec![$(($name::TYPE, payload(&self.$index))),*]
            }
        }
    };
}

events!();
events!(A 0);
events!(A 0, B 1);
events!(A 0, B 1, C 2);
events!(A 0, B 1, C 2, D 3);
events!(A 0, B 1, C 2, D 3, E 4);
events!(A 0, B 1, C 2, D 3, E 4, F 5);

fn payload<E: DomainEvent>(event: &E) -> Bytes {
    match serde_json::to_vec(event) {
        Ok(bytes) => bytes.into(),
        Err(error) => panic!("{} cannot be serialised: {error}", E::TYPE),
    }
}

/// Starts with what has happened so far.
#[must_use = "ask something: `.when(command)`"]
pub fn given(history: impl Events) -> Given {
    Given { history: history.stored() }
}

/// What has happened so far; next comes [`when`](Self::when).
#[derive(Debug)]
pub struct Given {
    history: Vec<(&'static str, Bytes)>,
}

impl Given {
    /// Lets the aggregate decide a command.
    ///
    /// # Panics
    /// When a fact so far is not one of the aggregate's, or a decided one does not survive storing.
    pub fn when<C: Command>(self, command: C) -> Decided<C> {
        let mut history = self.history;
        let mut state = fold::<C::Aggregate>(&history);
        let before = image(&state);
        let mut decided = crate::aggregate::Recorded::default();
        let stream = StreamId::from_stored(C::Aggregate::NAME);
        let answer = command.decide(&mut Facts::new(&mut state, &mut decided, &stream));
        let recorded = match &answer {
            Ok(()) => {
                assert_eq!(decided.fault, None);
                let recorded: Vec<_> = decided.drafts.iter().map(stored).collect();
                history.extend(recorded.iter().cloned());
                assert_eq!(
                    image(&fold::<C::Aggregate>(&history)),
                    image(&state),
                    "the state that is folded from storage differs from the one that was decided on"
                );
                recorded
            }
            Err(_) => vec![],
        };
        let changed = answer.is_ok() && image(&state) != before;
        Decided { history, recorded, answer, changed, _command: PhantomData }
    }

    /// The state that the facts so far fold to.
    ///
    /// # Panics
    /// When a fact is not one of the aggregate's.
    #[must_use]
    pub fn state<A: Aggregate>(&self) -> A {
        fold(&self.history)
    }
}

/// What was decided; next comes one of the `then`s.
#[derive(Debug)]
#[must_use = "say what you expect: `.then(events)` or `.then_refused(why)`"]
pub struct Decided<C: Command> {
    history: Vec<(&'static str, Bytes)>,
    recorded: Vec<(&'static str, Bytes)>,
    answer: Result<(), C::Refusal>,
    changed: bool,
    _command: PhantomData<fn(C)>,
}

impl<C: Command> Decided<C> {
    /// Expects exactly these events, in order.
    ///
    /// # Panics
    /// When it was otherwise.
    pub fn then(self, expected: impl Events) -> Given {
        if let Err(refusal) = &self.answer {
            panic!("expected events, but it was refused: {refusal:?}");
        }
        assert_eq!(readable(&self.recorded), readable(&expected.stored()), "recorded ≠ expected");
        Given { history: self.history }
    }

    /// Expects no refusal and no event.
    ///
    /// # Panics
    /// When it was otherwise.
    pub fn then_nothing(self) -> Given {
        assert!(!self.changed, "no event would explain the changed state");
        self.then(())
    }

    /// Expects this refusal.
    ///
    /// # Panics
    /// When it was otherwise.
    pub fn then_refused(self, expected: C::Refusal) -> Given
    where
        C::Refusal: PartialEq,
    {
        match self.answer {
            Err(refusal) => assert_eq!(refusal, expected, "refused otherwise than expected"),
            Ok(()) => panic!(
                "expected the refusal {expected:?}, but it recorded {:?}",
                readable(&self.recorded)
            ),
        }
        Given { history: self.history }
    }
}

fn fold<A: Aggregate>(history: &[(&'static str, Bytes)]) -> A {
    let mut state = A::default();
    for (event_type, payload) in history {
        match A::Events::apply(&mut state, event_type, payload) {
            Some(Ok(())) => {}
            Some(Err(error)) => panic!("{event_type} does not read what it wrote: {error}"),
            None => panic!("{event_type} is not among the `Events` of the aggregate {:?}", A::NAME),
        }
    }
    state
}

fn image<A: Aggregate>(state: &A) -> Value {
    serde_json::to_value(state).unwrap_or_else(|e| panic!("{} has no snapshot: {e}", A::NAME))
}

fn stored(draft: &Draft) -> (&'static str, Bytes) {
    assert_eq!(draft.fault, None);
    (draft.event_type, draft.payload.clone())
}

fn readable(events: &[(&'static str, Bytes)]) -> Vec<String> {
    events
        .iter()
        .map(|(name, payload)| format!("{name} {}", String::from_utf8_lossy(payload)))
        .collect()
}
