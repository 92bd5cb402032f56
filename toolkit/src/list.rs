//! Lists of types as tuples, and membership in them.
//!
//! Membership carries an index type that the compiler infers; that is what lets one impl an element
//! stand beside the others without overlap.

use crate::{
    aggregate::{Aggregate, Apply, Command},
    event::{DomainEvent, EventDescription, Private, Public},
    handler::EventHandler,
    service::{CommandDescription, HandlerSet, Register, Service, StepOf},
};

/// The position of a type in a tuple.
#[derive(Debug)]
pub struct At<const N: usize>;

/// A tuple of event types: `()`, `(A,)`, `(A, B)`, up to twelve.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of events",
    note = "write a tuple of event types: `()`, `(OrderCreated,)`, `(BilledOrder, PaymentDeclined)`"
)]
pub trait EventList: Send + Sync + 'static {
    /// Describes each, in order.
    fn describe() -> Vec<EventDescription>;
}

/// Membership of an event in a list of events.
#[diagnostic::on_unimplemented(
    message = "`{E}` is not among the events declared in `type Emits = {Self}`",
    label = "`{E}` may not be recorded here",
    note = "add `{E}` to `Emits`: the choreography is checked from what is declared there"
)]
pub trait Declares<E, Index> {}

/// A list of events all of which may be recorded under `Declared`: private ones always, public ones
/// when they are declared.
#[diagnostic::on_unimplemented(
    message = "this command records `{Self}`, not all of which is declared in `type Emits = {Declared}`",
    note = "add the command's public events to the handler's `Emits`"
)]
pub trait Within<Declared, Indices> {}

/// One event of a [`Within`] list; decided by its visibility.
#[diagnostic::on_unimplemented(
    message = "this command records `{Self}`, which is not among the events declared in `type Emits = {Declared}`",
    label = "records `{Self}`",
    note = "add `{Self}` to the handler's `Emits`: the choreography is checked from what is declared there"
)]
pub trait Permitted<Declared, Visibility, Index> {}
impl<E, D, I> Permitted<D, Public, I> for E where D: Declares<E, I> {}
impl<E, D> Permitted<D, Private, ()> for E {}

/// Membership of a command in a service's `Commands`.
#[diagnostic::on_unimplemented(
    message = "the command `{C}` is not among `type Commands = {Self}`",
    note = "commands from outside are part of the graph: list `{C}` in the service's `Commands`"
)]
pub trait Accepts<C, Index> {}

/// Membership of an event in a service's `Handles`.
#[diagnostic::on_unimplemented(
    message = "this handler would never run: `{E}` is not listed in `type Handles = {Self}`",
    note = "add `{E}` to the service's `Handles`"
)]
pub trait Lists<E, Index> {}

/// Membership of a compensatable step in a service's `Steps`.
#[diagnostic::on_unimplemented(
    message = "this compensation would never run: `Compensatable<{E}>` is not listed in `type Steps = {Self}`",
    note = "add `Compensatable<{E}>` to the service's `Steps`"
)]
pub trait Undoes<E, Index> {}

/// The facts of an aggregate: a tuple of events, each with `impl Apply<Event> for` the aggregate.
#[diagnostic::on_unimplemented(
    message = "`{A}` cannot apply all of `{Self}`",
    note = "each event in `type Events` needs an `impl Apply<Event>` for the aggregate"
)]
pub trait FactList<A>: EventList {
    /// Applies a stored event, or says that its type is none of these.
    #[doc(hidden)]
    fn apply(
        state: &mut A,
        event_type: &str,
        payload: &[u8],
    ) -> Option<Result<(), serde_json::Error>>;
}

/// A tuple of commands.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of commands",
    note = "write a tuple: `()`, `(Place, Cancel)`"
)]
pub trait CommandList: Send + Sync + 'static {
    /// Describes each, in order.
    fn describe() -> Vec<CommandDescription>;
}

/// A tuple of event types that a service handles.
#[diagnostic::on_unimplemented(
    message = "`{S}` does not handle all of `{Self}`",
    note = "each event in `Handles` needs an `#[handler] impl EventHandler<Event>` for the service"
)]
pub trait HandlerList<S: Service>: EventList {
    #[doc(hidden)]
    fn register(set: &mut HandlerSet<S>);
}

/// A tuple of steps: [`Compensatable`](crate::Compensatable), [`Pivot`](crate::Pivot),
/// [`Retriable`](crate::Retriable).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of steps that `{S}` can take",
    note = "write a tuple such as `(Compensatable<BilledOrder>,)`; a compensatable step needs `impl Undo<Event>`"
)]
pub trait StepList<S: Service>: Send + Sync + 'static {
    #[doc(hidden)]
    fn register(set: &mut HandlerSet<S>);
}

macro_rules! each_step {
    (($($all:ident),*); ) => {};
    (($($all:ident),*); $head:ident $n:literal $($rest:tt)*) => {
        impl<X, $($all),*> Undoes<X, At<$n>> for ($($all,)*)
        where
            $head: IsCompensatable<X>,
        {
        }
        each_step!(($($all),*); $($rest)*);
    };
}

/// [`Compensatable`](crate::Compensatable) of this event.
pub trait IsCompensatable<E> {}
impl<E> IsCompensatable<E> for crate::service::Compensatable<E> {}

macro_rules! each_member {
    ($trait:ident; ($($all:ident),*); ) => {};
    ($trait:ident; ($($all:ident),*); $head:ident $n:literal $($rest:tt)*) => {
        impl<$($all),*> $trait<$head, At<$n>> for ($($all,)*) {}
        each_member!($trait; ($($all),*); $($rest)*);
    };
}

macro_rules! tuple {
    ($($t:ident $i:ident $n:literal),*) => {
        impl<$($t: DomainEvent),*> EventList for ($($t,)*) {
            fn describe() -> Vec<EventDescription> {
                vec![$(EventDescription::of::<$t>()),*]
            }
        }
        impl<Declared, $($t,)* $($i),*> Within<Declared, ($($i,)*)> for ($($t,)*)
        where $($t: DomainEvent + Permitted<Declared, <$t as DomainEvent>::Visibility, $i>),* {}
        impl<Agg: Aggregate, $($t: DomainEvent),*> FactList<Agg> for ($($t,)*)
        where $(Agg: Apply<$t>),* {
            #[allow(unused_variables)]
            fn apply(state: &mut Agg, event_type: &str, payload: &[u8]) -> Option<Result<(), serde_json::Error>> {
                $(if event_type == $t::TYPE {
                    return Some(serde_json::from_slice::<$t>(payload).map(|event| state.apply(&event)));
                })*
                None
            }
        }
        impl<$($t: Command),*> CommandList for ($($t,)*) {
            fn describe() -> Vec<CommandDescription> {
                vec![$(CommandDescription::of::<$t>()),*]
            }
        }
        impl<Svc: Service, $($t: DomainEvent),*> HandlerList<Svc> for ($($t,)*)
        where $(Svc: EventHandler<$t>),* {
            #[allow(unused_variables)]
            fn register(set: &mut HandlerSet<Svc>) {
                $(set.handles::<$t>();)*
            }
        }
        impl<Svc: Service, $($t: StepOf<Svc>),*> StepList<Svc> for ($($t,)*) {
            #[allow(unused_variables)]
            fn register(set: &mut HandlerSet<Svc>) {
                $(<$t as Register<Svc>>::register(set);)*
            }
        }
        each_member!(Declares; ($($t),*); $($t $n)*);
        each_member!(Accepts; ($($t),*); $($t $n)*);
        each_member!(Lists; ($($t),*); $($t $n)*);
        each_step!(($($t),*); $($t $n)*);
    };
}

tuple!();
tuple!(A IA 0);
tuple!(A IA 0, B IB 1);
tuple!(A IA 0, B IB 1, C IC 2);
tuple!(A IA 0, B IB 1, C IC 2, D ID 3);
tuple!(A IA 0, B IB 1, C IC 2, D ID 3, E IE 4);
tuple!(A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5);
tuple!(A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5, G IG 6);
tuple!(A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5, G IG 6, H IH 7);
tuple!(A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5, G IG 6, H IH 7, J IJ 8);
tuple!(A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5, G IG 6, H IH 7, J IJ 8, K IK 9);
tuple!(A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5, G IG 6, H IH 7, J IJ 8, K IK 9, L IL 10);
tuple!(A IA 0, B IB 1, C IC 2, D ID 3, E IE 4, F IF 5, G IG 6, H IH 7, J IJ 8, K IK 9, L IL 10, M IM 11);
