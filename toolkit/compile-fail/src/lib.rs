//! What the compiler says to those who forget something: the cases are in `tests/ui`.
