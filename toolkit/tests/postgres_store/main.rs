//! The store in PostgreSQL conforms, and keeps what only a server can break.

mod commits;
mod keys;
mod place;
mod plans;
mod roles;
mod schema;
mod work;

quadrille::store_conformance!(place::Database::fresh().await);
