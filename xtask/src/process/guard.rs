//! The step between fork and exec that needs code of ours: give up root where a server
//! refuses it, and ask the kernel for a signal when xtask dies. xtask starts itself with
//! a hidden command, which does both in its own process and then becomes the program.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid};

/// The hidden command.
pub(crate) const COMMAND: &str = "__guard";

/// Exit code when the program could not be started, as shells use it.
const EXIT_NOT_STARTED: u8 = 127;

/// A user that a program runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The running program. Through `/proc`, so that it is found even after a build has
/// replaced the file: `cargo xtask test` builds xtask's own tests.
pub(crate) fn own_program() -> Result<OsString> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    Ok(std::env::current_exe().context("cannot find the own program")?.into())
}

/// A command that starts `program` under guard; its arguments are to be added.
pub(crate) fn command(
    program: &OsStr,
    on_death: Signal,
    identity: Option<Identity>,
) -> Result<Command> {
    let mut command = Command::new(own_program()?);
    command.arg(COMMAND).arg(std::process::id().to_string()).arg(on_death.as_str());
    match identity {
        Some(Identity { uid, gid }) => command.arg(format!("{uid}:{gid}")),
        None => command.arg("-"),
    };
    command.arg(program);
    Ok(command)
}

/// The hidden command's side: never returns when all goes well.
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    let error = match become_program(arguments) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    eprintln!("xtask: {error:#}");
    ExitCode::from(EXIT_NOT_STARTED)
}

fn become_program(arguments: &[OsString]) -> Result<std::convert::Infallible> {
    let [parent, on_death, identity, program, rest @ ..] = arguments else {
        bail!("{COMMAND} is for xtask's own use");
    };
    let text = |value: &OsString| value.to_str().map(str::to_owned).context("not UTF-8");
    let parent: u32 = text(parent)?.parse().context("parent")?;
    let on_death: Signal = text(on_death)?.parse().context("signal")?;
    if let Some((uid, gid)) = text(identity)?.split_once(':') {
        become_user(Identity { uid: uid.parse()?, gid: gid.parse()? })?;
    }
    // After the change of user, which clears it.
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(on_death).context("cannot ask for a parent-death signal")?;
    #[cfg(not(target_os = "linux"))]
    let _ = on_death;
    if std::os::unix::process::parent_id() != parent {
        bail!("xtask is gone");
    }
    let error = Command::new(program).args(rest).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

fn become_user(Identity { uid, gid }: Identity) -> Result<()> {
    let gid = Gid::from_raw(gid);
    // Not on Apple's systems, where nix has no safe call for it.
    #[cfg(not(target_vendor = "apple"))]
    nix::unistd::setgroups(&[gid]).context("cannot set groups")?;
    nix::unistd::setgid(gid).context("cannot change group")?;
    nix::unistd::setuid(Uid::from_raw(uid)).context("cannot change user")
}
