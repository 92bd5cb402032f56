//! Servers of one's own, which may be killed: `cargo xtask up` starts them, and starts them again on the
//! same data and at the same address when they die.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    place::{Place, variable},
    wait,
};

/// From nothing to servers that answer, on a busy machine, with Kafka's files to be fetched.
const START_LIMIT: Duration = Duration::from_secs(300);
/// From a kill to the first answer.
const RETURN_LIMIT: Duration = Duration::from_secs(90);
/// For both to stop in peace.
const END_LIMIT: Duration = Duration::from_secs(60);

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Kafka: one process.
    Kafka,
    /// PostgreSQL: a postmaster and its children.
    Postgres,
}

impl Server {
    /// The variable that has its address.
    fn variable(self) -> &'static str {
        match self {
            Self::Kafka => "QUADRILLE_TEST_KAFKA",
            Self::Postgres => "QUADRILLE_TEST_POSTGRES",
        }
    }

    fn id_variable(self) -> String {
        format!("{}_PID", self.variable())
    }
}

/// The `KEY=value` lines that were printed so far; a later value replaces an earlier one.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<BTreeMap<String, String>>>);

impl Lines {
    fn get(&self, key: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Reads until the output ends.
    fn read(&self, output: ChildStdout) {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some((key, value)) = line.split_once('=') {
                let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                lines.insert(key.to_owned(), value.to_owned());
            }
        }
    }
}

/// A broker and a PostgreSQL that nobody else uses. They are gone when this is dropped.
#[derive(Debug)]
pub struct OwnServers {
    xtask: Child,
    lines: Lines,
}

impl OwnServers {
    /// Starts both. The name is that of their output's folder; two of one name cannot run at once.
    ///
    /// # Errors
    /// When they do not start.
    pub async fn start(name: &str) -> Result<Self> {
        let mut xtask = Command::new(variable("QUADRILLE_XTASK")?)
            .args(["up", "--only-servers", "--restart", "--servers", "local", "--name", name])
            .env_remove(Server::Kafka.variable())
            .env_remove(Server::Postgres.variable())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start servers")?;
        let output = xtask.stdout.take().context("no output")?;
        let mut servers = Self { xtask, lines: Lines::default() };
        let lines = servers.lines.clone();
        // It ends with the output.
        std::thread::spawn(move || lines.read(output));
        wait::until("servers to start", START_LIMIT, async || {
            let ended = servers.xtask.try_wait()?;
            ensure!(ended.is_none(), "no servers: {ended:?}");
            // Both lines of both servers; the last is the sign.
            Ok([Server::Kafka, Server::Postgres]
                .iter()
                .all(|it| servers.lines.get(&it.id_variable()).is_some()))
        })
        .await?;
        Ok(servers)
    }

    /// Where a stack on these servers runs.
    ///
    /// # Errors
    /// None once they have started.
    pub fn place(&self, program: impl Into<PathBuf>) -> Result<Place> {
        let address = |server: Server| self.lines.get(server.variable()).context("no address");
        let (kafka, postgres) = (address(Server::Kafka)?, address(Server::Postgres)?);
        Ok(Place { kafka, postgres, program: program.into() })
    }

    fn process(&self, server: Server) -> Result<Pid> {
        let id = self.lines.get(&server.id_variable()).context("no such server")?;
        Ok(Pid::from_raw(id.parse()?))
    }

    /// Sends a signal to a server's first process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, server: Server, signal: Signal) -> Result<()> {
        Ok(kill(self.process(server)?, signal)?)
    }

    /// SIGKILL for a server and its children. It comes back by itself: see
    /// [`until_back`](Self::until_back).
    ///
    /// # Errors
    /// When it has ended before.
    pub fn kill(&self, server: Server) -> Result<Killed> {
        let process = self.process(server)?;
        // Stopped, it makes no child between the look and the kill.
        kill(process, Signal::SIGSTOP)?;
        let children = children(process)?;
        kill(process, Signal::SIGKILL)?;
        for child in &children {
            // One that notices its parent's end may have ended before.
            let _ = kill(*child, Signal::SIGKILL);
        }
        Ok(Killed { server, process, children: children.len() })
    }

    /// Waits until a killed server answers again.
    ///
    /// # Errors
    /// When it does not.
    pub async fn until_back(&mut self, killed: &Killed) -> Result<()> {
        let Killed { server, process, .. } = killed;
        wait::until(&format!("{server:?} to come back"), RETURN_LIMIT, async || {
            let ended = self.xtask.try_wait()?;
            ensure!(ended.is_none(), "the servers have ended: {ended:?}");
            Ok(self.process(*server)? != *process)
        })
        .await
    }

    /// Ends both in peace.
    ///
    /// # Errors
    /// When they do not end.
    pub async fn end(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.xtask.id())?), Signal::SIGTERM)?;
        let mut status = None;
        wait::until("servers to end", END_LIMIT, async || {
            status = self.xtask.try_wait()?;
            Ok(status.is_some())
        })
        .await?;
        ensure!(status.is_some_and(|it| it.success()), "the servers ended: {status:?}");
        Ok(())
    }
}

impl Drop for OwnServers {
    /// What xtask does not end any more, its watchdog does.
    fn drop(&mut self) {
        let _ = self.xtask.kill();
        let _ = self.xtask.wait();
    }
}

/// A server that was killed.
#[derive(Clone, Debug)]
pub struct Killed {
    server: Server,
    process: Pid,
    /// How many of its children died with it.
    pub children: usize,
}

/// The children of a process, as Linux tells; elsewhere those of a dead postmaster end by themselves.
fn children(parent: Pid) -> Result<Vec<Pid>> {
    let mut found = vec![];
    if !cfg!(target_os = "linux") {
        return Ok(found);
    }
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One may have ended since.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if parent_in(&stat) == Some(parent) {
            found.push(Pid::from_raw(id));
        }
    }
    Ok(found)
}

/// `id (name) state parent …`, where the name may hold anything.
fn parent_in(stat: &str) -> Option<Pid> {
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(Pid::from_raw(rest.split(' ').nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_found_behind_any_name() {
        let stat = "17 (postgres: io (x) ) S 12 17 17 0 -1";
        assert_eq!(parent_in(stat), Some(Pid::from_raw(12)));
        assert_eq!(parent_in(""), None);
    }
}
