//! Servers as containers, where a Docker engine answers.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Kind, Place, START_LIMIT, Server, kafka, machine, ports, postgres, probe};
use crate::interrupt;
use crate::process::{Launch, Output, watchdog};

const POSTGRES_IMAGE: &str = "postgres:17";
const INFO_LIMIT: Duration = Duration::from_secs(10);
const PULL_LIMIT: Duration = Duration::from_secs(300);
/// The port inside the container.
const POSTGRES_PORT: u16 = 5432;
const KAFKA_PORT: u16 = 9092;

/// A container's name; the container is removed on drop or by the watchdog.
#[derive(Debug)]
pub(super) struct Container {
    name: String,
}

impl Container {
    fn new(kind: Kind) -> Result<Self> {
        let name = format!("quadrille-{}-{}", std::process::id(), kind.lower());
        watchdog::watch_container(&name)?;
        Ok(Self { name })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It is gone already where `docker run --rm` ended in peace.
        let mut command = Command::new("docker");
        command.args(["rm", "-f", "-v", &self.name]).stdout(Stdio::null()).stderr(Stdio::null());
        if command.status().is_ok() {
            watchdog::forget_container(&self.name);
        }
    }
}

/// What is run, and where it answers.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    image: String,
    options: Vec<String>,
    command: Vec<String>,
    address: String,
}

pub(super) fn start(kind: Kind, place: &Place) -> Result<Server> {
    require_engine(place)?;
    let [port] = ports::free()?;
    let plan = match kind {
        Kind::Postgres => postgres_plan(port),
        Kind::Kafka => kafka_plan(port),
    };
    require_image(&plan.image, place)?;
    let container = Container::new(kind)?;
    let mut process = Launch::new(kind.name(), "docker")
        .args(["run", "--rm", "--name", &container.name])
        .args(&plan.options)
        .arg(&plan.image)
        .args(&plan.command)
        .output(Output::Log(place.log.clone()))
        .spawn()?;
    let version = interrupt::wait_for(
        START_LIMIT,
        || process.check_alive(),
        || match kind {
            Kind::Postgres => probe::postgres(&plan.address, "postgres"),
            Kind::Kafka => probe::kafka(&plan.address).map(|_| kafka::VERSION.to_owned()),
        },
    )?;
    let address = match kind {
        Kind::Postgres => format!("postgres://postgres@{}/postgres", plan.address),
        Kind::Kafka => plan.address,
    };
    let origin = format!("{} {version}, Docker image {}", kind.name(), plan.image);
    let mut server = Server::own(kind, address, origin, process);
    server.container = Some(container);
    Ok(server)
}

fn require_engine(place: &Place) -> Result<()> {
    if machine::in_path("docker").is_none() {
        bail!("no docker command");
    }
    let info = Launch::new("docker info", "docker").arg("info");
    info.output(Output::Log(place.log.clone())).run(INFO_LIMIT).context("no engine answers")
}

fn require_image(image: &str, place: &Place) -> Result<()> {
    let docker = |args: [&str; 3]| {
        Launch::new(&args[..2].join(" "), "docker")
            .args(args)
            .output(Output::Log(place.log.clone()))
            .run(PULL_LIMIT)
    };
    if docker(["image", "inspect", image]).is_ok() {
        return Ok(());
    }
    eprintln!("xtask: pulling {image}");
    docker(["pull", "--quiet", image]).with_context(|| format!("cannot pull {image}"))
}

fn published(outside: u16, inside: u16) -> Vec<String> {
    vec!["--publish".to_owned(), format!("127.0.0.1:{outside}:{inside}")]
}

fn variable(name: &str, value: &str) -> [String; 2] {
    ["--env".to_owned(), format!("{name}={value}")]
}

fn postgres_plan(port: u16) -> Plan {
    let mut options = published(port, POSTGRES_PORT);
    options.extend(variable("POSTGRES_HOST_AUTH_METHOD", "trust"));
    Plan {
        image: POSTGRES_IMAGE.to_owned(),
        options,
        command: postgres::settings(),
        address: format!("127.0.0.1:{port}"),
    }
}

/// The image reads `KAFKA_…` variables; one of them replaces its whole default
/// configuration, so the node is described in full.
fn kafka_plan(port: u16) -> Plan {
    let advertised = format!("PLAINTEXT://127.0.0.1:{port}");
    let listeners = format!("PLAINTEXT://:{KAFKA_PORT},CONTROLLER://:9093");
    let node = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", "1@localhost:9093"),
        ("controller.listener.names", "CONTROLLER"),
        ("listeners", &listeners),
        ("advertised.listeners", &advertised),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
    ];
    let mut options = published(port, KAFKA_PORT);
    for (name, value) in node.iter().chain(kafka::TUNING) {
        let name = format!("KAFKA_{}", name.to_uppercase().replace('.', "_"));
        options.extend(variable(&name, value));
    }
    Plan {
        image: format!("apache/kafka:{}", kafka::VERSION),
        options,
        command: Vec::new(),
        address: format!("127.0.0.1:{port}"),
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn clients_outside_are_sent_to_the_published_port() {
        let plan = kafka_plan(7);
        let has = |option: &str| plan.options.iter().any(|it| it == option);
        assert!(has("127.0.0.1:7:9092"), "{plan:?}");
        assert!(has("KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:7"), "{plan:?}");
        assert!(has("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS=0"), "{plan:?}");
        assert_eq!(plan.address, "127.0.0.1:7");
    }
}
