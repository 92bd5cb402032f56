//! The store in PostgreSQL conforms, and keeps what only a server can break.

mod place;

quadrille::store_conformance!(place::Database::fresh().await);
