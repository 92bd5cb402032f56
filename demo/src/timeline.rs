//! One order's way through the services, as a list of what was stated when.

use quadrille::{runtime::Timestamp, store::RecordedEvent};

/// What was stated about one order.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    lines: Vec<(Timestamp, &'static str, String)>,
}

impl Timeline {
    pub(crate) fn note(&mut self, service: &'static str, event: &RecordedEvent) {
        self.lines.push((event.time, service, event.event_type.to_string()));
    }

    /// One line an event, in the order of the clock, with the time since the first.
    pub(crate) fn print(&mut self, title: &str) -> String {
        self.lines.sort();
        let start = self.lines.first().map(|(at, ..)| *at).unwrap_or_default();
        let mut text = format!("{title}\n");
        for (at, service, event_type) in &self.lines {
            let ms = at.since(start).as_secs_f64() * 1000.0;
            text.push_str(&format!("  {ms:>9.1} ms  {service:<10} {event_type}\n"));
        }
        text
    }
}
