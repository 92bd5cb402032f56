//! Finds a command that is listed twice.
//!
//! Commands have no type name as events have, and stable Rust cannot compare types in a constant. But of
//! two items of one name the compiler prefers the inherent one, and there is an inherent one only for two
//! equal types. That works for known types alone, so `#[handler]` writes the comparisons.

use crate::aggregate::Command;

/// A tuple of commands with its empty places filled by types that occur nowhere else.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of commands",
    note = "write a tuple: `()`, `(Place,)` with a comma, `(Place, Cancel)`"
)]
#[allow(missing_docs, reason = "the places of a tuple, in order")]
pub trait CommandSlots {
    type First;
    type Second;
    type Third;
    type Fourth;
    type Fifth;
    type Sixth;
    type Seventh;
    type Eighth;
    type Ninth;
    type Tenth;
    type Eleventh;
    type Twelfth;
}

/// An empty place.
#[derive(Debug)]
pub struct Empty<const N: usize>;

/// Two types to compare.
#[derive(Debug)]
pub struct Pair<A, B>(std::marker::PhantomData<fn(A, B)>);

impl<T> Pair<T, T> {
    /// The inherent one: there are two of the type.
    pub const SAME: bool = true;
}

/// What [`Pair`] says where the two types differ.
pub trait Differs {
    /// The one of the trait, for all other pairs.
    const SAME: bool = false;
}
impl<A, B> Differs for Pair<A, B> {}

macro_rules! slots {
    ($($t:ident)*) => {
        slots!(@ ($($t),*); {}; $($t)*; First 0 Second 1 Third 2 Fourth 3 Fifth 4 Sixth 5 Seventh 6
            Eighth 7 Ninth 8 Tenth 9 Eleventh 10 Twelfth 11);
    };
    (@ ($($all:ident),*); {$($done:tt)*}; ; ) => {
        impl<$($all: Command),*> CommandSlots for ($($all,)*) { $($done)* }
    };
    (@ ($($all:ident),*); {$($done:tt)*}; $t:ident $($ts:ident)*; $slot:ident $n:literal $($slots:tt)*) => {
        slots!(@ ($($all),*); {$($done)* type $slot = $t;}; $($ts)*; $($slots)*);
    };
    (@ ($($all:ident),*); {$($done:tt)*}; ; $slot:ident $n:literal $($slots:tt)*) => {
        slots!(@ ($($all),*); {$($done)* type $slot = Empty<$n>;}; ; $($slots)*);
    };
}

slots!();
slots!(A);
slots!(A B);
slots!(A B C);
slots!(A B C D);
slots!(A B C D E);
slots!(A B C D E F);
slots!(A B C D E F G);
slots!(A B C D E F G H);
slots!(A B C D E F G H I);
slots!(A B C D E F G H I J);
slots!(A B C D E F G H I J K);
slots!(A B C D E F G H I J K L);
