//! What is fed. Each target is one decoder, with what must hold whatever it is given.

mod configuration;
mod headers;
mod http;
mod payload;
mod record;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// A decoder of outside bytes.
pub trait Target {
    /// Feeds it. What it returns are marks of how it behaved: an input with a new one is worth keeping for
    /// the rest of the run.
    ///
    /// # Errors
    /// Says what should not be.
    fn check(&mut self, input: &[u8]) -> Result<Vec<u64>, String>;
}

/// The names of all targets.
pub const NAMES: &[&str] = &["record", "headers", "payload", "http", "configuration"];

/// A target by its name.
#[must_use]
pub fn target(name: &str) -> Option<Box<dyn Target>> {
    match name {
        "record" => Some(Box::new(record::RecordTarget)),
        "headers" => Some(Box::new(headers::HeadersTarget)),
        "payload" => Some(Box::new(payload::PayloadTarget)),
        "http" => Some(Box::new(http::HttpTarget::new())),
        "configuration" => Some(Box::new(configuration::ConfigurationTarget)),
        _ => None,
    }
}

/// A mark made of a text, without its digits and what stands in quotes: those differ from input to input.
fn mark(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 0 {
            let plain: String = part.chars().filter(|c| c.is_ascii_alphabetic()).take(60).collect();
            plain.hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// Splits at the first empty line.
fn head_and_body(input: &[u8]) -> (&[u8], &[u8]) {
    let at = input.windows(2).position(|pair| pair == b"\n\n");
    at.map_or((input, &[]), |at| (&input[..at], &input[at + 2..]))
}

/// Holds, or says why it matters.
fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
