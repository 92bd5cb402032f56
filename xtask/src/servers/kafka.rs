//! Kafka on this machine: one KRaft node from its Maven artifacts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::maven::{self, Bundle};
use super::{Kind, Place, START_LIMIT, Server, machine, ports, probe};
use crate::interrupt;
use crate::process::{Launch, Output, Process};

pub(super) const VERSION: &str = "4.3.1";
/// Kafka's storage tool does not start without a log4j.
const LOG4J: &str = "2.25.2";

const FORMAT_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Any fixed value will do: no two of these clusters ever meet.
const CLUSTER: &str = "cXVhZHJpbGxlLXRlc3Rpbg";

/// What makes one broker quick to start, to rebalance, and to return after a kill, and
/// nothing that changes what it promises.
pub(super) const TUNING: &[(&str, &str)] = &[
    // Topics are made on purpose, never by a typing error.
    ("auto.create.topics.enable", "false"),
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "4"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    // Tests let a consumer die and wait for its partitions.
    ("group.min.session.timeout.ms", "1000"),
    // Tests let a transaction run out of time.
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
    // After kill -9 the controller must forget the old broker first: 9 s by default.
    ("broker.session.timeout.ms", "1000"),
    ("broker.heartbeat.interval.ms", "200"),
];

/// A start in seconds on a small machine, and little memory.
const SOON_THERE: &[&str] =
    &["-Xms256m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
/// For what runs for long and is measured: as Kafka's own start script has it. The collector above stands still
/// for 25 ms every second.
const STEADY: &[&str] = &["-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"];

const LOGGING: &str = "\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c)%n%throwable
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = INFO
";

/// How to call a main class of Kafka.
struct Java {
    program: PathBuf,
    class_path: String,
    logging: PathBuf,
    log: PathBuf,
    steady: bool,
}

impl Java {
    fn launch(&self, name: &str, class: &str) -> Launch {
        Launch::new(name, &self.program)
            .args(if self.steady { STEADY } else { SOON_THERE })
            .arg("-Djava.awt.headless=true")
            .arg(format!("-Dlog4j2.configurationFile={}", self.logging.display()))
            .args(["-cp", &self.class_path, class])
            .output(Output::Log(self.log.clone()))
    }
}

pub(super) fn start(place: &Place) -> Result<Server> {
    let program = machine::require_java()?;
    let jars = maven::fetch(&bundle(), &place.cache)?;
    let logging = place.run.join("log4j2.properties");
    fs::write(&logging, LOGGING)?;
    let class_path = format!("{}/*", jars.display());
    let java = Java { program, class_path, logging, log: place.log.clone(), steady: place.steady };

    let [port, controller] = ports::free()?;
    let config = place.run.join("server.properties");
    fs::write(&config, properties(&place.data, port, controller))?;
    if !place.data.join("meta.properties").exists() {
        format(&java, place, &config)?;
    }
    let mut process = spawn(&java, &config)?;
    let address = format!("127.0.0.1:{port}");
    interrupt::wait_for(START_LIMIT, || process.check_alive(), || probe::kafka(&address))?;
    let runtime = machine::major_version(&java.program).unwrap_or_default();
    let origin = format!("Kafka {VERSION}, from Maven on Java {runtime}");
    Ok(Server::own(Kind::Kafka, address, origin, process))
}

fn bundle() -> Bundle {
    Bundle {
        name: format!("kafka-{VERSION}"),
        artifacts: vec![
            format!("org.apache.kafka:kafka_2.13:{VERSION}"),
            format!("org.apache.logging.log4j:log4j-core:{LOG4J}"),
            format!("org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J}"),
        ],
        transitive: true,
    }
}

fn properties(data: &Path, port: u16, controller: u16) -> String {
    let node = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={}\n",
        data.display()
    );
    let tuning: String = TUNING.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    node + &tuning
}

fn format(java: &Java, place: &Place, config: &Path) -> Result<()> {
    fs::create_dir_all(&place.data)
        .with_context(|| format!("cannot create {}", place.data.display()))?;
    java.launch("Kafka's format", "kafka.tools.StorageTool")
        .args(["format", "-t", CLUSTER, "-c"])
        .arg(config)
        .run(FORMAT_LIMIT)
}

fn spawn(java: &Java, config: &Path) -> Result<Process> {
    java.launch("Kafka", "kafka.Kafka").arg(config).stop(Signal::SIGTERM, STOP_LIMIT).spawn()
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn properties_name_ports_and_folder() {
        let text = properties(Path::new("/d"), 1, 2);
        assert!(text.contains("\nadvertised.listeners=PLAINTEXT://127.0.0.1:1\n"));
        assert!(text.contains("\ncontroller.quorum.voters=1@127.0.0.1:2\n"));
        assert!(text.contains("\nlog.dirs=/d\n"));
        assert!(text.ends_with("\nbroker.heartbeat.interval.ms=200\n"));
    }
}
