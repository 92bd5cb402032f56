//! Real PostgreSQL and Kafka: from the environment, from Docker, or from this machine.

mod docker;
mod kafka;
mod machine;
mod maven;
mod ports;
mod postgres;
mod probe;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cli::Source;
use crate::interrupt;
use crate::process::Process;
use crate::tempdir::TempDir;
use crate::workspace::Workspace;

pub(crate) use machine::require_compilers;
pub(crate) use ports::free as free_ports;

/// From the start of a server to its first answer.
const START_LIMIT: Duration = Duration::from_secs(90);
/// From the death of a server that is to come back to its first answer.
const RETURN_LIMIT: Duration = Duration::from_secs(90);
/// One that does not stay up is not started more often than this.
const RETURN_PAUSE: Duration = Duration::from_millis(500);
/// A given server must answer within this time.
const GIVEN_LIMIT: Duration = Duration::from_secs(10);
/// A free port may be taken by someone else before the server binds it.
const START_ATTEMPTS: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Kafka,
}

impl Kind {
    pub(crate) const ALL: [Kind; 2] = [Kind::Postgres, Kind::Kafka];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Postgres => "PostgreSQL",
            Kind::Kafka => "Kafka",
        }
    }

    /// The variable that has the server's address.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Kind::Postgres => "QUADRILLE_TEST_POSTGRES",
            Kind::Kafka => "QUADRILLE_TEST_KAFKA",
        }
    }

    fn lower(self) -> &'static str {
        match self {
            Kind::Postgres => "postgres",
            Kind::Kafka => "kafka",
        }
    }
}

/// A server that answers; it ends when this is dropped, unless it was given.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    /// What the variable holds: a URL, or bootstrap servers.
    pub(crate) address: String,
    /// Version and origin, for people.
    pub(crate) origin: String,
    process: Option<Process>,
    /// Dropped after the process.
    container: Option<docker::Container>,
}

impl Server {
    fn own(kind: Kind, address: String, origin: String, process: Process) -> Self {
        Self { kind, address, origin, process: Some(process), container: None }
    }

    /// Its process id, where the server itself is a child of ours.
    pub(crate) fn process_id(&self) -> Option<u32> {
        let in_container = self.container.is_some();
        self.process.as_ref().filter(|_| !in_container).map(Process::id)
    }

    /// An error if it was ours and has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        self.process.as_mut().map_or(Ok(()), Process::check_alive)
    }

    /// Starts it again if it was ours and has ended: on its data and at its address. True when it was. A
    /// container takes its data with it, so its end stays an error.
    fn start_again(&mut self) -> Result<bool> {
        let Some(process) = &mut self.process else { return Ok(false) };
        if process.try_wait()?.is_none() {
            return Ok(false);
        }
        if self.container.is_some() {
            process.check_alive()?;
        }
        eprintln!("xtask: {} has died{}", self.kind.name(), process.tail());
        *process = process.launch().clone().spawn()?;
        Ok(true)
    }

    /// Waits until it answers; one that does not stay up is started again and again.
    fn wait_until_back(&mut self) -> Result<()> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let mut started = Instant::now();
        let keep_up = || {
            // PostgreSQL refuses to start while a child of its predecessor lives.
            if started.elapsed() >= RETURN_PAUSE && process.try_wait()?.is_some() {
                started = Instant::now();
                *process = process.launch().clone().spawn()?;
            }
            Ok(())
        };
        let probe = || probe_at(self.kind, &self.address, Duration::ZERO);
        interrupt::wait_for(RETURN_LIMIT, keep_up, probe)
            .with_context(|| format!("{} does not come back", self.kind.name()))?;
        eprintln!("xtask: {} is back", self.kind.name());
        Ok(())
    }

    /// `KEY=value` lines: its address, and its process where that is ours.
    pub(crate) fn lines(&self) -> Vec<String> {
        let key = self.kind.variable();
        let mut lines = vec![format!("{key}={}", self.address)];
        lines.extend(self.process_id().map(|id| format!("{key}_PID={id}")));
        lines
    }
}

/// Which servers are wanted, beside the kinds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Names the folder of the servers' output.
    pub(crate) name: &'a str,
    /// Where own servers come from.
    pub(crate) source: Source,
    /// Where their data is kept, if it is.
    pub(crate) data: Option<&'a Path>,
    /// Whether they are to be fast rather than soon there: for figures.
    pub(crate) steady: bool,
}

/// Where a server keeps its files.
#[derive(Debug, Clone)]
struct Place {
    /// Data; kept when the user named it.
    data: PathBuf,
    /// Files of this run only.
    run: PathBuf,
    /// What was downloaded, kept for the next run.
    cache: PathBuf,
    /// The server's output.
    log: PathBuf,
    /// Fast when it has run for a while, rather than soon there.
    steady: bool,
}

/// The servers of one command.
#[derive(Debug)]
pub(crate) struct Servers {
    running: Vec<Server>,
    /// Dropped after the servers.
    _run: TempDir,
}

impl Servers {
    /// Makes servers of these kinds available and says which.
    pub(crate) fn start(
        workspace: &Workspace,
        kinds: &[Kind],
        wanted: &Wanted<'_>,
    ) -> Result<Self> {
        let run = TempDir::new()?;
        let mut servers = Self { running: Vec::new(), _run: run };
        for kind in kinds {
            let server = servers
                .provide(workspace, *kind, wanted)
                .with_context(|| format!("no {}", kind.name()))?;
            eprintln!("xtask: {} at {}", server.origin, shown(&server.address));
            servers.running.push(server);
        }
        Ok(servers)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Server> {
        self.running.iter()
    }

    /// An error if one of our own servers has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        self.running.iter_mut().try_for_each(Server::check_alive)
    }

    /// Brings back those that have died, all at the same time; the lines of those that were.
    pub(crate) fn bring_back(&mut self) -> Result<Vec<String>> {
        let mut started = vec![];
        for server in &mut self.running {
            if server.start_again()? {
                started.push(server);
            }
        }
        let mut lines = vec![];
        for server in started {
            server.wait_until_back()?;
            lines.extend(server.lines());
        }
        Ok(lines)
    }

    /// The address of the server of a kind.
    pub(crate) fn address(&self, kind: Kind) -> Result<&str> {
        let server = self.running.iter().find(|server| server.kind == kind);
        Ok(&server.with_context(|| format!("no {}", kind.name()))?.address)
    }

    fn provide(&self, workspace: &Workspace, kind: Kind, wanted: &Wanted<'_>) -> Result<Server> {
        let address = std::env::var(kind.variable()).ok().filter(|it| !it.is_empty());
        if let (Some(address), None) = (address, wanted.data) {
            return given(kind, address);
        }
        let place = self.place(workspace, kind, wanted)?;
        if wanted.source != Source::Local && wanted.data.is_none() {
            match docker::start(kind, &place) {
                Ok(server) => return Ok(server),
                Err(error) if wanted.source == Source::Docker || interrupt::asked() => {
                    return Err(error);
                }
                Err(error) => {
                    eprintln!("xtask: {}: not from Docker: {error}", kind.name());
                }
            }
        }
        start_local(kind, &place)
    }

    fn place(&self, workspace: &Workspace, kind: Kind, wanted: &Wanted<'_>) -> Result<Place> {
        let run = self._run.path().join(kind.lower());
        std::fs::create_dir_all(&run)?;
        let data = match wanted.data {
            Some(dir) => std::path::absolute(dir)?.join(kind.lower()),
            None => run.join("data"),
        };
        let logs = workspace.own_dir(&format!("logs/{}", wanted.name))?;
        let log = logs.join(format!("{}.log", kind.lower()));
        match std::fs::remove_file(&log) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        Ok(Place { data, run, cache: workspace.own_dir("cache")?, log, steady: wanted.steady })
    }
}

impl Drop for Servers {
    /// Last started, first stopped.
    fn drop(&mut self) {
        while let Some(server) = self.running.pop() {
            drop(server);
        }
    }
}

/// Makes a database with a role of the same name that may only log in, unless they are there:
/// nothing is dropped. Returns the URLs of its owner, who is the given URL's user, and of the role.
pub(crate) fn make_database(url: &str, name: &str) -> Result<(String, String)> {
    let (user, address) = probe::postgres_parts(url)?;
    let make = |statement: String, there: &str| match probe::postgres_run(
        &address,
        &user,
        "postgres",
        &[statement],
    ) {
        Err(error) if format!("{error:#}").contains(there) => Ok(()),
        other => other,
    };
    make(format!("CREATE DATABASE {name}"), "42P04")
        .and_then(|()| make(format!("CREATE ROLE {name} LOGIN"), "42710"))
        .with_context(|| format!("cannot make the database {name}"))?;
    let url = |user: &str| format!("postgres://{user}@{address}/{name}");
    Ok((url(&user), url(name)))
}

fn start_local(kind: Kind, place: &Place) -> Result<Server> {
    let mut attempt = 1;
    loop {
        let started = match kind {
            Kind::Postgres => postgres::start(place),
            Kind::Kafka => kafka::start(place),
        };
        match started {
            Err(error) if attempt < START_ATTEMPTS && port_was_taken(&error) => attempt += 1,
            other => return other,
        }
    }
}

fn port_was_taken(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("Address already in use")
}

/// A server that the environment names: it must answer.
fn given(kind: Kind, address: String) -> Result<Server> {
    let version = match probe_at(kind, &address, GIVEN_LIMIT) {
        Ok(version) => version,
        Err(error) => bail!("{} does not answer: {error:#}", kind.variable()),
    };
    let origin = format!("{version}, given by {}", kind.variable());
    Ok(Server { kind, address, origin, process: None, container: None })
}

/// The version of a server that answers within the limit.
fn probe_at(kind: Kind, address: &str, limit: Duration) -> Result<String> {
    match kind {
        Kind::Postgres => probe::postgres_at(address, limit),
        Kind::Kafka => probe::kafka_at(address, limit),
    }
}

/// An address without its password.
fn shown(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    match rest.rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}")
        }
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod test {
    use super::shown;

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(shown("postgres://me:se@cret@h:1/db"), "postgres://me@h:1/db");
        assert_eq!(shown("postgres://h:1/db"), "postgres://h:1/db");
        assert_eq!(shown("h:9092,i:9092"), "h:9092,i:9092");
    }
}
