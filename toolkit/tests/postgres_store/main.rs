//! The store in PostgreSQL conforms, and keeps what only a server can break.

mod agenda {
    use quadrille::testing::store_conformance::StorePlace as _;

    crate::suite::agenda_suite!(crate::place::Database::fresh().await);
}
#[allow(unreachable_pub)]
#[path = "../agenda/booking.rs"]
mod booking;
mod commits;
mod cost;
mod keys;
#[allow(unreachable_pub)]
#[path = "../agenda/killed/mod.rs"]
mod killed;
#[allow(unreachable_pub)]
#[path = "../agenda/letters.rs"]
mod letters;
#[allow(unreachable_pub)]
#[path = "../agenda/p13.rs"]
mod p13;
#[allow(unreachable_pub)]
#[path = "../agenda/p14.rs"]
mod p14;
mod place;
mod plans;
mod roles;
mod schema;
#[path = "../agenda/suite.rs"]
mod suite;
mod work;

quadrille::store_conformance!(place::Database::fresh().await);
