//! The servers that xtask starts answer, and are gone with their files however xtask ends.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// For servers to stop in peace on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A folder for one test, which any user can enter.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("xtask-{test}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn folder(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// `xtask up`, with the lines it printed.
struct Up {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    lines: Vec<String>,
}

impl Up {
    /// Returns when both servers are up. Its temporary files are under `temporary`.
    fn start(name: &str, temporary: &Path, options: &[&str]) -> Self {
        let mut child = xtask(&["up", "--only-servers", "--servers", "local", "--name", name])
            .args(options)
            .env("TMPDIR", temporary)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut up = Self { child, output, lines: vec![] };
        up.read_on(4);
        up
    }

    /// Waits for so many more lines.
    fn read_on(&mut self, lines: usize) {
        self.lines.extend(self.output.by_ref().map(Result::unwrap).take(lines));
    }

    fn value(&self, key: &str) -> &str {
        let value = self.lines.iter().rev().find_map(|line| line.strip_prefix(&format!("{key}=")));
        value.unwrap_or_else(|| panic!("no {key} in {:?}", self.lines))
    }

    fn servers(&self) -> [Pid; 2] {
        ["QUADRILLE_TEST_POSTGRES_PID", "QUADRILLE_TEST_KAFKA_PID"]
            .map(|key| Pid::from_raw(self.value(key).parse().unwrap()))
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
        self.wait()
    }

    fn wait(&mut self) -> ExitStatus {
        wait_for("the end of xtask", || self.child.try_wait().unwrap())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn xtask(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(args)
        .env_remove("QUADRILLE_TEST_POSTGRES")
        .env_remove("QUADRILLE_TEST_KAFKA")
        .stdin(Stdio::null());
    command
}

fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {LIMIT:?} for {what}");
        std::thread::sleep(POLL);
    }
}

fn is_gone(process: Pid) -> bool {
    kill(process, None) == Err(Errno::ESRCH)
}

fn assert_nothing_left(servers: [Pid; 2], temporary: &Path) {
    for server in servers {
        wait_for("a server's end", || is_gone(server).then_some(()));
    }
    let left = || fs::read_dir(temporary).unwrap().count();
    wait_for("the temporary files to be gone", || (left() == 0).then_some(()));
}

/// Starts both servers, ends xtask with `signal`, and sees all gone.
fn ends_with(name: &str, signal: Signal) -> ExitStatus {
    let scratch = Scratch::new(name);
    let temporary = scratch.folder("tmp");
    let mut up = Up::start(name, &temporary, &[]);
    let servers = up.servers();
    assert!(servers.iter().all(|server| !is_gone(*server)));
    TcpStream::connect(up.value("QUADRILLE_TEST_KAFKA")).unwrap();
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 1);
    let status = up.end(signal);
    assert_nothing_left(servers, &temporary);
    status
}

#[test]
fn nothing_is_left_after_ctrl_c() {
    assert!(ends_with("interrupted", Signal::SIGINT).success());
}

#[test]
fn nothing_is_left_after_a_kill() {
    assert!(!ends_with("killed", Signal::SIGKILL).success());
}

#[test]
fn down_waits_until_all_is_gone_and_data_is_kept() {
    let scratch = Scratch::new("kept");
    let (temporary, data) = (scratch.folder("tmp"), scratch.folder("data"));
    let options = ["--data", data.to_str().unwrap()];
    let identities = || {
        let of = |file: &str| fs::metadata(data.join(file)).unwrap().modified().unwrap();
        [of("postgres/PG_VERSION"), of("kafka/meta.properties")]
    };
    let mut first = None;
    for _ in 0..2 {
        let mut up = Up::start("kept", &temporary, &options);
        let servers = up.servers();
        assert_eq!(*first.get_or_insert_with(identities), identities());
        assert!(xtask(&["down", "--name", "kept"]).status().unwrap().success());
        assert!(servers.iter().all(|server| is_gone(*server)));
        assert!(up.wait().success());
        assert_nothing_left(servers, &temporary);
    }
}

#[test]
fn a_server_that_dies_ends_the_command() {
    let scratch = Scratch::new("died");
    let temporary = scratch.folder("tmp");
    let mut up = Up::start("died", &temporary, &[]);
    let servers = up.servers();
    kill(servers[1], Signal::SIGKILL).unwrap();
    assert!(!up.wait().success());
    assert_nothing_left(servers, &temporary);
}

#[test]
fn a_killed_server_comes_back_at_its_address_where_that_is_wanted() {
    let scratch = Scratch::new("back");
    let temporary = scratch.folder("tmp");
    let data = scratch.folder("data");
    let options = ["--restart", "--data", data.to_str().unwrap()];
    let mut up = Up::start("back", &temporary, &options);
    let servers = up.servers();
    kill(servers[1], Signal::SIGKILL).unwrap();
    // The same two lines again, with another process.
    up.read_on(2);
    let again = up.servers();
    assert_eq!(again[0], servers[0]);
    assert_ne!(again[1], servers[1]);
    let addresses: Vec<_> =
        up.lines.iter().filter(|line| line.starts_with("QUADRILLE_TEST_KAFKA=")).collect();
    assert!(addresses.len() == 2 && addresses[0] == addresses[1], "{addresses:?}");
    TcpStream::connect(up.value("QUADRILLE_TEST_KAFKA")).unwrap();
    assert!(up.end(Signal::SIGINT).success());
    assert_nothing_left(again, &temporary);
}

#[test]
fn a_given_server_that_does_not_answer_is_an_error() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let output = xtask(&["up", "--only-servers", "--name", "given"])
        .env("QUADRILLE_TEST_POSTGRES", format!("postgres://me@{address}/x"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("QUADRILLE_TEST_POSTGRES does not answer"), "{text}");
}
