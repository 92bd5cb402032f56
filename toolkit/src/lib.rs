//! Choreographed sagas over an event log, with an event-sourcing store.
//!
//! A *service* is an event-sourced participant. It says in its types which events it consumes,
//! what it may record because of them, and how each of its compensatable steps is undone:
//!
//! * [`DomainEvent`] is a fact; [`Aggregate`] and [`Command`] decide facts.
//! * [`EventHandler`] reacts to the events of others; [`Undo`] compensates a step.
//! * [`Turn`] is the only way a handler changes anything.
//! * [`EventStore`](store::EventStore) and [`EventLog`](log::EventLog) are the two ports to the
//!   world; [`Engine`](engine::Engine) runs a service between them.
//!
//! `ARCHITECTURE.md` in the repository shows an event's way through these rooms, and the home of
//! each protocol rule P1 to P17.

// A panic in a handler is a bug in one message, not the end of the lane (P12); that needs unwinding.
#[cfg(panic = "abort")]
compile_error!(
    "quadrille turns a handler's panic into a dead letter: build with panic = \"unwind\""
);

#[allow(unused_extern_crates)] // The macros name the crate, also inside it.
extern crate self as quadrille;

pub mod aggregate;
pub mod alert;
pub mod barrier;
pub mod choreography;
pub mod effect;
pub mod engine;
pub mod error;
pub mod event;
pub mod handler;
#[cfg(feature = "http")]
pub mod http;
pub mod id;
mod list;
pub mod log;
#[cfg(feature = "mutants")]
pub mod mutant;
#[cfg(not(feature = "mutants"))]
mod mutant;
pub mod operator;
#[cfg(feature = "outside")]
pub mod outside;
#[cfg(feature = "process")]
pub mod process;
pub mod runtime;
pub mod service;
pub mod store;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod turn;
#[cfg(feature = "webhook")]
pub mod webhook;

#[doc(hidden)]
pub mod __private;

pub use aggregate::{Aggregate, Apply, Command, Facts, NoRefusal};
pub use effect::Performer;
pub use error::{HandlerError, TerminalExt};
pub use event::{Deadline, DomainEvent, Effect, Incoming};
pub use handler::{Cause, EventHandler, Undo};
pub use quadrille_macros::{DomainEvent, handler};
pub use service::{Compensatable, Pivot, Retriable, Service};
pub use turn::{Forestall, Turn};

/// What a service's author imports.
pub mod prelude {
    pub use crate::{
        Aggregate, Apply, Cause, Command, Compensatable, Deadline, DomainEvent, Effect,
        EventHandler, Facts, Forestall, HandlerError, Incoming, NoRefusal, Performer, Pivot,
        Retriable, Service, TerminalExt, Turn, Undo, handler,
    };
}
