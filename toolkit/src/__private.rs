//! For the macros. Not part of the public API.

pub use crate::list::{
    Accepts, CommandList, Declares, EventList, FactList, HandlerList, Lists, Permitted, StepList,
    Undoes, Within,
};
pub use schemars;

use crate::{event::DomainEvent, service::Service};

/// Compiles only when the service lists the event it handles.
pub const fn assert_handled<S: Service, E: DomainEvent, I>()
where
    S::Handles: Lists<E, I>,
{
}

/// Compiles only when the service lists the step that it undoes.
pub const fn assert_undoable<S: Service, E: DomainEvent, I>()
where
    S::Steps: Undoes<E, I>,
{
}
