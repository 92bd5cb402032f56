//! The four services over HTTP, on real engines with stores and a log in memory.

mod bad_input;
mod once;
mod story;
mod support;
