//! What happened, in order: hashed always, told when asked for.

use std::fmt::Write as _;

use super::chance::StableHash;
use crate::runtime::Timestamp;

/// How much of a run is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Detail {
    /// Nothing.
    Nothing,
    /// What a reader needs to understand the run.
    Story,
    /// Every call of a port too.
    Calls,
}

/// One line of a timeline.
#[derive(Clone, Debug)]
struct Line {
    at: Timestamp,
    place: String,
    text: String,
}

#[derive(Debug)]
pub(super) struct Trace {
    hash: StableHash,
    start: Timestamp,
    detail: Detail,
    lines: Vec<Line>,
    dropped: usize,
}

/// Lines of a timeline that are kept; a run of this length explains nothing.
const LINES_MAX: usize = 5_000;

impl Trace {
    pub(super) fn new(start: Timestamp, detail: Detail) -> Self {
        Self { hash: StableHash::new(), start, detail, lines: vec![], dropped: 0 }
    }

    /// Takes something into the hash.
    pub(super) fn hash(&mut self, at: Timestamp, place: &str, what: &str, number: u64) {
        self.hash.bytes(&at.0.to_le_bytes());
        self.hash.text(place);
        self.hash.text(what);
        self.hash.number(number);
    }

    /// Tells something: a line, and a part of the hash.
    pub(super) fn tell(
        &mut self,
        detail: Detail,
        at: Timestamp,
        place: &str,
        text: impl FnOnce() -> String,
    ) {
        if self.detail < detail {
            return;
        }
        if self.lines.len() >= LINES_MAX {
            self.dropped += 1;
            return;
        }
        self.lines.push(Line { at, place: place.to_owned(), text: text() });
    }

    pub(super) fn value(&self) -> u64 {
        self.hash.value()
    }

    /// One line each: when, who, what.
    pub(super) fn timeline(&self) -> String {
        let width = self.lines.iter().map(|line| line.place.len()).max().unwrap_or(0);
        let mut text = String::new();
        for Line { at, place, text: what } in &self.lines {
            let ms = at.since(self.start).as_secs_f64() * 1000.0;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{ms:>10.1} ms  {place:<width$}  {what}");
        }
        if self.dropped > 0 {
            let _ = writeln!(text, "… and {} more lines", self.dropped);
        }
        text
    }
}
