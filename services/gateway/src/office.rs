//! The office: the books behind a lock, with the journal beside them.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    books::{Books, Entry, Unfit},
    entries::{Amount, Balance, Charge, Refund},
    journal::{Journal, JournalError},
    totals::Totals,
    trouble::{Mischief, Trouble},
};

/// A gateway's state; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Office(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    desk: Mutex<Desk>,
    replayed: AtomicU64,
    mischief: Mischief,
}

#[derive(Debug, Default)]
struct Desk {
    books: Books,
    journal: Option<Journal>,
}

/// Why an entry could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The request does not fit the books.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// It could not be kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Office {
    /// A gateway that forgets everything when it ends.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// A gateway that keeps its entries in a file, and goes on from what is there. Blocks while it reads.
    ///
    /// # Errors
    /// The file cannot be opened, or holds something else.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let (journal, entries) = Journal::open(path)?;
        let office = Self::default();
        let mut desk = office.desk();
        for entry in entries {
            desk.books.enter(entry);
        }
        desk.journal = Some(journal);
        drop(desk);
        Ok(office)
    }

    /// Opens an account, or sets what it has.
    ///
    /// # Errors
    /// It is in another currency, or the journal cannot be written.
    pub async fn set_funds(&self, account: &str, funds: Amount) -> Result<(), EntryError> {
        self.enter(Entry::Account { account: account.to_owned(), funds }, |_| ()).await
    }

    /// Sets how it misbehaves.
    ///
    /// # Errors
    /// The shares make no sense.
    pub fn set_trouble(&self, trouble: Trouble) -> Result<(), &'static str> {
        trouble.check()?;
        self.mischief().set(trouble);
        Ok(())
    }

    /// The sums of all that was done. Walks through the books.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let replayed = self.0.replayed.load(Ordering::Relaxed);
        Totals::of(&self.desk().books, replayed, self.mischief().made())
    }

    /// What it did under a key, if it did.
    #[must_use]
    pub fn charge(&self, key: &str) -> Option<Charge> {
        self.desk().books.charge(key).cloned()
    }

    /// What it gave back under a key, if it did.
    #[must_use]
    pub fn refund(&self, key: &str) -> Option<Refund> {
        self.desk().books.refund(key).cloned()
    }

    /// How an account stands.
    #[must_use]
    pub fn account(&self, account: &str) -> Option<Balance> {
        self.desk().books.account(account).cloned()
    }

    pub(crate) fn mischief(&self) -> &Mischief {
        &self.0.mischief
    }

    /// Makes an entry, unless it was made before, and looks into the books after it.
    pub(crate) async fn enter<T: Send + 'static>(
        &self,
        entry: Entry,
        look: impl FnOnce(&Books) -> T + Send + 'static,
    ) -> Result<T, EntryError> {
        if self.desk().journal.is_none() {
            return self.enter_now(entry, look);
        }
        // Writing to a file blocks.
        let office = self.clone();
        let entered = tokio::task::spawn_blocking(move || office.enter_now(entry, look)).await;
        entered.map_err(|error| JournalError::Io(std::io::Error::other(error)))?
    }

    fn enter_now<T>(&self, entry: Entry, look: impl FnOnce(&Books) -> T) -> Result<T, EntryError> {
        let mut desk = self.desk();
        if desk.books.is_new(&entry)? {
            // First the file: an entry that nobody can read again has not been made.
            if let Some(journal) = &mut desk.journal {
                journal.write(&entry)?;
            }
            desk.books.enter(entry);
        } else {
            self.0.replayed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(look(&desk.books))
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
