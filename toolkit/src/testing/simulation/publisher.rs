//! A transactional producer, request by request.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;

use super::{faults::Fault, node::Node, plan::Site};
use crate::{
    id::Lane,
    log::{
        Doubt, NewRecord, Publisher,
        memory::{ProducerEpoch, Refused},
        record::lane_seq,
    },
};

const BEGIN: &[Fault] =
    &[Fault::CrashBefore, Fault::CrashAfter, Fault::RequestLost, Fault::ReplyLost, Fault::Fenced];
const PRODUCE: &[Fault] =
    &[Fault::CrashMidway, Fault::CrashAfter, Fault::RequestLost, Fault::ReplyLost];
const ABORT: &[Fault] =
    &[Fault::CrashBefore, Fault::CrashAfter, Fault::RequestLost, Fault::ReplyLost];
const END: &[Fault] = &[
    Fault::CrashMidway,
    Fault::CrashAfter,
    Fault::RequestLost,
    Fault::ReplyLost,
    Fault::SlowMarks,
    Fault::LostMark,
    Fault::LateCommit,
    Fault::LateAbort,
];

#[derive(Debug)]
pub(super) struct SimPublisher {
    pub(super) node: Node,
    pub(super) topic: Arc<str>,
    pub(super) producer: ProducerEpoch,
    /// How often the topic had lost something when this producer began.
    pub(super) breaks: u64,
    /// Whether its last transaction was ended, as far as the broker knows.
    pub(super) ended: Arc<AtomicBool>,
}

fn doubt(reason: &str) -> Doubt {
    Doubt { reason: format!("simulated: {reason}"), fenced: false }
}

fn refused(refused: &Refused) -> Doubt {
    Doubt { reason: refused.to_string(), fenced: matches!(refused, Refused::Fenced(_)) }
}

#[async_trait]
impl Publisher for SimPublisher {
    async fn publish(
        self: Box<Self>,
        records: Vec<NewRecord>,
    ) -> Result<Box<dyn Publisher>, Doubt> {
        if records.is_empty() {
            return Ok(self);
        }
        let told = told(&records);
        self.begin(&records).await?;
        let lane = records.first().map(|record| record.lane);
        self.produce(records).await?;
        self.end(lane).await?;
        let core = self.node.core();
        core.note(self.node.place(), "published", self.producer.epoch);
        core.tell(self.node.place(), || format!("published {told}"));
        Ok(self)
    }

    async fn abort_hanging(self: Box<Self>, lanes: &[Lane]) -> Result<(), Doubt> {
        let (node, core) = (&self.node, self.node.core());
        let (site, fault) = self.arrive("abort-hanging", ABORT).await?;
        match fault {
            Some(Fault::CrashBefore) => node.die_at(&site).await,
            Some(Fault::RequestLost) => return self.give_up(&site).await,
            _ => {}
        }
        core.log.begin(&self.producer, &self.topic, lanes).map_err(|e| refused(&e))?;
        core.log.end(&self.producer, false).map_err(|e| refused(&e))?;
        core.tell(node.place(), || format!("aborted what hung in {lanes:?}"));
        self.answer(fault, &site).await
    }
}

/// Lanes and numbers of records, for people.
fn told(records: &[NewRecord]) -> String {
    let mut lanes: Vec<(Lane, u64, u64)> = vec![];
    for record in records {
        let seq = lane_seq(&record.headers).unwrap_or(0);
        match lanes.iter_mut().find(|(lane, ..)| *lane == record.lane) {
            Some((_, _, last)) => *last = seq,
            None => lanes.push((record.lane, seq, seq)),
        }
    }
    let text = |(lane, first, last): &(Lane, u64, u64)| match first == last {
        true => format!("{lane:?}: {first}"),
        false => format!("{lane:?}: {first} to {last}"),
    };
    lanes.iter().map(text).collect::<Vec<_>>().join(", ")
}

impl SimPublisher {
    /// A broker that has lost what this producer wrote refuses what it sends: it is out of order.
    fn is_known(&self) -> Result<(), Doubt> {
        if self.node.core().log_breaks(&self.topic) == self.breaks {
            return Ok(());
        }
        Err(doubt("the broker does not know this producer any more"))
    }

    /// A request reaches the broker; what becomes of it is drawn.
    async fn arrive(
        &self,
        op: &'static str,
        faults: &[Fault],
    ) -> Result<(Site, Option<Fault>), Doubt> {
        let core = self.node.core();
        let site = self.node.reach(op).await;
        core.changed();
        self.is_known()?;
        let fault = core.decide(&site, faults);
        Ok((site, fault))
    }

    async fn begin(&self, records: &[NewRecord]) -> Result<(), Doubt> {
        let (node, core) = (&self.node, self.node.core());
        let (site, fault) = self.arrive("begin", BEGIN).await?;
        match fault {
            Some(Fault::CrashBefore) => node.die_at(&site).await,
            Some(Fault::RequestLost) => return self.give_up(&site).await,
            Some(Fault::Fenced) => drop(core.open_producer(&self.producer.transactional_id)),
            _ => {}
        }
        let first = records.first().map(|record| record.lane);
        core.log.begin(&self.producer, &self.topic, first.as_slice()).map_err(|e| refused(&e))?;
        self.time_out_later();
        self.answer(fault, &site).await
    }

    async fn produce(&self, records: Vec<NewRecord>) -> Result<(), Doubt> {
        let (node, core) = (&self.node, self.node.core());
        let (site, fault) = self.arrive("produce", PRODUCE).await?;
        let arriving = match fault {
            Some(Fault::CrashMidway | Fault::RequestLost) => records.len() / 2,
            _ => records.len(),
        };
        let mut lane = records.first().map(|record| record.lane);
        for record in records.into_iter().take(arriving) {
            if lane != Some(record.lane) {
                lane = Some(record.lane);
                self.add(&site, record.lane).await?;
            }
            core.log.produce(&self.producer, &self.topic, record).map_err(|e| refused(&e))?;
        }
        match fault {
            Some(Fault::CrashMidway) => node.die_at(&site).await,
            Some(Fault::RequestLost) => return self.give_up(&site).await,
            _ => {}
        }
        self.answer(fault, &site).await
    }

    /// A further partition joins the transaction, as librdkafka adds it: by a request of its own. What ends the
    /// epoch's transaction before it arrives goes unnoticed: the broker begins another one (P7).
    async fn add(&self, site: &Site, lane: Lane) -> Result<(), Doubt> {
        let (node, core) = (&self.node, self.node.core());
        core.exec.sleep(core.latency(site, "add")).await;
        if node.is_dead() {
            std::future::pending::<()>().await;
        }
        if let Some(commit) = core.late_end(&self.producer, None) {
            let result = core.log.end(&self.producer, commit);
            core.tell(node.place(), || format!("a late end comes in between: {result:?}"));
        }
        core.log.begin(&self.producer, &self.topic, &[lane]).map_err(|e| refused(&e))
    }

    /// `lane` is one of those that it has written to.
    async fn end(&self, lane: Option<Lane>) -> Result<(), Doubt> {
        let (node, core) = (&self.node, self.node.core());
        let (site, fault) = self.arrive("end", END).await?;
        match fault {
            Some(Fault::RequestLost) => return self.give_up(&site).await,
            Some(Fault::LateCommit) => return self.end_late(&site, true).await,
            Some(Fault::LateAbort) => return self.end_late(&site, false).await,
            _ => {}
        }
        if fault == Some(Fault::LostMark)
            && let Some(lane) = lane
        {
            core.log.lose_mark(&self.producer.transactional_id, lane);
            core.tell(node.place(), || format!("its mark gets lost in {lane:?}"));
        }
        core.log.decide(&self.producer, true).map_err(|e| refused(&e))?;
        self.ended.store(true, Ordering::Relaxed);
        let id = self.producer.transactional_id.clone();
        if let Some(Fault::SlowMarks | Fault::CrashMidway) = fault {
            let log = core.log.clone();
            core.later(core.some_time(&site, "marks", 5, 15_000), move || log.complete(&id));
        } else {
            core.log.complete(&id);
        }
        match fault {
            Some(Fault::CrashMidway) => node.die_at(&site).await,
            Some(Fault::SlowMarks) => return self.give_up(&site).await,
            _ => {}
        }
        self.answer(fault, &site).await
    }

    /// The request was done; whether its answer arrives.
    async fn answer(&self, fault: Option<Fault>, site: &Site) -> Result<(), Doubt> {
        match fault {
            Some(Fault::CrashAfter) => self.node.die_at(site).await,
            Some(Fault::ReplyLost) => return self.give_up(site).await,
            _ => self.node.back(site).await,
        }
        Ok(())
    }

    async fn give_up(&self, site: &Site) -> Result<(), Doubt> {
        self.node.time_out(site).await;
        Err(doubt(&format!("no answer to `{}`", site.op)))
    }

    /// The request that ends the transaction is delayed on its way. It names the epoch, not the
    /// transaction: what it ends is whatever the epoch has open then (P7).
    async fn end_late(&self, site: &Site, commit: bool) -> Result<(), Doubt> {
        let (core, producer) = (self.node.core().clone(), self.producer.clone());
        let (place, ended) = (self.node.place().clone(), self.ended.clone());
        let after = core.some_time(site, "late", 5, 12_000);
        core.late_end(&producer, Some(commit));
        core.clone().later(after, move || {
            if core.late_end(&producer, None).is_none() {
                return;
            }
            let result = core.log.end(&producer, commit);
            if result.is_ok() {
                ended.store(true, Ordering::Relaxed);
            }
            core.tell(&place, || match result {
                Ok(()) => format!("the late end takes effect (commit: {commit})"),
                Err(refused) => format!("the late end is refused: {refused}"),
            });
        });
        self.give_up(site).await
    }

    /// The broker ends what is open for too long.
    fn time_out_later(&self) {
        let (core, producer, ended) =
            (self.node.core().clone(), self.producer.clone(), self.ended.clone());
        ended.store(false, Ordering::Relaxed);
        let place = self.node.place().clone();
        core.clone().later(core.times.transaction, move || {
            if !ended.load(Ordering::Relaxed) && core.is_newest(&producer) {
                core.tell(&place, || "its transaction has timed out".to_owned());
                let _ = core.open_producer(&producer.transactional_id);
            }
        });
    }
}
