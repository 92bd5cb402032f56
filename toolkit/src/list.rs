//! Lists of types as tuples, and membership in them.
//!
//! Membership carries an index type that the compiler infers; that is what lets one impl an element
//! stand beside the others without overlap.

pub(crate) mod names;
pub(crate) mod slots;

use crate::{
    aggregate::{Aggregate, Apply, Command},
    event::{DomainEvent, EventDescription, Private, Public},
    handler::EventHandler,
    service::{
        CommandDescription, Compensatable, HandlerSet, Pivot, Register, Retriable, Service, StepOf,
    },
};

/// The position of a type in a tuple.
#[derive(Debug)]
pub struct At<const N: usize>;

/// A tuple of event types: `()`, `(A,)`, `(A, B)`, up to twelve.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of events",
    label = "not a tuple of events",
    note = "write a tuple: `()`, `(OrderCreated,)` with a comma, `(BilledOrder, PaymentDeclined)`"
)]
pub trait EventList: Send + Sync + 'static {
    /// The type names, in order.
    #[doc(hidden)]
    const TYPES: &'static [&'static str];
    /// Describes each, in order.
    fn describe() -> Vec<EventDescription>;
}

// The element is `Self` in these traits, not the list: else the compiler takes the only element of a list of
// one for the type of an argument, and complains about the argument.

/// Membership of an event in a list `Emits`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not among the events declared in `type Emits = {List}`",
    label = "`{Self}` may not be recorded here",
    note = "add `{Self}` to `Emits`: the choreography is checked from what is declared there"
)]
pub trait DeclaredIn<List, Index> {}

/// Membership of an event in an aggregate's `Events`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not among the events of the aggregate, `type Events = {List}`",
    label = "the aggregate could not be rebuilt from `{Self}`",
    note = "add `{Self}` to the aggregate's `Events`"
)]
pub trait FactOf<List, Index> {}

/// A fact that changes the aggregate `A`: there is an [`Apply`] for it.
#[diagnostic::on_unimplemented(
    message = "`{A}` does not say what `{Self}` changes",
    label = "no `Apply<{Self}>`",
    note = "write `impl Apply<{Self}> for {A}`"
)]
pub trait ChangeOf<A> {
    #[doc(hidden)]
    fn change(&self, state: &mut A);
}
#[diagnostic::do_not_recommend]
impl<E, A: Apply<E>> ChangeOf<A> for E {
    fn change(&self, state: &mut A) {
        state.apply(self);
    }
}

/// Membership of a command in a service's `Commands`.
#[diagnostic::on_unimplemented(
    message = "the command `{Self}` is not among `type Commands = {List}`",
    label = "the service does not accept `{Self}` from outside",
    note = "add `{Self}` to the service's `Commands`: what comes from outside is part of the graph"
)]
pub trait AcceptedBy<List, Index> {}

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
#[diagnostic::do_not_recommend]
impl<E, D, I> Permitted<D, Public, I> for E where E: DeclaredIn<D, I> {}
impl<E, D> Permitted<D, Private, ()> for E {}

/// What a service's `Steps` say, whether or not the service can take them.
#[doc(hidden)]
pub trait StepNames {
    /// The type names of the steps' events, in order.
    const STEPS: &'static [&'static str];
    /// Those of them that can be undone; the others are empty.
    const COMPENSATABLE: &'static [&'static str];
}

/// One step of [`StepNames`].
#[doc(hidden)]
pub trait StepName {
    /// The type name of its event.
    const STEP: &'static str;
    /// The same when it can be undone, else empty.
    const COMPENSATABLE: &'static str = "";
}
impl<E: DomainEvent> StepName for Compensatable<E> {
    const STEP: &'static str = E::TYPE;
    const COMPENSATABLE: &'static str = E::TYPE;
}
impl<E: DomainEvent> StepName for Pivot<E> {
    const STEP: &'static str = E::TYPE;
}
impl<E: DomainEvent> StepName for Retriable<E> {
    const STEP: &'static str = E::TYPE;
}

/// The facts of an aggregate: a tuple of events, each with `impl Apply<Event> for` the aggregate.
#[diagnostic::on_unimplemented(
    message = "`{A}` cannot apply all of `{Self}`",
    note = "write a tuple: `(Captured,)` with a comma; each event in `type Events` needs an `impl Apply<Event>` for the aggregate"
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
    note = "write a tuple: `()`, `(Place,)` with a comma, `(Place, Cancel)`"
)]
pub trait CommandList: slots::CommandSlots + Send + Sync + 'static {
    /// Describes each, in order.
    fn describe() -> Vec<CommandDescription>;
}

/// A tuple of event types that a service handles.
#[diagnostic::on_unimplemented(
    message = "`{S}` does not handle all of `{Self}`",
    note = "write a tuple: `()`, `(OrderCreated,)` with a comma; each event in it needs `#[handler] impl EventHandler<Event> for {S}`"
)]
pub trait HandlerList<S: Service>: EventList {
    #[doc(hidden)]
    fn register(set: &mut HandlerSet<S>);
}

/// A tuple of steps: [`Compensatable`](crate::Compensatable), [`Pivot`](crate::Pivot),
/// [`Retriable`](crate::Retriable).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of steps that `{S}` can take",
    note = "write a tuple: `()`, `(Compensatable<BilledOrder>,)` with a comma; a compensatable step needs `impl Undo<Event>`"
)]
pub trait StepList<S: Service>: StepNames + Send + Sync + 'static {
    #[doc(hidden)]
    fn register(set: &mut HandlerSet<S>);
}

macro_rules! each_member {
    ($trait:ident; ($($all:ident),*); ) => {};
    ($trait:ident; ($($all:ident),*); $head:ident $n:literal $($rest:tt)*) => {
        #[diagnostic::do_not_recommend]
        impl<$($all),*> $trait<($($all,)*), At<$n>> for $head {}
        each_member!($trait; ($($all),*); $($rest)*);
    };
}

macro_rules! tuple {
    ($($t:ident $i:ident $n:literal),*) => {
        impl<$($t: DomainEvent),*> EventList for ($($t,)*) {
            const TYPES: &'static [&'static str] = &[$($t::TYPE),*];
            fn describe() -> Vec<EventDescription> {
                const { names::assert_each_once(Self::TYPES) };
                vec![$(EventDescription::of::<$t>()),*]
            }
        }
        impl<Declared, $($t,)* $($i),*> Within<Declared, ($($i,)*)> for ($($t,)*)
        where $($t: DomainEvent + Permitted<Declared, <$t as DomainEvent>::Visibility, $i>),* {}
        impl<Agg: Aggregate, $($t: DomainEvent),*> FactList<Agg> for ($($t,)*)
        where $(Agg: Apply<$t>),* {
            #[allow(unused_variables)]
            fn apply(state: &mut Agg, event_type: &str, payload: &[u8]) -> Option<Result<(), serde_json::Error>> {
                const { names::assert_each_once(<Self as EventList>::TYPES) };
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
        each_member!(DeclaredIn; ($($t),*); $($t $n)*);
        each_member!(FactOf; ($($t),*); $($t $n)*);
        each_member!(AcceptedBy; ($($t),*); $($t $n)*);
        impl<$($t: StepName),*> StepNames for ($($t,)*) {
            const STEPS: &'static [&'static str] = &[$($t::STEP),*];
            const COMPENSATABLE: &'static [&'static str] = &[$($t::COMPENSATABLE),*];
        }
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
