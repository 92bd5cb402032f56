//! A counterexample, readable.
