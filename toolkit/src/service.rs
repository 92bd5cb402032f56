//! A service: what it handles, which steps it takes, and which commands it accepts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
};

use crate::{
    aggregate::{Aggregate, Command},
    effect::Performers,
    event::{DomainEvent, EventDescription},
    handler::{EventHandler, Reaction, Role, Undo},
    list::{CommandList, EventList, HandlerList, StepList, StepName},
};

/// An event-sourced participant of a choreography.
///
/// ```
/// # use quadrille::prelude::*;
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
/// # #[event(type = "ORDER_CONCLUDED", key = order, source = "order")]
/// # struct OrderConcluded { order: String }
/// # #[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
/// # #[event(type = "POINTS_GRANTED", key = order, source = "loyalty")]
/// # struct PointsGranted { order: String }
/// struct Loyalty;
///
/// impl Service for Loyalty {
///     const NAME: &'static str = "loyalty";
///     type Commands = ();
///     type Handles = (OrderConcluded,);
///     type Steps = (Retriable<PointsGranted>,);
/// }
///
/// #[handler]
/// impl EventHandler<OrderConcluded> for Loyalty {
///     type Emits = (PointsGranted,);
///     async fn handle(&self, o: &Incoming<OrderConcluded>, turn: &mut Turn<'_, Self::Emits>) -> Result<(), HandlerError> {
///         turn.record(PointsGranted { order: o.order.clone() });
///         Ok(())
///     }
/// }
/// # let _ = quadrille::choreography::ServiceDescription::of::<Loyalty>();
/// ```
pub trait Service: Sized + Send + Sync + 'static {
    /// Names its topic, its consumer group and the `ce_source` of its events. Stored: a rename makes
    /// a new service.
    const NAME: &'static str;
    /// The commands that may come from outside, as a tuple.
    type Commands: CommandList;
    /// The events that it handles, each by an [`EventHandler`], as a tuple.
    type Handles: HandlerList<Self>;
    /// The steps that it takes in a saga, as a tuple of [`Compensatable`], [`Pivot`], [`Retriable`].
    type Steps: StepList<Self>;

    /// Who carries out its effects (P14). Every effect that its handlers may request needs one, here or by
    /// [`Engine::performer`](crate::engine::Engine::performer).
    fn performers(&self) -> Performers {
        Performers::new()
    }
}

/// A step that can be undone until the pivot: needs [`Undo<E>`].
#[derive(Debug)]
pub struct Compensatable<E>(PhantomData<fn(E)>);
/// The point of no return: once `E` is recorded, the saga runs to its end.
#[derive(Debug)]
pub struct Pivot<E>(PhantomData<fn(E)>);
/// A step after the pivot: it has no business refusal, only retries.
#[derive(Debug)]
pub struct Retriable<E>(PhantomData<fn(E)>);

/// The kinds of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepKind {
    /// [`Compensatable`].
    Compensatable,
    /// [`Pivot`].
    Pivot,
    /// [`Retriable`].
    Retriable,
}

/// A step as the graph and the barrier know it: named by the event that says it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepDescription {
    /// The type name of the event that says the step is done.
    pub event_type: &'static str,
    /// Its kind.
    pub kind: StepKind,
}

/// A step that the service `S` can take.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a step that `{S}` can take",
    note = "steps are `Compensatable<Event>`, `Pivot<Event>` and `Retriable<Event>`"
)]
pub trait StepOf<S: Service>: StepName + Register<S> + Send + Sync + 'static {}

/// Adds a step to a service's [`HandlerSet`].
#[doc(hidden)]
pub trait Register<S: Service> {
    fn register(set: &mut HandlerSet<S>);
}

impl<S: Undo<E>, E: DomainEvent> StepOf<S> for Compensatable<E> {}
impl<S: Undo<E>, E: DomainEvent> Register<S> for Compensatable<E> {
    fn register(set: &mut HandlerSet<S>) {
        set.step::<E>(StepKind::Compensatable);
        set.undoes::<E>();
    }
}
impl<S: Service, E: DomainEvent> StepOf<S> for Pivot<E> {}
impl<S: Service, E: DomainEvent> Register<S> for Pivot<E> {
    fn register(set: &mut HandlerSet<S>) {
        set.step::<E>(StepKind::Pivot);
    }
}
impl<S: Service, E: DomainEvent> StepOf<S> for Retriable<E> {}
impl<S: Service, E: DomainEvent> Register<S> for Retriable<E> {
    fn register(set: &mut HandlerSet<S>) {
        set.step::<E>(StepKind::Retriable);
    }
}

/// A command as the graph knows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandDescription {
    /// The command's type name, without its path.
    pub name: &'static str,
    /// The aggregate that decides it.
    pub aggregate: &'static str,
    /// What it may record.
    pub emits: Vec<EventDescription>,
}

impl CommandDescription {
    /// Describes a command.
    #[must_use]
    pub fn of<C: Command>() -> Self {
        Self { name: short_name::<C>(), aggregate: C::Aggregate::NAME, emits: C::Emits::describe() }
    }
}

/// A handler as the graph knows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HandlerDescription {
    /// What it consumes.
    pub consumes: EventDescription,
    /// What it may record.
    pub emits: Vec<EventDescription>,
    /// Whether it starts a step or brings the outcome of one under way.
    pub role: Role,
}

/// A compensation as the graph knows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UndoDescription {
    /// The step that it undoes.
    pub step: EventDescription,
    /// The events because of which it does so.
    pub because: Vec<EventDescription>,
    /// What it may record.
    pub emits: Vec<EventDescription>,
}

/// Everything that a service does, gathered from its types.
pub struct HandlerSet<S: Service> {
    pub(crate) handlers: Vec<HandlerDescription>,
    pub(crate) steps: Vec<StepDescription>,
    pub(crate) undos: Vec<UndoDescription>,
    pub(crate) reactions: BTreeMap<&'static str, Vec<Reaction<S>>>,
    /// The types that come from the log; deadlines and outcomes do not.
    pub(crate) consumed: BTreeSet<&'static str>,
}

impl<S: Service> HandlerSet<S> {
    /// Gathers a service's handlers, steps and compensations.
    #[must_use]
    pub fn gather() -> Self {
        let mut set = Self {
            handlers: vec![],
            steps: vec![],
            undos: vec![],
            reactions: BTreeMap::new(),
            consumed: BTreeSet::new(),
        };
        // Steps first: a handler performs the steps that are among its `Emits`.
        S::Steps::register(&mut set);
        S::Handles::register(&mut set);
        set
    }

    pub(crate) fn handles<E: DomainEvent>(&mut self)
    where
        S: EventHandler<E>,
    {
        let emits = <S as EventHandler<E>>::Emits::describe();
        let performs = self
            .steps
            .iter()
            .copied()
            .filter(|s| emits.iter().any(|e| e.event_type == s.event_type));
        let reaction = Reaction::handler::<E>(performs.collect());
        // Handlers run before the compensations of the same event.
        self.reactions.entry(E::TYPE).or_default().insert(0, reaction);
        self.consumes(&EventDescription::of::<E>());
        self.handlers.push(HandlerDescription {
            consumes: EventDescription::of::<E>(),
            emits,
            role: S::ROLE,
        });
    }

    fn consumes(&mut self, event: &EventDescription) {
        if event.public {
            self.consumed.insert(event.event_type);
        }
    }

    fn step<E: DomainEvent>(&mut self, kind: StepKind) {
        self.steps.push(StepDescription { event_type: E::TYPE, kind });
    }

    fn undoes<E: DomainEvent>(&mut self)
    where
        S: Undo<E>,
    {
        let because = S::Because::describe();
        for cause in &because {
            self.consumes(cause);
            self.reactions.entry(cause.event_type).or_default().push(Reaction::undo::<E>());
        }
        let emits = <S as Undo<E>>::Emits::describe();
        self.undos.push(UndoDescription { step: EventDescription::of::<E>(), because, emits });
    }
}

impl<S: Service> fmt::Debug for HandlerSet<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandlerSet of {}: {:?}", S::NAME, self.reactions.keys())
    }
}

/// A type's name without its path and its generic arguments.
pub(crate) fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    let bare = name.split('<').next().unwrap_or(name);
    bare.rsplit("::").next().unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn a_short_name_has_neither_path_nor_arguments() {
        assert_eq!(short_name::<std::sync::Arc<std::string::String>>(), "Arc");
        assert_eq!(short_name::<u8>(), "u8");
    }
}
