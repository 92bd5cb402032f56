//! Where a command's result goes, and how it fails.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Why a command ends with exit code 1.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A file could not be written.
    File(PathBuf, io::Error),
    /// Standard output could not be written.
    Stdout(io::Error),
    /// The command line does not say enough, or what cannot be meant.
    Usage(String),
    /// It could not be done.
    Said(String),
    /// The choreography has problems, one a line.
    Found(Vec<String>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "cannot write {}: {error}", path.display()),
            Self::Stdout(error) => write!(f, "cannot write to standard output: {error}"),
            Self::Usage(text) | Self::Said(text) => f.write_str(text),
            Self::Found(lines) => f.write_str(&lines.join("\n")),
        }
    }
}

/// Writes a result to a file, or to standard output.
pub(crate) fn write(text: &str, file: Option<&Path>) -> Result<(), Failure> {
    match file {
        Some(path) => fs::write(path, text).map_err(|error| Failure::File(path.to_owned(), error)),
        None => to_stdout(text),
    }
}

fn to_stdout(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // The reader has seen enough: `quadrille graph | head -1` is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Failure::Stdout),
    }
}

/// Says on standard error why a command failed.
pub(crate) fn complain(failure: &Failure) {
    // When standard error is closed, nobody listens, and the exit code still tells.
    let _ = writeln!(io::stderr().lock(), "{failure}");
}
