//! The four services as processes on real Kafka and PostgreSQL: what starts them, drives the demo's story
//! through them, does them harm, and sees afterwards that nothing was lost, doubled or made up.
//!
//! | module | is |
//! |---|---|
//! | [`place`] | the servers that a stack runs on, and the program of its services |
//! | [`servers`] | servers of one's own, which may be killed and come back |
//! | [`processes`] | the services' processes, their databases, signals |
//! | [`proxy`] | a way to the broker that holds requests back, or is cut |
//! | [`tcp`] | a way to anything that speaks TCP, which can be cut |
//! | [`gateway`] | the payment gateway as a process, told to misbehave |
//! | [`hold`] | a store whose appends wait |
//! | [`restore`] | a database as it was earlier |
//! | [`driver`] [`http`] | the story's customers |
//! | [`quiet`] [`wait`] | conditions with deadlines |
//! | [`tables`] [`topics`] [`laws`] [`story`] | what plain SQL and a plain consumer find, compared |
//! | [`storm`] | minutes of orders and faults from a seed, and the independent checker at the end |
//!
//! A test, or a storm, is made of these: begin a story, do harm while orders are placed, check.
#![cfg(feature = "servers")]

mod door;
pub mod driver;
pub mod gateway;
pub mod hold;
pub mod http;
pub mod laws;
pub mod place;
pub mod processes;
pub mod proxy;
pub mod quiet;
pub mod restore;
pub mod servers;
pub mod storm;
pub mod story;
pub mod tables;
pub mod tcp;
pub mod topics;
pub mod wait;
