//! For the macros. Not part of the public API.
//!
//! The macros ask how often a list names an event, and say in the user's words what is wrong. (A trait
//! bound could say that an event is missing; that it is there twice, the compiler reports only as
//! "type annotations needed".)

pub use crate::list::slots::{CommandSlots, Differs, Empty, Pair};
pub use crate::list::{
    AcceptedBy, ChangeOf, CommandList, DeclaredIn, EventList, FactList, FactOf, HandlerList,
    Permitted, StepList, StepNames, Within,
};
pub use schemars;

use crate::{
    event::{DomainEvent, EventKind, Visibility},
    handler::{EventHandler, Undo},
    list::names,
    service::Service,
};

/// How often the service handles the event `E`.
#[must_use]
pub const fn handled<S: Service, E: DomainEvent>() -> usize {
    names::count(<S::Handles as EventList>::TYPES, E::TYPE)
}

/// Whether `E` is the first event that the service handles: what concerns the whole service is said there.
#[must_use]
pub const fn handled_first<S: Service, E: DomainEvent>() -> bool {
    let handles = <S::Handles as EventList>::TYPES;
    !handles.is_empty() && names::count(&[handles[0]], E::TYPE) == 1
}

/// Whether the event reaches handlers: from the log, at its time, or as the outcome of an effect.
#[must_use]
pub const fn reaches_handlers<E: DomainEvent>() -> bool {
    <E::Visibility as Visibility>::PUBLIC
        || matches!(E::KIND, EventKind::Deadline)
        || is_outcome::<E>()
}

/// Whether the event is the outcome of an effect.
#[must_use]
pub const fn is_outcome<E: DomainEvent>() -> bool {
    matches!(E::KIND, EventKind::Outcome)
}

/// Whether the service lists the step `E` as compensatable.
#[must_use]
pub const fn undoable<S: Service, E: DomainEvent>() -> bool {
    names::count(<S::Steps as StepNames>::COMPENSATABLE, E::TYPE) > 0
}

/// Stops the compilation when a handler's list names an event twice, or when the service lists one of
/// the steps that it performs twice.
#[track_caller]
pub const fn assert_handler_lists<S: EventHandler<E>, E: DomainEvent>() {
    let emits = <S::Emits as EventList>::TYPES;
    names::assert_each_once(emits);
    let mut at = 0;
    while at < emits.len() {
        if names::count(<S::Steps as StepNames>::STEPS, emits[at]) > 1 {
            names::stop(&[
                "the step `",
                emits[at],
                "` is listed twice in `type Steps` of the service `",
                S::NAME,
                "`; list it once: a step has one kind",
            ]);
        }
        at += 1;
    }
}

/// Stops the compilation when one of a compensation's lists names an event twice.
#[track_caller]
pub const fn assert_undo_lists<S: Undo<E>, E: DomainEvent>() {
    names::assert_each_once(<S::Because as EventList>::TYPES);
    names::assert_each_once(<S::Emits as EventList>::TYPES);
}
