//! Progress on the terminal; a line now and then where there is none.

use std::{
    io::IsTerminal,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Progress {
    placed: ProgressBar,
    ended: ProgressBar,
    last_line: Option<Mutex<Instant>>,
}

impl Progress {
    pub(crate) fn new(sagas: u64) -> Self {
        let bars = MultiProgress::new();
        let style = ProgressStyle::with_template("{msg:>7} {bar:40} {pos:>8}/{len} {per_sec}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = |name: &'static str| {
            bars.add(ProgressBar::new(sagas).with_style(style.clone()).with_message(name))
        };
        let last_line = (!std::io::stderr().is_terminal()).then(|| Mutex::new(Instant::now()));
        Self { placed: bar("placed"), ended: bar("ended"), last_line }
    }

    /// Says which part of the story begins.
    pub(crate) fn part(&self, title: &str) {
        self.placed.suspend(|| crate::say(&format!("· {title}")));
    }

    pub(crate) fn placed(&self, count: u64) {
        self.placed.set_position(count);
    }

    pub(crate) fn ended(&self, count: u64) {
        self.ended.set_position(count);
        let Some(last) = &self.last_line else { return };
        let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            crate::say(&format!(
                "placed {}, ended {count} of {}",
                self.placed.position(),
                self.ended.length().unwrap_or(0)
            ));
        }
    }

    pub(crate) fn done(&self) {
        self.placed.finish_and_clear();
        self.ended.finish_and_clear();
    }
}
