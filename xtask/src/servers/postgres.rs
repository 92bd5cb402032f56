//! PostgreSQL on this machine: as installed, else its binaries from Maven.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use super::machine::{self, TAR, UNZIP, XZ};
use super::maven::{self, Bundle};
use super::{Kind, Place, START_LIMIT, Server, ports, probe};
use crate::interrupt;
use crate::process::guard::Identity;
use crate::process::{Launch, Output, Process};

/// The oldest version that the store supports.
const OLDEST: u32 = 15;
/// The version that is taken from Maven.
const PUBLISHED: &str = "17.11.0";
const INITDB_LIMIT: Duration = Duration::from_secs(60);
const UNPACK_LIMIT: Duration = Duration::from_secs(60);
/// For a fast shutdown: sessions are ended, a checkpoint is written.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Every session of every suite at once, with room.
const MAX_CONNECTIONS: u32 = 300;
const SHARED_BUFFERS: &str = "256MB";

/// Durable as in production (`fsync`, `synchronous_commit`), or tests and figures would
/// speak of another server.
pub(super) fn settings() -> Vec<String> {
    let settings = [
        "fsync=on".to_owned(),
        "synchronous_commit=on".to_owned(),
        format!("max_connections={MAX_CONNECTIONS}"),
        format!("shared_buffers={SHARED_BUFFERS}"),
    ];
    settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]).collect()
}

/// The folder with `initdb` and `postgres`, and where it is from.
#[derive(Debug)]
struct Programs {
    bin: PathBuf,
    origin: String,
}

pub(super) fn start(place: &Place) -> Result<Server> {
    let identity = machine::unprivileged()?;
    let programs = find(place)?;
    if !place.data.join("PG_VERSION").exists() {
        create(&programs, place, identity)?;
    }
    let [port] = ports::free()?;
    let mut process = spawn(&programs, place, identity, port)?;
    let address = format!("127.0.0.1:{port}");
    let version = interrupt::wait_for(
        START_LIMIT,
        || process.check_alive(),
        || probe::postgres(&address, "postgres"),
    )?;
    let origin = format!("PostgreSQL {version}, {}", programs.origin);
    let url = format!("postgres://postgres@{address}/postgres");
    Ok(Server::own(Kind::Postgres, url, origin, process))
}

fn find(place: &Place) -> Result<Programs> {
    let in_path = machine::in_path("postgres").and_then(|file| file.parent().map(Path::to_owned));
    let debian = machine::subfolders("/usr/lib/postgresql").into_iter().rev();
    let installed = in_path.into_iter().chain(debian.map(|dir| dir.join("bin")));
    for bin in installed.filter(|bin| bin.join("initdb").is_file()) {
        if machine::major_version(&bin.join("postgres")).is_some_and(|it| it >= OLDEST) {
            let origin = format!("installed in {}", bin.display());
            return Ok(Programs { bin, origin });
        }
    }
    from_maven(place)
}

/// Unpacked into the run's own folder, which another user can read, and not into the
/// target folder, which may lie in root's home.
fn from_maven(place: &Place) -> Result<Programs> {
    let system = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-amd64",
        ("linux", "aarch64") => "linux-arm64v8",
        (os, arch) => bail!("install PostgreSQL {OLDEST} or newer: none published for {os} {arch}"),
    };
    let artifact = format!("embedded-postgres-binaries-{system}");
    let tools = [UNZIP, TAR, XZ].map(machine::require);
    let [unzip, tar, xz] = tools;
    let (unzip, tar, _) = (unzip?, tar?, xz?);
    let bundle = Bundle {
        name: format!("postgres-{PUBLISHED}"),
        artifacts: vec![format!("io.zonky.test.postgres:{artifact}:{PUBLISHED}")],
        transitive: false,
    };
    let jar = maven::fetch(&bundle, &place.cache)?.join(format!("{artifact}-{PUBLISHED}.jar"));
    let home = place.run.join("home");
    if !home.exists() {
        fs::create_dir_all(&home)?;
        let run = |launch: Launch| launch.output(Output::Log(place.log.clone())).run(UNPACK_LIMIT);
        run(Launch::new("unzip", unzip).args(["-q", "-o", "-d"]).arg(&place.run).arg(jar))?;
        let archive = fs::read_dir(&place.run)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "txz"))
            .context("the artifact has no archive in it")?;
        run(Launch::new("tar", tar).arg("-xJf").arg(&archive).arg("-C").arg(&home))?;
        fs::remove_file(archive)?;
    }
    Ok(Programs { bin: home.join("bin"), origin: "from Maven".to_owned() })
}

/// A new cluster with one superuser and no passwords: it listens on loopback only.
fn create(programs: &Programs, place: &Place, identity: Option<Identity>) -> Result<()> {
    fs::create_dir_all(&place.data)
        .with_context(|| format!("cannot create {}", place.data.display()))?;
    if let Some(Identity { uid, gid }) = identity {
        chown(&place.data, Some(uid), Some(gid)).context("cannot give the data folder away")?;
    }
    Launch::new("initdb", programs.bin.join("initdb"))
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"])
        .args(["--no-instructions", "--no-sync"])
        .arg("-D")
        .arg(&place.data)
        .dir(&place.data)
        .identity(identity)
        .output(Output::Log(place.log.clone()))
        .run(INITDB_LIMIT)
}

fn spawn(
    programs: &Programs,
    place: &Place,
    identity: Option<Identity>,
    port: u16,
) -> Result<Process> {
    Launch::new("PostgreSQL", programs.bin.join("postgres"))
        .arg("-D")
        .arg(&place.data)
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
        .args(["-c", &format!("port={port}")])
        .args(settings())
        .dir(&place.data)
        .identity(identity)
        .output(Output::Log(place.log.clone()))
        .stop(Signal::SIGINT, STOP_LIMIT)
        // An immediate shutdown: its own children end too, and its shared memory is freed.
        .on_death(Signal::SIGQUIT)
        .spawn()
}
