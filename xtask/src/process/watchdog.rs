//! A second process that outlives xtask by a moment. It is told of every process group,
//! folder and container, and when its input ends (xtask has ended, however: also by
//! SIGKILL) it removes those that xtask did not.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, ExitCode, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::guard;

/// The hidden command.
pub(crate) const COMMAND: &str = "__watchdog";

/// How long an orphaned group may take after SIGTERM before it gets SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

static INPUT: Mutex<Option<ChildStdin>> = Mutex::new(None);

pub(crate) fn watch_group(group: Pid) -> Result<()> {
    tell(&format!("+group {group}"))
}

pub(crate) fn forget_group(group: Pid) {
    forget(&format!("-group {group}"));
}

pub(crate) fn watch_dir(path: &Path) -> Result<()> {
    tell(&format!("+dir {}", utf8(path)?))
}

pub(crate) fn forget_dir(path: &Path) {
    if let Ok(path) = utf8(path) {
        forget(&format!("-dir {path}"));
    }
}

pub(crate) fn watch_container(name: &str) -> Result<()> {
    tell(&format!("+container {name}"))
}

pub(crate) fn forget_container(name: &str) {
    forget(&format!("-container {name}"));
}

fn utf8(path: &Path) -> Result<&str> {
    match path.to_str() {
        Some(text) if !text.contains('\n') => Ok(text),
        _ => bail!("the temporary folder's name must be one line of UTF-8"),
    }
}

fn input() -> MutexGuard<'static, Option<ChildStdin>> {
    INPUT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(line: &str) -> Result<()> {
    let mut input = input();
    if input.is_none() {
        *input = Some(start()?);
    }
    if let Some(pipe) = input.as_mut() {
        writeln!(pipe, "{line}").context("the watchdog is gone")?;
    }
    Ok(())
}

/// Forgetting may fail only when the watchdog is gone, and then there is nothing to forget.
fn forget(line: &str) {
    if let Some(pipe) = input().as_mut() {
        let _ = writeln!(pipe, "{line}");
    }
}

/// In a process group of its own, so that Ctrl-C in a terminal does not reach it.
fn start() -> Result<ChildStdin> {
    let mut child = Command::new(guard::own_program()?)
        .arg(COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("cannot start the watchdog")?;
    child.stdin.take().context("the watchdog has no input")
}

/// What is left to remove.
#[derive(Debug, Default, PartialEq, Eq)]
struct Watched {
    groups: BTreeSet<i32>,
    dirs: BTreeSet<String>,
    containers: BTreeSet<String>,
}

impl Watched {
    fn hear(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("+group", id)) => self.groups.extend(id.parse::<i32>()),
            Some(("-group", id)) => self.groups.retain(|known| known.to_string() != id),
            Some(("+dir", path)) => drop(self.dirs.insert(path.to_owned())),
            Some(("-dir", path)) => drop(self.dirs.remove(path)),
            Some(("+container", name)) => drop(self.containers.insert(name.to_owned())),
            Some(("-container", name)) => drop(self.containers.remove(name)),
            _ => {}
        }
    }

    fn remove(&self) {
        for name in &self.containers {
            let _ = Command::new("docker").args(["rm", "-f", "-v", name]).status();
        }
        for group in &self.groups {
            let _ = killpg(Pid::from_raw(*group), Signal::SIGTERM);
        }
        let deadline = Instant::now() + GRACE;
        while self.any_alive() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        for group in &self.groups {
            let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
        }
        for path in &self.dirs {
            let _ = std::fs::remove_dir_all(path);
        }
    }

    fn any_alive(&self) -> bool {
        self.groups.iter().any(|group| killpg(Pid::from_raw(*group), None) != Err(Errno::ESRCH))
    }
}

/// The hidden command's side.
pub(crate) fn main() -> ExitCode {
    let mut watched = Watched::default();
    for line in std::io::stdin().lock().lines() {
        match line {
            Ok(line) => watched.hear(&line),
            Err(_) => break,
        }
    }
    watched.remove();
    ExitCode::SUCCESS
}

#[cfg(test)]
mod test {
    use super::Watched;

    #[test]
    fn what_was_forgotten_is_left_alone() {
        let mut watched = Watched::default();
        for line in ["+group 12", "+group 13", "+dir /a b", "+container c", "nonsense"] {
            watched.hear(line);
        }
        assert_eq!(watched.groups.len() + watched.dirs.len() + watched.containers.len(), 4);
        for line in ["-group 12", "-dir /a b", "-container c"] {
            watched.hear(line);
        }
        assert_eq!(watched, Watched { groups: [13].into(), ..Watched::default() });
    }
}
