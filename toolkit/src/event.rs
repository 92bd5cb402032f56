//! Events: what a service states as a fact, and what reaches a handler.

use std::{fmt, ops::Deref, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    id::{EventId, SagaId, SourceLane},
    runtime::Timestamp,
};

/// A fact with a type name and a JSON payload. Implement it by `#[derive(DomainEvent)]`:
///
/// ```
/// # use quadrille::DomainEvent;
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// /// Goes to the log, under the order's key. `source` names the service that states it.
/// #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, DomainEvent)]
/// #[event(type = "BILLED_ORDER", key = order, source = "payment")]
/// struct BilledOrder { order: String, amount: u64 }
///
/// /// Stays in the store: an account's own business.
/// #[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
/// #[event(type = "account.captured", private)]
/// struct Captured { amount: u64 }
/// # assert_eq!(BilledOrder::TYPE, "BILLED_ORDER");
/// # assert!(Captured { amount: 1 }.key().is_none());
/// ```
///
/// # Contract
/// `TYPE` is stored with every event: renaming it makes the stored ones unreadable. Serialisation
/// must not fail, and the payload is made once, when the event is decided; it is never made again.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a domain event",
    note = "derive it: `#[derive(DomainEvent)]` with `#[event(type = \"…\", key = field)]`, or `#[event(type = \"…\", private)]`"
)]
pub trait DomainEvent: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// [`Public`] or [`Private`].
    type Visibility: Visibility;
    /// The type name in stores and on the log, such as `ORDER_CREATED`.
    const TYPE: &'static str;
    /// The one service that states this event, when its declaration says so.
    const SOURCE: Option<&'static str>;
    /// Whether it is a plain fact, a deadline, or the request of an effect.
    const KIND: EventKind = EventKind::Fact;
    /// The saga's business key: public events have one, and go to the lane that it hashes to; deadlines
    /// and effects have one, under which they are handled.
    fn key(&self) -> Option<String>;
    /// The JSON Schema of the payload; public events have one.
    fn schema() -> Option<schemars::Schema>;
}

/// What an event is to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A fact, public or private.
    Fact,
    /// A [`Deadline`].
    Deadline,
    /// An [`Effect`].
    Effect {
        /// The type name of the event that brings its outcome.
        outcome: &'static str,
    },
    /// The outcome of an [`Effect`].
    Outcome,
}

/// An event of the future: it is set in a turn, stored with the append, and comes back to this
/// service's [`EventHandler`](crate::EventHandler) at its time, exactly once (P13), unless it is
/// cleared before. Derive it:
///
/// ```
/// # use quadrille::DomainEvent;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
/// #[event(type = "order.time_is_up", deadline, key = order)]
/// struct TimeIsUp { order: String }
/// ```
///
/// There is at most one of a type under a key: setting it again moves it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a deadline",
    note = "derive it: `#[derive(DomainEvent)]` with `#[event(type = \"…\", deadline, key = field)]`"
)]
pub trait Deadline: DomainEvent {}

/// A request to the world outside: recorded in a turn, carried out after the commit by a
/// [`Performer`](crate::effect::Performer), at least once, under a key that stays the same (P14). Its
/// outcome comes back as an event to this service's [`EventHandler`](crate::EventHandler). Derive it:
///
/// ```
/// # use quadrille::DomainEvent;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
/// #[event(type = "payment.charge", effect = Charged, key = order)]
/// struct Charge { order: String, amount: u64 }
///
/// #[derive(Clone, Debug, Serialize, Deserialize, DomainEvent)]
/// #[event(type = "payment.charged", outcome)]
/// enum Charged { Approved, Declined }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an effect",
    note = "derive it: `#[derive(DomainEvent)]` with `#[event(type = \"…\", effect = Outcome, key = field)]`"
)]
pub trait Effect: DomainEvent {
    /// What is known when it is done. A refusal by the outside is an outcome; that nobody knows is not.
    type Outcome: DomainEvent;
}

/// Marks events that go to the log.
#[derive(Debug, Clone, Copy)]
pub enum Public {}
/// Marks events that stay in the store.
#[derive(Debug, Clone, Copy)]
pub enum Private {}

/// Whether an event leaves its service: [`Public`] or [`Private`].
pub trait Visibility: sealed::Sealed + 'static {
    /// True for [`Public`].
    const PUBLIC: bool;
}
impl Visibility for Public {
    const PUBLIC: bool = true;
}
impl Visibility for Private {
    const PUBLIC: bool = false;
}
mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Public {}
    impl Sealed for super::Private {}
}

/// What the graph knows of an event type.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct EventDescription {
    /// Its type name.
    pub event_type: &'static str,
    /// Whether it goes to the log.
    pub public: bool,
    /// Whether it is a fact, a deadline or an effect.
    pub kind: EventKind,
    /// The service that states it, when its declaration says so.
    pub source: Option<&'static str>,
    /// Makes its JSON Schema.
    pub schema: fn() -> Option<schemars::Schema>,
}

impl EventDescription {
    /// Describes an event type.
    #[must_use]
    pub fn of<E: DomainEvent>() -> Self {
        Self {
            event_type: E::TYPE,
            public: E::Visibility::PUBLIC,
            kind: E::KIND,
            source: E::SOURCE,
            schema: E::schema,
        }
    }
}

impl EventDescription {
    /// Whether it could come from another service: deadlines and outcomes come back to their own.
    pub(crate) fn crosses(&self) -> bool {
        !matches!(self.kind, EventKind::Deadline | EventKind::Outcome)
    }
}

impl fmt::Debug for EventDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.event_type)
    }
}

/// Where an event came from, and to which saga it belongs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Origin {
    /// The event's id.
    pub id: EventId,
    /// Its type name.
    pub event_type: Arc<str>,
    /// The saga.
    pub saga: SagaId,
    /// The business key under which it was published.
    pub key: Arc<str>,
    /// When it was decided, by the clock of its service.
    pub time: Timestamp,
    /// The lane that brought it.
    pub source: SourceLane,
}

/// An event as it reaches a handler. Dereferences to the event.
#[derive(Clone, Debug)]
pub struct Incoming<E> {
    event: E,
    origin: Arc<Origin>,
}

impl<E> Incoming<E> {
    pub(crate) fn new(event: E, origin: Arc<Origin>) -> Self {
        Self { event, origin }
    }

    /// Where it came from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The saga that it belongs to.
    #[must_use]
    pub fn saga(&self) -> SagaId {
        self.origin.saga
    }
}

impl<E> Deref for Incoming<E> {
    type Target = E;
    fn deref(&self) -> &E {
        &self.event
    }
}
