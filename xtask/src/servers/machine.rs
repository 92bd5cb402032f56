//! Programs of this machine: found, installed where that is our business (Debian, as
//! root), or named with the command that installs them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::unistd::{User, geteuid};

use crate::process::guard::Identity;
use crate::process::{Launch, Output};

/// Installing packages, with downloads.
const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// The oldest Java that Kafka 4 runs on.
const OLDEST_JAVA: u32 = 17;

/// The users, first match wins, that a server which refuses root runs as.
const UNPRIVILEGED: &[&str] = &["postgres", "nobody"];

/// A program and the Debian packages, first known one wins, that bring it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tool {
    program: &'static str,
    packages: &'static [&'static str],
}

pub(super) const MAVEN: Tool = Tool { program: "mvn", packages: &["maven"] };
pub(super) const UNZIP: Tool = Tool { program: "unzip", packages: &["unzip"] };
pub(super) const TAR: Tool = Tool { program: "tar", packages: &["tar"] };
pub(super) const XZ: Tool = Tool { program: "xz", packages: &["xz-utils"] };
const JAVA: Tool = Tool {
    program: "java",
    packages: &["openjdk-17-jre-headless", "openjdk-21-jre-headless", "default-jre-headless"],
};
/// What librdkafka, a dependency, is built with.
const COMPILERS: [Tool; 3] = [
    Tool { program: "gcc", packages: &["gcc"] },
    Tool { program: "g++", packages: &["g++"] },
    Tool { program: "make", packages: &["make"] },
];

/// Makes sure that the workspace can be built with every feature.
pub(crate) fn require_compilers() -> Result<()> {
    COMPILERS.iter().try_for_each(|tool| require(*tool).map(drop))
}

/// The program's path.
pub(super) fn require(tool: Tool) -> Result<PathBuf> {
    require_found(tool, || in_path(tool.program))
}

/// A Java that Kafka runs on: `JAVA_HOME`, the path, then the usual folder.
pub(super) fn require_java() -> Result<PathBuf> {
    require_found(JAVA, || java_candidates().into_iter().find(|java| is_recent(java)))
        .with_context(|| format!("Java {OLDEST_JAVA} or newer is needed"))
}

fn require_found(tool: Tool, find: impl Fn() -> Option<PathBuf>) -> Result<PathBuf> {
    if let Some(path) = find() {
        return Ok(path);
    }
    if !is_debian() {
        bail!("{} is missing; install {}", tool.program, tool.packages[0]);
    }
    if !geteuid().is_root() {
        let package = tool.packages[0];
        bail!("{} is missing; install it: sudo apt-get install -y {package}", tool.program);
    }
    install(tool)?;
    find().with_context(|| format!("{} is still missing after its installation", tool.program))
}

/// `ID` or `ID_LIKE` names Debian, and its package manager is here.
fn is_debian() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    names_debian(&release) && in_path("apt-get").is_some()
}

fn names_debian(release: &str) -> bool {
    release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")))
        .any(|value| value.trim_matches('"').split(' ').any(|name| name == "debian"))
}

fn install(tool: Tool) -> Result<()> {
    static UPDATE: Once = Once::new();
    let apt = |what: &str, args: &[&str]| {
        Launch::new(what, "apt-get")
            .args(["-q", "-y"])
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .output(Output::Stderr)
            .run(INSTALL_LIMIT)
    };
    let mut updated = Ok(());
    UPDATE.call_once(|| updated = apt("apt-get update", &["update"]));
    updated?;
    let package = tool.packages.iter().find(|package| is_known(package));
    let package = package.with_context(|| format!("no package brings {}", tool.program))?;
    eprintln!("xtask: {} is missing: apt-get install -y {package}", tool.program);
    apt("apt-get install", &["install", "--no-install-recommends", package])
}

fn is_known(package: &str) -> bool {
    let output = Command::new("apt-cache").args(["show", package]).output();
    output.is_ok_and(|output| output.status.success())
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// The program's path, from `PATH`.
pub(super) fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| is_executable(file))
}

/// The subfolders of `dir`, sorted by name.
pub(super) fn subfolders(dir: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// The first number in what `program --version` says.
pub(super) fn major_version(program: &Path) -> Option<u32> {
    first_number(&version_line(program, "--version")?)
}

/// The first line of what the program says about its version.
pub(super) fn version_line(program: impl AsRef<OsStr>, option: &str) -> Option<String> {
    let output = Command::new(program.as_ref()).arg(option).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}

fn first_number(text: &str) -> Option<u32> {
    let digits = text.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty())?;
    digits.parse().ok()
}

fn java_candidates() -> Vec<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    let usual = subfolders("/usr/lib/jvm").into_iter().map(|dir| dir.join("bin/java"));
    home.into_iter()
        .chain(in_path("java"))
        .chain(usual)
        .filter(|java| is_executable(java))
        .collect()
}

fn is_recent(java: &Path) -> bool {
    major_version(java).is_some_and(|version| version >= OLDEST_JAVA)
}

/// Whom a server that refuses root runs as: nobody else unless we are root.
pub(super) fn unprivileged() -> Result<Option<Identity>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let user = UNPRIVILEGED.iter().find_map(|name| User::from_name(name).ok().flatten());
    let user = user.with_context(|| format!("none of the users {UNPRIVILEGED:?} exists"))?;
    Ok(Some(Identity { uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(first_number("postgres (PostgreSQL) 15.13 (Debian 15.13-0)"), Some(15));
        assert_eq!(first_number("openjdk 17.0.15 2025-04-15"), Some(17));
        assert_eq!(first_number("none"), None);
    }

    #[test]
    fn debian_and_its_children_are_known() {
        assert!(names_debian("NAME=x\nID=debian\n"));
        assert!(names_debian("ID=ubuntu\nID_LIKE=debian\n"));
        assert!(names_debian("ID=mint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!names_debian("ID=fedora\nVARIANT_ID=debian-like\n"));
    }

    #[test]
    fn only_executables_are_found() {
        assert!(in_path("sh").is_some());
        assert!(in_path("no-such-program-anywhere").is_none());
    }
}
