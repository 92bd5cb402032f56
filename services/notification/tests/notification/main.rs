//! Notification over its engine and the engines of the story, with a merchant's server on a real connection
//! and a clock that can be put forward.
#![allow(unreachable_pub)]

mod again;
mod beside;
mod ends;
mod instance;
mod receiver;
mod schedule;
mod world;
