//! The demo's laws, asked of what the tables and the services say.

use anyhow::{Result, bail};
use demo::audit::{Audit, Books};

/// Asks all of them.
///
/// # Errors
/// The laws that do not hold.
pub fn check(audit: &Audit, books: &Books) -> Result<()> {
    let laws = audit.laws(books);
    let broken: Vec<_> = laws.iter().filter(|law| !law.holds()).collect();
    if broken.is_empty() && !laws.is_empty() { Ok(()) } else { bail!("broken: {broken:#?}") }
}
