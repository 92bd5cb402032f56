//! What a law may look at: what all services have stored, at one moment.

use std::{any::TypeId, fmt, sync::Arc};

use futures_util::FutureExt as _;

use super::{chance::Dice, core::Core, outside::lock, person, services::Kind};
use crate::{
    aggregate::{Aggregate, AggregateType, stream_of},
    barrier::{self, Participation},
    id::{Lane, StreamId},
    operator::LetterView,
    service::Service,
    store::{EventStore as _, RecordedEvent, memory::MemoryStore},
};

/// The stores of all services, while nothing moves.
pub struct View {
    core: Arc<Core>,
    kinds: Arc<[Kind]>,
    sagas: Vec<usize>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View of seed {}", self.core.seed)
    }
}

impl View {
    pub(super) fn new(core: Arc<Core>, kinds: Arc<[Kind]>, sagas: Vec<usize>) -> Self {
        Self { core, kinds, sagas }
    }

    /// The seed of this run.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.core.seed
    }

    /// The sagas of this run, by number. A run that is being shortened has fewer.
    #[must_use]
    pub fn sagas(&self) -> &[usize] {
        &self.sagas
    }

    fn store<S: Service>(&self) -> &MemoryStore {
        let service = self.kinds.iter().position(|kind| kind.type_id == TypeId::of::<S>());
        let service = service.unwrap_or_else(|| panic!("{} is not simulated", S::NAME));
        &self.core.services[service].store
    }

    /// An aggregate of a service; `None` when it has no events.
    ///
    /// # Panics
    /// When the simulation has no such service, the id is none, or the stream cannot be folded.
    #[must_use]
    pub fn load<S: Service, A: Aggregate>(&self, id: &A::Id) -> Option<A> {
        let stream = stream_of::<A>(id).unwrap_or_else(|error| panic!("a bad id: {error}"));
        self.fold(self.store::<S>(), &stream, AggregateType::of::<A>())
    }

    /// All aggregates of a type in a service, with their ids, sorted by them.
    ///
    /// # Panics
    /// When the simulation has no such service, or a stream cannot be folded.
    #[must_use]
    pub fn all<S: Service, A: Aggregate>(&self) -> Vec<(String, A)> {
        let store = self.store::<S>();
        let of_type = |stream: &StreamId| {
            let (category, id) = stream.as_str().split_once('/')?;
            (category == A::NAME).then(|| id.to_owned())
        };
        let streams = store.streams().into_iter().filter_map(|(s, _)| Some((of_type(&s)?, s)));
        let kind = AggregateType::of::<A>();
        streams.filter_map(|(id, stream)| Some((id, self.fold(store, &stream, kind)?))).collect()
    }

    /// What a service has stated under a key, and where its steps stand.
    ///
    /// # Panics
    /// When the simulation has no such service, or the key is none.
    #[must_use]
    pub fn participation<S: Service>(&self, key: &str) -> Participation {
        let stream = barrier::stream(key).unwrap_or_else(|error| panic!("a bad key: {error}"));
        self.fold(self.store::<S>(), &stream, barrier::participation_type()).unwrap_or_default()
    }

    /// Chance of an actor's own, as [`Actor::dice`](super::Actor::dice) has it: `saga 3` is the actor of saga 3.
    #[must_use]
    pub fn dice(&self, actor: &str, purpose: &str) -> Dice {
        super::actors::dice_of(self.core.seed, actor, purpose)
    }

    /// Whether it was a fault of the simulation that killed a letter, and not the services' own doing.
    #[must_use]
    pub fn is_by_a_fault(&self, letter: &LetterView) -> bool {
        person::by_a_fault(letter)
    }

    /// The state of a place outside; as it is made when nobody has reached it.
    pub fn outside<T: Default + Send + 'static, R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&*lock(&self.core.places.of::<T>()))
    }

    fn fold<T: Clone + 'static>(
        &self,
        store: &MemoryStore,
        stream: &StreamId,
        kind: AggregateType,
    ) -> Option<T> {
        let streams = store.stream(stream);
        if streams.is_empty() {
            return None;
        }
        let state = (kind.rebuild)(None, &streams).unwrap_or_else(|error| panic!("{error}"));
        state.downcast_ref::<T>().cloned()
    }

    /// All public events with the names of their services: by service, lane and number.
    #[must_use]
    pub fn stated(&self) -> Vec<(&'static str, RecordedEvent)> {
        let mut stated = vec![];
        for service in &self.core.services {
            for lane in 0..service.lanes {
                let events = lane_of(&service.store, Lane(lane));
                stated.extend(events.into_iter().map(|event| (service.name, event)));
            }
        }
        stated
    }
}

/// A whole lane of a store in memory, which never waits.
pub(super) fn lane_of(store: &MemoryStore, lane: Lane) -> Vec<RecordedEvent> {
    let events = store.read_lane(lane, 0, usize::MAX).now_or_never();
    events.and_then(Result::ok).unwrap_or_default()
}
