//! The four services and the payment gateway as processes, and notification where a merchant is given, on the
//! servers of `cargo xtask up`.

mod health;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::cli::UpArgs;
use crate::interrupt;
use crate::process::{Launch, Output, Process};
use crate::servers::{self, Kind, Servers};
use crate::workspace::Workspace;

/// Packages, programs and names in one.
const SERVICES: [&str; 4] = ["order", "payment", "inventory", "shipping"];
/// Only where there is a merchant to notify.
const NOTIFICATION: &str = "notification";
/// The world outside, as far as payment sees it.
const GATEWAY: &str = "gateway";
/// A service drains within 30 s by default.
const STOP_LIMIT: Duration = Duration::from_secs(35);
/// From the start of a process to its first yes on `/readyz`.
const READY_LIMIT: Duration = Duration::from_secs(90);

/// One process of a service.
#[derive(Debug)]
struct Instance {
    service: &'static str,
    /// From 1.
    number: u16,
    address: SocketAddr,
    log: PathBuf,
    process: Process,
    /// Its end was told.
    told: bool,
}

/// All processes of all services.
#[derive(Debug)]
pub(crate) struct Services {
    instances: Vec<Instance>,
    /// Behind the services, so dropped after them: they drain while it answers.
    gateway: Instance,
    databases: BTreeMap<&'static str, Database>,
    restart: bool,
}

/// The two ways into a service's database.
#[derive(Debug)]
struct Database {
    owner: String,
    role: String,
}

/// The services that are started.
fn wanted(args: &UpArgs) -> Vec<&'static str> {
    let notification = args.merchant_url.as_ref().map(|_| NOTIFICATION);
    SERVICES.into_iter().chain(notification).collect()
}

/// Builds the programs, before any server is started: a compiler's error comes early.
pub(crate) fn build(workspace: &Workspace, args: &UpArgs) -> Result<()> {
    let services = wanted(args);
    let features: Vec<String> =
        services.iter().map(|service| format!("{service}/process")).collect();
    let mut launch = workspace.cargo("cargo", &["build", "--features", &features.join(",")]);
    for program in services.into_iter().chain([GATEWAY]) {
        launch = launch.args(["--package", program, "--bin", program]);
    }
    if args.release {
        launch = launch.arg("--release");
    }
    eprintln!("xtask: building the services");
    if !launch.output(Output::Stderr).spawn()?.wait()?.success() {
        bail!("the services do not build");
    }
    Ok(())
}

impl Services {
    /// Starts all and waits until all are ready.
    pub(crate) fn start(workspace: &Workspace, servers: &Servers, args: &UpArgs) -> Result<Self> {
        let logs = match &args.data {
            Some(dir) => std::path::absolute(dir)?.join("logs"),
            None => workspace.own_dir(&format!("logs/{}", args.name))?,
        };
        fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
        let postgres = servers.address(Kind::Postgres)?;
        let profile = if args.release { "release" } else { "debug" };
        let gateway =
            start_gateway(&workspace.program(profile, GATEWAY), &logs, args.data.is_some())?;
        let mut services =
            Self { instances: vec![], gateway, databases: BTreeMap::new(), restart: args.restart };
        for service in wanted(args) {
            let (owner, role) = servers::make_database(postgres, &format!("quadrille_{service}"))?;
            services.databases.insert(service, Database { owner, role });
        }
        let brokers = servers.address(Kind::Kafka)?;
        for service in wanted(args) {
            let program = workspace.program(profile, service);
            for number in 1..=args.instances {
                services.start_one((service, number), &program, brokers, &logs, args)?;
            }
        }
        services.wait_until_ready()?;
        Ok(services)
    }

    fn start_one(
        &mut self,
        (service, number): (&'static str, u16),
        program: &Path,
        brokers: &str,
        logs: &Path,
        args: &UpArgs,
    ) -> Result<()> {
        let name = format!("{service}-{number}");
        let log = logs.join(format!("{name}.log"));
        let [port] = servers::free_ports()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let database = self.databases.get(service).context("no database")?;
        let mut launch = Launch::new(&name, program)
            .env("QUADRILLE_KAFKA_BROKERS", brokers)
            .env("QUADRILLE_KAFKA_PLAINTEXT_OK", "yes")
            .env("QUADRILLE_DATABASE_URL", &database.role)
            .env("QUADRILLE_DATABASE_OWNER_URL", &database.owner)
            .env("QUADRILLE_HTTP_ADDRESS", address.to_string())
            .env("QUADRILLE_INSTANCE", &name)
            .env("PAYMENT_GATEWAY_URL", format!("http://{}", self.gateway.address))
            .output(Output::Log(log.clone()))
            .stop(Signal::SIGTERM, STOP_LIMIT);
        if let Some(url) = &args.merchant_url {
            launch = launch
                .env("NOTIFICATION_MERCHANT_URL", url)
                .env("NOTIFICATION_MERCHANT_SECRET", &args.merchant_secret);
        }
        let process = launch.spawn()?;
        self.instances.push(Instance { service, number, address, log, process, told: false });
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        for instance in self.all() {
            let process = &mut instance.process;
            interrupt::wait_for(
                READY_LIMIT,
                || process.check_alive(),
                || health::ready(instance.address),
            )
            .with_context(|| format!("{}-{} is not ready", instance.service, instance.number))?;
        }
        Ok(())
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Instance> {
        self.instances.iter_mut().chain([&mut self.gateway])
    }

    /// `KEY=value` lines: one group for each process, and for each service's database. The first
    /// process of a service has no number, so that one script fits one instance and many.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![];
        for (service, database) in &self.databases {
            lines.push(format!("{}_DATABASE_URL={}", service.to_uppercase(), database.owner));
        }
        let first = self.instances.iter().filter(|instance| instance.number == 1);
        let services: Vec<String> =
            first.map(|first| format!("{}=http://{}", first.service, first.address)).collect();
        // As the `quadrille` command takes it: any instance answers for its service.
        lines.push(format!("QUADRILLE_SERVICES={}", services.join(",")));
        for instance in self.instances.iter().chain([&self.gateway]) {
            let key = key(instance.service, instance.number);
            lines.push(format!("{key}_URL=http://{}", instance.address));
            lines.push(format!("{key}_PID={}", instance.process.id()));
            lines.push(format!("{key}_LOG={}", instance.log.display()));
        }
        lines
    }

    /// Says which processes have died since the last time, and starts them again if that is wanted.
    pub(crate) fn watch(&mut self) -> Result<()> {
        let restart = self.restart;
        for instance in self.all() {
            if instance.told {
                continue;
            }
            let Some(status) = instance.process.try_wait()? else { continue };
            let name = format!("{}-{}", instance.service, instance.number);
            eprintln!("xtask: {name} has died ({status}){}", instance.process.tail());
            if restart {
                instance.process = instance.process.launch().clone().spawn()?;
                let key = key(instance.service, instance.number);
                println!("{key}_PID={}", instance.process.id());
                eprintln!("xtask: {name} is started again");
            } else {
                instance.told = true;
            }
        }
        Ok(())
    }
}

impl Drop for Services {
    /// All drain at the same time.
    fn drop(&mut self) {
        for instance in &mut self.instances {
            instance.process.ask_to_stop();
        }
    }
}

/// Where data is kept, it goes on from its journal; elsewhere it begins anew.
fn start_gateway(program: &Path, logs: &Path, keep: bool) -> Result<Instance> {
    let name = format!("{GATEWAY}-1");
    let (log, journal) = (logs.join(format!("{name}.log")), logs.join(format!("{name}.journal")));
    if !keep && journal.exists() {
        fs::remove_file(&journal)
            .with_context(|| format!("cannot remove {}", journal.display()))?;
    }
    let [port] = servers::free_ports()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let process = Launch::new(&name, program)
        .env("GATEWAY_ADDRESS", address.to_string())
        .env("GATEWAY_JOURNAL", &journal)
        .output(Output::Log(log.clone()))
        .spawn()?;
    Ok(Instance { service: GATEWAY, number: 1, address, log, process, told: false })
}

fn key(service: &str, number: u16) -> String {
    let service = service.to_uppercase();
    if number == 1 { service } else { format!("{service}_{number}") }
}

#[cfg(test)]
mod test {
    #[test]
    fn notification_is_started_where_there_is_a_merchant() {
        let (alone, told) = (crate::cli::up(&[]), crate::cli::up(&["--merchant-url", "http://h"]));
        assert_eq!(super::wanted(&alone), super::SERVICES);
        assert_eq!(super::wanted(&told)[4..], ["notification"]);
        assert!(told.merchant_secret.starts_with("whsec_"));
    }

    #[test]
    fn the_first_instance_has_no_number() {
        assert_eq!(super::key("order", 1), "ORDER");
        assert_eq!(super::key("order", 2), "ORDER_2");
    }
}
