//! Children that cannot outlive xtask: each leads a process group, is ended and reaped on
//! drop, gets a signal from the kernel when xtask dies, and is known to the watchdog.

pub(crate) mod guard;
pub(crate) mod watchdog;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::interrupt::{self, POLL};
use guard::Identity;

/// How much of a failed program's output an error repeats, in lines.
const TAIL_LINES: usize = 25;

/// Where a child's output goes.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// To the terminal.
    Inherit,
    /// Both to standard error: a command's own standard output may be read by a program.
    Stderr,
    /// Standard output to a pipe that the caller reads, the rest to the terminal.
    Pipe,
    /// Both to the end of a file.
    Log(PathBuf),
}

/// A program about to be started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    name: String,
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    env_remove: Vec<String>,
    dir: Option<PathBuf>,
    identity: Option<Identity>,
    output: Output,
    /// Sent to end it, with the time it then has before SIGKILL.
    stop: (Signal, Duration),
    /// Sent by the kernel when xtask dies.
    on_death: Signal,
}

impl Launch {
    pub(crate) fn new(name: &str, program: impl AsRef<OsStr>) -> Self {
        Self {
            name: name.to_owned(),
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            env_remove: Vec::new(),
            dir: None,
            identity: None,
            output: Output::Inherit,
            stop: (Signal::SIGTERM, Duration::from_secs(5)),
            on_death: Signal::SIGKILL,
        }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.env_remove.push(name.to_owned());
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    pub(crate) fn identity(mut self, identity: Option<Identity>) -> Self {
        self.identity = identity;
        self
    }

    pub(crate) fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    pub(crate) fn stop(mut self, signal: Signal, grace: Duration) -> Self {
        self.stop = (signal, grace);
        self
    }

    pub(crate) fn on_death(mut self, signal: Signal) -> Self {
        self.on_death = signal;
        self
    }

    /// Starts it. Only from the main thread: the kernel sends the death signal when the
    /// *thread* that started the child ends.
    pub(crate) fn spawn(self) -> Result<Process> {
        let mut command = guard::command(&self.program, self.on_death, self.identity)?;
        command.args(&self.args).stdin(Stdio::null()).process_group(0);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        for name in &self.env_remove {
            command.env_remove(name);
        }
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        match &self.output {
            Output::Inherit => {}
            Output::Stderr => {
                command.stdout(std::io::stderr().as_fd().try_clone_to_owned()?);
            }
            Output::Pipe => drop(command.stdout(Stdio::piped())),
            Output::Log(path) => {
                let log = File::options().create(true).append(true).open(path);
                let log = log.with_context(|| format!("cannot write {}", path.display()))?;
                command.stdout(log.try_clone()?).stderr(log);
            }
        }
        let child = command.spawn().with_context(|| format!("cannot start {}", self.name))?;
        let group = Pid::from_raw(i32::try_from(child.id()).context("process id")?);
        let process = Process { child, group, launch: self, asked: false, ended: None };
        watchdog::watch_group(group)?;
        Ok(process)
    }

    /// Starts it and waits for its good end, at most `limit`; else the error has the last
    /// lines of its log, where it has one.
    pub(crate) fn run(self, limit: Duration) -> Result<()> {
        let mut process = self.spawn()?;
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = process.try_wait()? {
                break status;
            }
            if Instant::now() >= deadline {
                bail!("{} did not end within {limit:?}{}", process.launch.name, process.tail());
            }
            interrupt::pause()?;
        };
        if !status.success() {
            bail!("{} failed ({status}){}", process.launch.name, process.tail());
        }
        Ok(())
    }
}

/// A running child.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Pid,
    launch: Launch,
    /// Whether it was asked to end: a second signal may mean more.
    asked: bool,
    ended: Option<ExitStatus>,
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its exit status, if it has ended.
    pub(crate) fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().context("cannot wait")?;
            if self.ended.is_some() {
                self.end_group();
            }
        }
        Ok(self.ended)
    }

    /// Waits for its end, or for a signal that asks xtask to stop.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            interrupt::pause()?;
        }
    }

    /// An error with the last lines of its log if it has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.try_wait()? {
            Some(status) => bail!("{} ended ({status}){}", self.launch.name, self.tail()),
            None => Ok(()),
        }
    }

    /// The last lines of its log, if it has one, to be appended to a message.
    pub(crate) fn tail(&self) -> String {
        let Output::Log(path) = &self.launch.output else { return String::new() };
        let bytes = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n  ");
        format!("; the end of {}:\n  {last}", path.display())
    }

    /// How to start it again.
    pub(crate) fn launch(&self) -> &Launch {
        &self.launch
    }

    /// Asks it to end, once, and does not wait.
    pub(crate) fn ask_to_stop(&mut self) {
        if self.ended.is_none() && !self.asked {
            let _ = killpg(self.group, self.launch.stop.0);
        }
        self.asked = true;
    }

    /// Asks it to end, waits, and kills what is left of its group.
    pub(crate) fn stop(&mut self) {
        self.ask_to_stop();
        let grace = self.launch.stop.1;
        let deadline = Instant::now() + grace;
        while matches!(self.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        if self.ended.is_none() {
            eprintln!("xtask: {} did not stop within {grace:?} and is killed", self.launch.name);
            let _ = killpg(self.group, Signal::SIGKILL);
            self.ended = self.child.wait().ok();
            self.end_group();
        }
    }

    /// Once the leader is reaped: nothing else of its group stays.
    fn end_group(&self) {
        let _ = killpg(self.group, Signal::SIGKILL);
        watchdog::forget_group(self.group);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}
