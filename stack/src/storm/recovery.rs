//! How long it took until all was well again after each fault.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Result;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::task::JoinSet;

use super::{micros, schedule::Fault, tell};
use crate::{
    http,
    processes::{Addresses, SERVICES},
};

/// One that is not ready again by then has not recovered.
const READY_LIMIT: Duration = Duration::from_secs(180);

/// Longer than most faults: who is not ready by then is asked why, once.
const SLOW: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(50);

/// The faults so far.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    watches: JoinSet<Ready>,
}

/// When a role was ready again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    role: &'static str,
    /// Microseconds since 1970.
    struck: i64,
    /// From the blow on; none when it took too long.
    after: Option<Duration>,
}

impl Recovery {
    /// Watches, once a fault is over, until those that were struck say that they are ready. `blow` is when
    /// recovery could begin, in microseconds since 1970.
    pub(super) fn watch(&mut self, fault: &Fault, blow: i64, addresses: &Addresses) {
        let role = fault.role();
        let services = if SERVICES.contains(&role) { vec![role] } else { SERVICES.to_vec() };
        let all: Vec<(String, SocketAddr)> = services
            .iter()
            .flat_map(|service| (1..).zip(addresses.of(service)).map(move |at| (*service, at)))
            .map(|(service, (number, address))| (format!("{service}-{number}"), address))
            .collect();
        let lasted = since(blow);
        self.watches.spawn(async move {
            let began = Instant::now();
            let ready = until_ready(&all, began + READY_LIMIT).await;
            let after = ready.then(|| lasted + began.elapsed());
            Ready { role, struck: blow, after }
        });
    }

    /// When all have recovered.
    pub(super) async fn finish(mut self) -> Vec<Ready> {
        let mut ended = vec![];
        while let Some(ready) = self.watches.join_next().await {
            ended.extend(ready);
        }
        ended
    }
}

/// Whether all were ready at the same time before the deadline. Tells why not when it takes long.
async fn until_ready(all: &[(String, SocketAddr)], deadline: Instant) -> bool {
    let slow = Instant::now() + SLOW;
    let mut told = false;
    while Instant::now() < deadline {
        let mut missing = vec![];
        for (name, address) in all {
            let answer = http::send(*address, "GET", "/readyz", None).await;
            missing.extend(why_not(answer).map(|why| format!("{name}: {why}")));
        }
        if missing.is_empty() {
            return true;
        }
        if !told && Instant::now() > slow {
            told = true;
            let (seconds, missing) = (SLOW.as_secs(), missing.join("; "));
            tell(&format!("storm: not ready {seconds} s after a fault: {missing}"));
        }
        tokio::time::sleep(POLL).await;
    }
    false
}

/// Why a process is not ready, when it is not.
fn why_not(answer: Result<http::Answer>) -> Option<String> {
    match answer {
        Ok(answer) if answer.status == 200 => None,
        Ok(answer) => Some(answer.body),
        Err(error) => Some(format!("{error:#}")),
    }
}

fn since(struck: i64) -> Duration {
    let passed = micros().unwrap_or(struck).saturating_sub(struck);
    Duration::from_micros(passed.unsigned_abs())
}

/// When each concluded order was placed, and when it was concluded, by the first.
pub(super) async fn conclusions(url: &str) -> Result<Vec<(i64, i64)>> {
    let mut database = PgConnection::connect(url).await?;
    let rows = sqlx::query(
        "SELECT c.time, e.time FROM events c JOIN events e ON e.key = c.key \
         WHERE c.event_type = 'ORDER_CREATED' AND e.event_type = 'ORDER_CONCLUDED' ORDER BY 1",
    )
    .fetch_all(&mut database)
    .await?;
    let times = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok(times.collect::<Result<_, sqlx::Error>>()?)
}

/// Times of one role, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// How many faults struck it.
    pub faults: usize,
    /// Until it said that it is ready, sorted.
    pub ready_ms: Vec<u64>,
    /// Until the first of the orders that were placed after the blow was concluded, sorted.
    pub order_ms: Vec<u64>,
}

/// Median and maximum of sorted times.
#[must_use]
pub(super) fn median_and_maximum(sorted: &[u64]) -> Option<(u64, u64)> {
    Some((*sorted.get(sorted.len() / 2)?, *sorted.last()?))
}

pub(super) fn by_role(
    ready: &[Ready],
    conclusions: &[(i64, i64)],
) -> BTreeMap<&'static str, Times> {
    let mut roles: BTreeMap<&'static str, Times> = BTreeMap::new();
    for it in ready {
        let times = roles.entry(it.role).or_default();
        times.faults += 1;
        times
            .ready_ms
            .extend(it.after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)));
        let placed_after = conclusions.iter().filter(|(placed, _)| *placed >= it.struck);
        let first = placed_after.map(|(_, concluded)| concluded - it.struck).min();
        times.order_ms.extend(first.map(|micros| micros.unsigned_abs() / 1000));
    }
    for times in roles.values_mut() {
        times.ready_ms.sort_unstable();
        times.order_ms.sort_unstable();
    }
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_ready_says_why() {
        let answer = |status| http::Answer { status, body: "relay: no lease".to_owned() };
        assert_eq!(why_not(Ok(answer(200))), None);
        assert_eq!(why_not(Ok(answer(503))).unwrap(), "relay: no lease");
        assert_eq!(
            why_not(Err(anyhow::anyhow!("no answer in time"))).unwrap(),
            "no answer in time"
        );
    }

    #[test]
    fn times_are_those_of_the_first_order_placed_after_the_blow() {
        let blow =
            |role, struck, ms| Ready { role, struck, after: Some(Duration::from_millis(ms)) };
        let ready =
            [blow("kafka", 1_000_000, 40), blow("kafka", 9_000_000, 10), blow("order", 0, 5)];
        // The first was placed before the blow and concluded after it: it proves nothing.
        let conclusions = [(900_000, 1_100_000), (1_200_000, 4_000_000), (1_300_000, 3_000_000)];
        let roles = by_role(&ready, &conclusions);
        assert_eq!(roles["kafka"].faults, 2);
        assert_eq!(roles["kafka"].ready_ms, [10, 40]);
        assert_eq!(roles["kafka"].order_ms, [2_000]);
        assert_eq!(roles["order"].order_ms, [1_100]);
        assert_eq!(median_and_maximum(&[1, 2, 9]), Some((2, 9)));
        assert_eq!(median_and_maximum(&[]), None);
    }
}
