//! The doing of a fault.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::{
    micros,
    schedule::{Fault, Kind},
};
use crate::{
    processes::{SERVICES, Stack},
    proxy::{Proxy, wire},
    servers::{OwnServers, Server},
    tables,
    tcp::Way,
    wait,
};

/// A relay commits many times a second; one that has nothing to publish is left alone after this.
const COMMIT_LIMIT: Duration = Duration::from_secs(15);

/// Everything that can be struck.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) stack: Stack,
    servers: OwnServers,
    proxies: BTreeMap<&'static str, Proxy>,
    ways: BTreeMap<&'static str, Way>,
}

impl Field {
    /// Puts a way of ours in front of everything that the services talk to.
    pub(super) async fn set(mut stack: Stack, servers: OwnServers) -> Result<Self> {
        let (mut proxies, mut ways) = (BTreeMap::new(), BTreeMap::new());
        for service in SERVICES {
            let proxy = Proxy::before(&stack.kafka).await?;
            stack.reach_kafka_by(service, &proxy.address);
            proxies.insert(service, proxy);
            let way = Way::to(&stack.postgres_address()).await?;
            stack.reach_database_by(service, &way.address);
            ways.insert(service, way);
        }
        Ok(Self { stack, servers, proxies, ways })
    }

    fn proxy(&self, service: &str) -> Result<&Proxy> {
        self.proxies.get(service).context("no such service")
    }

    fn way(&self, service: &str) -> Result<&Way> {
        self.ways.get(service).context("no such service")
    }

    /// Does it, and returns when it is over: what was killed is started again, ways are open. Gives the
    /// moment from which the role can recover, in microseconds since 1970: a kill, or the end of a stop or
    /// cut.
    pub(super) async fn strike(&mut self, fault: &Fault) -> Result<i64> {
        let Fault { service, instance, lasts, .. } = *fault;
        let mut blow = micros()?;
        match fault.kind {
            Kind::KillService => {
                self.stack.kill(service, instance)?;
                sleep(lasts).await;
                self.stack.start(service, instance)?;
            }
            Kind::StopService => {
                self.stack.signal(service, instance, Signal::SIGSTOP)?;
                sleep(lasts).await;
                self.stack.signal(service, instance, Signal::SIGCONT)?;
            }
            Kind::CutKafka => {
                self.proxy(service)?.close();
                sleep(lasts).await;
                self.proxy(service)?.open();
            }
            Kind::CutDatabase => {
                self.way(service)?.close();
                sleep(lasts).await;
                self.way(service)?.open();
            }
            Kind::LateCommit => blow = self.late_commit(service, instance, lasts).await?,
            Kind::KillKafka => self.kill(Server::Kafka).await?,
            Kind::KillKafkaInCommit => {
                self.hold_a_commit(service).await?;
                blow = micros()?;
                self.kill(Server::Kafka).await?;
                self.proxy(service)?.release();
            }
            Kind::StopKafka => self.stop(Server::Kafka, lasts).await?,
            Kind::KillPostgres => self.kill(Server::Postgres).await?,
            Kind::StopPostgres => self.stop(Server::Postgres, lasts).await?,
        }
        Ok(if fault.kind.lasts() { micros()? } else { blow })
    }

    /// Whether there was one to hold.
    async fn hold_a_commit(&self, service: &str) -> Result<bool> {
        let proxy = self.proxy(service)?;
        proxy.hold(&[wire::END_TXN]);
        let held = wait::until("a commit", COMMIT_LIMIT, async || Ok(proxy.held() > 0)).await;
        Ok(held.is_ok())
    }

    /// The commit of a process that is dead by then, in the midst of its successor's transactions.
    async fn late_commit(
        &mut self,
        service: &'static str,
        instance: u32,
        lasts: Duration,
    ) -> Result<i64> {
        self.hold_a_commit(service).await?;
        // The one that publishes; the database may not say who that is.
        let holder = tables::relay_holder(&self.stack.url(service)).await.unwrap_or_default();
        let number = holder.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
        let number = number.unwrap_or(instance);
        let blow = micros()?;
        self.stack.kill(service, number)?;
        self.stack.start(service, number)?;
        sleep(lasts).await;
        self.proxy(service)?.release();
        Ok(blow)
    }

    async fn kill(&mut self, server: Server) -> Result<()> {
        let killed = self.servers.kill(server)?;
        self.servers.until_back(&killed).await
    }

    async fn stop(&mut self, server: Server, lasts: Duration) -> Result<()> {
        self.servers.signal_all(server, Signal::SIGSTOP)?;
        sleep(lasts).await;
        self.servers.signal_all(server, Signal::SIGCONT)
    }

    /// Ends everything; removes what is in the servers only when all was well.
    pub(super) async fn clear(self, well: bool) -> Result<()> {
        let Self { stack, servers, .. } = self;
        if well {
            stack.remove().await?;
        } else {
            drop(stack);
        }
        servers.end().await
    }
}
