//! A place where calls of a port can be held up.

use tokio::sync::watch;

/// Lets everyone through, until someone shuts it.
#[derive(Debug)]
pub struct Turnstile {
    shut: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Default for Turnstile {
    fn default() -> Self {
        Self { shut: watch::Sender::new(false), waiting: watch::Sender::new(0) }
    }
}

impl Turnstile {
    /// Whoever comes from now on waits.
    pub fn shut(&self) {
        self.shut.send_replace(true);
    }

    /// Lets everyone go on.
    pub fn open(&self) {
        self.shut.send_replace(false);
    }

    /// Resolves when someone waits here.
    pub async fn someone_waits(&self) {
        // The sender is ours: there is always an answer.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }

    pub(super) async fn pass(&self) {
        let mut shut = self.shut.subscribe();
        if *shut.borrow() {
            let _waits = Waits::at(self);
            let _ = shut.wait_for(|shut| !shut).await;
        }
    }
}

/// Someone who waits, also one that is given up.
struct Waits<'a>(&'a Turnstile);

impl<'a> Waits<'a> {
    fn at(turnstile: &'a Turnstile) -> Self {
        turnstile.waiting.send_modify(|waiting| *waiting += 1);
        Self(turnstile)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}
