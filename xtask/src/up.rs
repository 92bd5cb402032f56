//! `up` and `down`: servers and services for work by hand.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cli::{DownArgs, UpArgs};
use crate::interrupt;
use crate::servers::{self, Kind, Server, Servers, Wanted};
use crate::services::{self, Services};
use crate::workspace::Workspace;

/// Servers stop within seconds, services drain within 30 s.
const DOWN_LIMIT: Duration = Duration::from_secs(60);

/// Starts servers and services, prints `KEY=value` lines, and stays until a signal.
pub(crate) fn up(workspace: &Workspace, args: &UpArgs) -> Result<bool> {
    let _lock = lock_for_up(workspace, &args.name)?;
    if !args.only_servers {
        servers::require_compilers()?;
        services::build(workspace, args)?;
    }
    let wanted = Wanted {
        name: &args.name,
        source: args.servers,
        data: args.data.as_deref(),
        steady: false,
    };
    let mut servers = Servers::start(workspace, &Kind::ALL, &wanted)?;
    print(&servers.iter().flat_map(Server::lines).collect::<Vec<_>>())?;
    // Made after the servers, so dropped before them: services drain into servers that answer.
    let mut services = None;
    if !args.only_servers {
        let started = services.insert(Services::start(workspace, &servers, args)?);
        print(&started.lines())?;
    }
    eprintln!("xtask: up; Ctrl-C or `cargo xtask down` ends it");
    while interrupt::pause().is_ok() {
        if args.restart {
            print(&servers.bring_back()?)?;
        } else {
            servers.check_alive()?;
        }
        services.as_mut().map_or(Ok(()), Services::watch)?;
    }
    drop(services);
    drop(servers);
    eprintln!("xtask: down");
    Ok(true)
}

/// For programs that read on: nothing stays in a buffer.
fn print(lines: &[String]) -> Result<()> {
    let mut output = std::io::stdout().lock();
    for line in lines {
        writeln!(output, "{line}")?;
    }
    Ok(output.flush()?)
}

/// Ends the running `up` of this repository, if there is one.
pub(crate) fn down(workspace: &Workspace, args: &DownArgs) -> Result<bool> {
    let mut file = open_lock(workspace, &args.name)?;
    if file.try_lock().is_ok() {
        eprintln!("xtask: nothing is up");
        return Ok(true);
    }
    let mut id = String::new();
    file.read_to_string(&mut id)?;
    let id = id.trim().parse().context("`up` is just starting; try again")?;
    kill(Pid::from_raw(id), Signal::SIGTERM).context("cannot signal `up`")?;
    interrupt::wait_for(DOWN_LIMIT, || Ok(()), || Ok(file.try_lock()?))
        .context("`up` does not end")?;
    eprintln!("xtask: down");
    Ok(true)
}

/// A lock that lives as long as its process, however that ends: a left-over file is
/// never mistaken for a running `up`.
fn lock_for_up(workspace: &Workspace, name: &str) -> Result<File> {
    let mut file = open_lock(workspace, name)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("already up; `cargo xtask down` ends it"),
        Err(TryLockError::Error(error)) => return Err(error).context("cannot lock"),
    }
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())?;
    Ok(file)
}

fn open_lock(workspace: &Workspace, name: &str) -> Result<File> {
    let path: PathBuf = workspace.own_dir("run")?.join(format!("{name}.pid"));
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    options.open(&path).with_context(|| format!("cannot open {}", path.display()))
}
