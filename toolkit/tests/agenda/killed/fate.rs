//! When a process dies: at one call of a port that concerns one booking, before it or after it.

use std::sync::{Mutex, PoisonError};

use quadrille::{
    id::AgendaId,
    store::{AgendaChange, AgendaItem, Append, NewEvent},
};
use tokio::sync::watch;

/// How a life stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    UnderWay,
    /// The booking's end is durable, and the process has heard so.
    Finished,
    Dead,
}

/// At which of its moments a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dies {
    Never,
    /// Counted from 0.
    At(usize),
    /// At the first of this name.
    AtFirst(&'static str),
}

/// Counts the moments of one booking, and ends the process at one of them. From then on no call comes
/// through or back: a process that is killed hears nothing more.
#[derive(Debug)]
pub struct Fate {
    booking: String,
    dies: Dies,
    life: watch::Sender<Life>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    moments: Vec<&'static str>,
    item: Option<AgendaId>,
}

impl Fate {
    pub fn new(booking: &str, dies: Dies) -> Self {
        let life = watch::Sender::new(Life::UnderWay);
        Self { booking: booking.to_owned(), dies, life, seen: Mutex::default() }
    }

    /// Waits until it is dead, or has finished.
    pub async fn decided(&self) {
        let mut life = self.life.subscribe();
        life.wait_for(|life| *life != Life::UnderWay).await.expect("the sender is here");
    }

    pub fn has_died(&self) -> bool {
        *self.life.borrow() == Life::Dead
    }

    /// The moments that it has seen; the last is where it died, if it did.
    pub fn moments(&self) -> Vec<&'static str> {
        self.with(|seen| seen.moments.clone())
    }

    /// The dead make no calls.
    pub async fn alive(&self) {
        if *self.life.borrow() == Life::Dead {
            std::future::pending().await
        }
    }

    /// A moment of some booking.
    pub async fn moment(&self, name: &'static str, booking: &str) {
        if booking == self.booking {
            let count = self.with(|seen| {
                seen.moments.push(name);
                seen.moments.len()
            });
            let dies = match self.dies {
                Dies::Never => false,
                Dies::At(at) => at < count,
                Dies::AtFirst(moment) => moment == name,
            };
            if dies {
                self.life.send_replace(Life::Dead);
            }
        }
        self.alive().await;
    }

    /// A moment of an append, when it has to do with the booking.
    pub async fn moment_of(&self, name: &'static str, append: &Append) {
        if self.concerns(append) {
            self.moment_of_its_own(name).await;
        }
        self.alive().await;
    }

    pub async fn moment_of_its_own(&self, name: &'static str) {
        self.moment(name, &self.booking).await;
    }

    /// An append is committed, and known to be.
    pub fn committed(&self, append: &Append) {
        let ends = |event: &NewEvent| {
            ["PAID", "EXPIRED"].contains(&&*event.event_type) && self.is_of(event.stream.as_str())
        };
        if append.events.iter().any(ends) {
            self.life.send_replace(Life::Finished);
        }
    }

    /// Items were claimed.
    pub async fn claimed(&self, items: &[AgendaItem]) {
        for item in items {
            self.moment("claimed", &item.key).await;
        }
    }

    pub fn is_of(&self, stream: &str) -> bool {
        stream.rsplit_once('/').is_some_and(|(_, key)| key == self.booking)
    }

    fn concerns(&self, append: &Append) -> bool {
        let changes = append.agenda.iter().filter(|change| match change {
            AgendaChange::Put(item) if *item.key == *self.booking => {
                self.with(|seen| seen.item = Some(item.id));
                true
            }
            change => self.with(|seen| seen.item == Some(change.id())),
        });
        changes.count() > 0 || append.events.iter().any(|event| self.is_of(event.stream.as_str()))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
