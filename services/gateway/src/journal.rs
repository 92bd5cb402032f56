//! The journal: every entry of the books, one JSON line each, so that a restart knows them again. It
//! outlives the process; it is not forced to the disk, so it may not outlive a power failure.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use crate::books::Entry;

/// The journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file system refused.
    #[error("the journal cannot be read or written")]
    Io(#[from] std::io::Error),
    /// A line is no entry.
    #[error("line {line} of the journal is no entry")]
    Line {
        /// From 1.
        line: usize,
        /// Why.
        #[source]
        why: serde_json::Error,
    },
    /// An earlier line was cut short: the file and the books may differ.
    #[error("the journal broke earlier; restart to go on from what it holds")]
    Broken,
}

#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    broken: bool,
}

impl Journal {
    /// Opens or makes the file, and reads what it holds. A last line without its end was being written when
    /// the process died, and nobody got an answer for it: it is cut off.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Entry>), JournalError> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let (mut entries, mut whole, mut text) = (vec![], 0, String::new());
        let mut reader = BufReader::new(&file);
        for line in 1.. {
            text.clear();
            let bytes = reader.read_line(&mut text)?;
            if bytes == 0 || !text.ends_with('\n') {
                break;
            }
            let entry = serde_json::from_str(&text);
            entries.push(entry.map_err(|why| JournalError::Line { line, why })?);
            whole += bytes as u64;
        }
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole))?;
        Ok((Self { file, broken: false }, entries))
    }

    pub(crate) fn write(&mut self, entry: &Entry) -> Result<(), JournalError> {
        if self.broken {
            return Err(JournalError::Broken);
        }
        let mut line = serde_json::to_vec(entry).map_err(std::io::Error::other)?;
        line.push(b'\n');
        self.file.write_all(&line).inspect_err(|_| self.broken = true)?;
        Ok(())
    }
}
