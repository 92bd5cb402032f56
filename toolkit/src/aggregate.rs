//! Aggregates and commands: state folded from facts, and decisions on it.

use std::{any::Any, fmt, marker::PhantomData, ops::Deref, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    event::{Deadline, DomainEvent, Effect, Visibility},
    id::{InvalidId, StreamId},
    list::{ChangeOf, DeclaredIn, EventList, FactList, FactOf},
    store::RecordedEvent,
    turn::AgendaDraft,
};

/// State that is folded from its own stream of events.
///
/// # Contract
/// `Default` is the state before the first event. `apply` (see [`Apply`]) is pure and total: the same
/// events give the same state on every machine and in every year. A clone is made for each command
/// that is tried, so keep the state small, or share its large parts behind an `Arc`.
pub trait Aggregate:
    Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The category of its streams, such as `account`. Stored: a rename loses the old streams.
    const NAME: &'static str;
    /// Raise it when the serialised state changes its shape: older snapshots are then ignored.
    const SNAPSHOT_VERSION: u32 = 1;
    /// What identifies one of them.
    type Id: fmt::Display + ?Sized;
    /// Every event that its streams may contain, as a tuple.
    type Events: FactList<Self>;
}

/// How one event changes an aggregate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what `{E}` changes",
    note = "write `impl Apply<{E}> for {Self}`"
)]
pub trait Apply<E> {
    /// Folds the event into the state. Pure and total; it cannot refuse: the event has happened.
    fn apply(&mut self, event: &E);
}

/// A request that an aggregate answers with facts or a refusal.
pub trait Command: Clone + Send + Sync + 'static {
    /// Who decides.
    type Aggregate: Aggregate;
    /// What it may record, public and private, as a tuple.
    type Emits: EventList;
    /// Why it may say no. A value, not an error: the caller must look at it.
    type Refusal: fmt::Debug + Serialize + DeserializeOwned + Send + 'static;
    /// Decides on the state that `facts` dereferences to, and records there.
    ///
    /// Pure: it may run several times before one run is committed. On a refusal nothing of what was
    /// recorded remains.
    ///
    /// # Errors
    /// The business's refusal.
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), Self::Refusal>;
}

/// The refusal of a command that never refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoRefusal {}

/// The state that a command decides on, and the place where it records.
pub struct Facts<'a, C: Command> {
    state: &'a mut C::Aggregate,
    recorded: &'a mut Recorded,
    stream: &'a StreamId,
    _command: PhantomData<fn(C)>,
}

impl<'a, C: Command> Facts<'a, C> {
    pub(crate) fn new(
        state: &'a mut C::Aggregate,
        recorded: &'a mut Recorded,
        stream: &'a StreamId,
    ) -> Self {
        Self { state, recorded, stream, _command: PhantomData }
    }

    /// States a fact. It is applied at once: what follows sees it.
    pub fn record<E, I, J>(&mut self, event: E)
    where
        E: DomainEvent
            + DeclaredIn<C::Emits, I>
            + FactOf<<C::Aggregate as Aggregate>::Events, J>
            + ChangeOf<C::Aggregate>,
    {
        event.change(self.state);
        self.recorded.drafts.push(Draft::of(self.stream.clone(), &event));
    }

    /// Sets a deadline: it comes to the service's handler `after` this turn, unless it is cleared before.
    /// One of the type and key that is pending is moved.
    pub fn set_deadline<D, I>(&mut self, deadline: D, after: Duration)
    where
        D: Deadline + DeclaredIn<C::Emits, I>,
    {
        self.recorded.ask(AgendaDraft::set(&deadline, after));
    }

    /// Clears the deadline `D` under a key, if it is pending.
    pub fn clear_deadline<D: Deadline>(&mut self, key: &(impl fmt::Display + ?Sized)) {
        self.recorded.ask(Ok(AgendaDraft::clear::<D>(&key.to_string())));
    }

    /// Requests an effect: it is carried out after the commit, and its outcome comes to the service's
    /// handler.
    pub fn request<E, I>(&mut self, effect: E)
    where
        E: Effect + DeclaredIn<C::Emits, I>,
    {
        self.recorded.ask(AgendaDraft::request(&effect));
    }
}

/// What a command has recorded.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) agenda: Vec<AgendaDraft>,
    /// Set when something cannot be stored; the turn is terminal then.
    pub(crate) fault: Option<String>,
}

impl Recorded {
    fn ask(&mut self, draft: Result<AgendaDraft, String>) {
        match draft {
            Ok(draft) => self.agenda.push(draft),
            Err(fault) => {
                self.fault.get_or_insert(fault);
            }
        }
    }
}

impl<C: Command> Deref for Facts<'_, C> {
    type Target = C::Aggregate;
    fn deref(&self) -> &C::Aggregate {
        self.state
    }
}

impl<C: Command> fmt::Debug for Facts<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Facts of {}", self.stream)
    }
}

/// An event that was decided but has no version yet. Its payload bytes are final.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) stream: StreamId,
    pub(crate) event_type: &'static str,
    pub(crate) payload: Bytes,
    /// The key of a public event.
    pub(crate) key: Option<Arc<str>>,
    /// Set when the event cannot be stored; the turn that made it is terminal.
    pub(crate) fault: Option<String>,
}

impl Draft {
    pub(crate) fn of<E: DomainEvent>(stream: StreamId, event: &E) -> Self {
        let (payload, fault) = match serde_json::to_vec(event) {
            Ok(bytes) => (Bytes::from(bytes), None),
            Err(error) => {
                (Bytes::new(), Some(format!("{} cannot be serialised: {error}", E::TYPE)))
            }
        };
        let key =
            if E::Visibility::PUBLIC { Some(event.key().unwrap_or_default().into()) } else { None };
        Self { stream, event_type: E::TYPE, payload, key, fault }
    }
}

/// The state of an aggregate of any type.
pub(crate) type AnyState = Arc<dyn Any + Send + Sync>;

/// How the engine rebuilds and saves an aggregate whose type it does not know.
#[derive(Clone, Copy)]
pub(crate) struct AggregateType {
    pub(crate) name: &'static str,
    pub(crate) snapshot_version: u32,
    pub(crate) rebuild: fn(Option<&[u8]>, &[RecordedEvent]) -> Result<AnyState, FoldError>,
    pub(crate) save: fn(&AnyState) -> Option<Vec<u8>>,
}

impl fmt::Debug for AggregateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl AggregateType {
    pub(crate) fn of<A: Aggregate>() -> Self {
        Self {
            name: A::NAME,
            snapshot_version: A::SNAPSHOT_VERSION,
            rebuild: rebuild::<A>,
            save: save::<A>,
        }
    }
}

/// Names the stream of an aggregate.
pub(crate) fn stream_of<A: Aggregate>(id: &A::Id) -> Result<StreamId, InvalidId> {
    // `A::Id` may be unsized (`str`); a reference to it is a sized `Display`.
    StreamId::new(A::NAME, &id)
}

fn rebuild<A: Aggregate>(
    snapshot: Option<&[u8]>,
    events: &[RecordedEvent],
) -> Result<AnyState, FoldError> {
    let mut state: A = match snapshot {
        Some(bytes) => serde_json::from_slice(bytes)
            .map_err(|e| FoldError::Snapshot(A::NAME, e.to_string()))?,
        None => A::default(),
    };
    for event in events {
        fold_one::<A>(&mut state, event)?;
    }
    Ok(Arc::new(state))
}

fn fold_one<A: Aggregate>(state: &mut A, event: &RecordedEvent) -> Result<(), FoldError> {
    match A::Events::apply(state, &event.event_type, &event.payload) {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(FoldError::Payload {
            stream: event.stream.clone(),
            version: event.version,
            reason: error.to_string(),
        }),
        None => Err(FoldError::Unknown {
            stream: event.stream.clone(),
            version: event.version,
            event_type: event.event_type.to_string(),
        }),
    }
}

fn save<A: Aggregate>(state: &AnyState) -> Option<Vec<u8>> {
    state.downcast_ref::<A>().and_then(|state| serde_json::to_vec(state).ok())
}

/// Why a stream could not be folded into its aggregate. Terminal: reading it again will not help.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// The snapshot does not fit the state any more.
    #[error(
        "the snapshot of a {0} does not fit its state ({1}); raise `SNAPSHOT_VERSION` when the state's shape changes"
    )]
    Snapshot(&'static str, String),
    /// A payload does not fit its event type.
    #[error("version {version} of {stream} does not fit its event type: {reason}")]
    Payload {
        /// The stream.
        stream: StreamId,
        /// The version in it.
        version: u64,
        /// What serde said.
        reason: String,
    },
    /// The aggregate does not list the type.
    #[error(
        "version {version} of {stream} is a {event_type}, which the aggregate's `Events` does not list"
    )]
    Unknown {
        /// The stream.
        stream: StreamId,
        /// The version in it.
        version: u64,
        /// The unknown type.
        event_type: String,
    },
}
