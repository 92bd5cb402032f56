//! What the engine says in the log of its process.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::DefaultGuard,
};

/// Hears all warnings and errors of this thread while it is there; tests have a thread each.
pub struct Said {
    lines: Arc<Mutex<Vec<String>>>,
    _listening: DefaultGuard,
}

impl Said {
    /// Begins to listen.
    pub fn listen() -> Self {
        let lines = Arc::new(Mutex::default());
        let ears = Ears { lines: Arc::clone(&lines), spans: AtomicU64::new(1) };
        Self { lines, _listening: tracing::subscriber::set_default(ears) }
    }

    /// How many lines have these words.
    pub fn count(&self, words: &str) -> usize {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| line.contains(words)).count()
    }
}

struct Ears {
    lines: Arc<Mutex<Vec<String>>>,
    spans: AtomicU64,
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Ears {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(message.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
