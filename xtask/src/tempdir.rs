//! Temporary folders that are gone afterwards, also when xtask is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::process::watchdog;

/// A folder under the system's temporary folder, removed on drop or by the watchdog.
#[derive(Debug)]
pub(crate) struct TempDir {
    path: PathBuf,
}

impl TempDir {
    /// Makes a new, empty folder that other users can enter but not change: a database
    /// server that refuses root runs as another user.
    pub(crate) fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let path = parent.join(format!("quadrille-{}-{now:x}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        watchdog::watch_dir(&path)?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("xtask: cannot remove {}: {error}", self.path.display());
            return;
        }
        watchdog::forget_dir(&self.path);
    }
}
