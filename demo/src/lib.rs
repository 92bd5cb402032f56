//! The demo's story and its audit, for whoever else tells the story: which orders are placed, and which
//! laws must hold when all is quiet.

pub mod audit;
pub mod script;
