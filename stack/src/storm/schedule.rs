//! Which faults, and when: the same for the same seed, minutes and instances.

use std::{fmt, time::Duration};

use super::options::Options;
use crate::processes::SERVICES;

/// What can befall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// SIGKILL of a process of a service; it is started again.
    KillService,
    /// SIGSTOP of a process of a service for longer than leases and transactions last.
    StopService,
    /// No way between a service and the broker.
    CutKafka,
    /// No way between a service and its database.
    CutDatabase,
    /// A commit is held back, its process is killed, and the commit reaches the broker late.
    LateCommit,
    /// SIGKILL of the broker.
    KillKafka,
    /// SIGKILL of the broker while a commit is on its way to it.
    KillKafkaInCommit,
    /// SIGSTOP of the broker for longer than transactions last.
    StopKafka,
    /// SIGKILL of PostgreSQL, all its processes.
    KillPostgres,
    /// SIGSTOP of PostgreSQL for longer than leases last.
    StopPostgres,
}

impl Kind {
    /// The kinds that strike a service; each other one strikes all.
    fn strikes_service(self) -> bool {
        use Kind::{CutDatabase, CutKafka, KillService, LateCommit, StopService};
        matches!(self, KillService | StopService | CutKafka | CutDatabase | LateCommit)
    }

    /// Whether nothing can recover before it is over.
    pub(super) fn lasts(self) -> bool {
        use Kind::{CutDatabase, CutKafka, StopKafka, StopPostgres, StopService};
        matches!(self, CutDatabase | CutKafka | StopKafka | StopPostgres | StopService)
    }
}

/// Each kind once, and the kill of a service once for each: the order is drawn, the lot is not, so that a
/// short storm has everything.
const LOT: [Kind; 13] = [
    Kind::KillService,
    Kind::KillService,
    Kind::KillService,
    Kind::KillService,
    Kind::StopService,
    Kind::CutKafka,
    Kind::CutDatabase,
    Kind::LateCommit,
    Kind::KillKafka,
    Kind::KillKafkaInCommit,
    Kind::StopKafka,
    Kind::KillPostgres,
    Kind::StopPostgres,
];

/// Orders are placed for a while before anything happens, …
const CALM_FIRST: Duration = Duration::from_secs(4);
/// … and after the last fault.
const CALM_LAST: Duration = Duration::from_secs(6);

/// One fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// When, from the first order on; later when the one before it is not over.
    pub at: Duration,
    /// What.
    pub kind: Kind,
    /// Which service; for some kinds the one whose commit is held back.
    pub service: &'static str,
    /// Which of its processes.
    pub instance: u32,
    /// How long it lasts, or how long what was killed stays away.
    pub lasts: Duration,
}

impl Fault {
    /// The role that has to recover: a service, `kafka` or `postgres`.
    #[must_use]
    pub fn role(&self) -> &'static str {
        match self.kind {
            kind if kind.strikes_service() => self.service,
            Kind::KillPostgres | Kind::StopPostgres => "postgres",
            _ => "kafka",
        }
    }

    /// In words, without the time.
    #[must_use]
    pub fn what(&self) -> String {
        let Self { service, instance, .. } = self;
        let lasts = self.lasts.as_secs_f64();
        match self.kind {
            Kind::KillService => format!("kill {service}-{instance}, start it {lasts:.1} s later"),
            Kind::StopService => format!("stop {service}-{instance} for {lasts:.1} s"),
            Kind::CutKafka => format!("cut {service} off from the broker for {lasts:.1} s"),
            Kind::CutDatabase => format!("cut {service} off from its database for {lasts:.1} s"),
            Kind::LateCommit => format!(
                "hold a commit of {service} back, kill its process, let the commit through {lasts:.1} s later"
            ),
            Kind::KillKafka => "kill the broker".to_owned(),
            Kind::KillKafkaInCommit => format!("kill the broker in a commit of {service}"),
            Kind::StopKafka => format!("stop the broker for {lasts:.1} s"),
            Kind::KillPostgres => "kill PostgreSQL".to_owned(),
            Kind::StopPostgres => format!("stop PostgreSQL for {lasts:.1} s"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7.1} s  {}", self.at.as_secs_f64(), self.what())
    }
}

/// Draws the faults.
#[must_use]
pub fn draw(options: &Options) -> Vec<Fault> {
    let mut random = Random(options.seed);
    let end = options.duration().saturating_sub(CALM_LAST);
    let mut faults = vec![];
    let mut at = CALM_FIRST;
    let mut killed = random.below(4);
    loop {
        let mut lot = LOT;
        random.shuffle(&mut lot);
        for kind in lot {
            let mut service = SERVICES[index(random.below(4))];
            if kind == Kind::KillService {
                // One after the other: each is killed.
                killed += 1;
                service = SERVICES[index(killed % 4)];
            }
            let instance = number(1 + random.below(u64::from(options.instances)));
            let lasts = lasting(kind, &mut random);
            if at + lasts > end {
                return faults;
            }
            faults.push(Fault { at, kind, service, instance, lasts });
            at += lasts + random.between(1_500, 4_000);
        }
    }
}

fn lasting(kind: Kind, random: &mut Random) -> Duration {
    match kind {
        Kind::KillService => random.between(200, 2_000),
        // Leases last ten seconds, transactions too.
        Kind::StopService | Kind::StopKafka | Kind::StopPostgres => random.between(11_000, 14_000),
        Kind::CutKafka | Kind::CutDatabase => random.between(500, 6_000),
        Kind::LateCommit => random.between(500, 5_000),
        // It comes back by itself; meanwhile nothing else is done.
        Kind::KillKafka | Kind::KillKafkaInCommit | Kind::KillPostgres => Duration::from_secs(4),
    }
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or_default()
}

fn number(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(1)
}

/// SplitMix64: the same numbers for the same seed in every version of everything.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn between(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        Duration::from_millis(least_ms + self.below(most_ms - least_ms))
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, index(self.below(i as u64 + 1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn options(seed: u64, minutes: f64) -> Options {
        let nowhere = std::path::PathBuf::new;
        let (folder, program, xtask) = (nowhere(), nowhere(), nowhere());
        Options { minutes, rate: 5, instances: 2, seed, folder, program, xtask }
    }

    #[test]
    fn a_seed_has_one_schedule() {
        assert_eq!(draw(&options(7, 5.0)), draw(&options(7, 5.0)));
        assert_ne!(draw(&options(7, 5.0)), draw(&options(8, 5.0)));
    }

    #[test]
    fn a_short_storm_has_everything() {
        for seed in 0..200 {
            let faults = draw(&options(seed, 2.5));
            let kinds: BTreeSet<Kind> = faults.iter().map(|fault| fault.kind).collect();
            assert_eq!(kinds.len(), 10, "seed {seed}: {kinds:?}");
            let killed: BTreeSet<&str> = faults
                .iter()
                .filter(|fault| fault.kind == Kind::KillService)
                .map(|fault| fault.service)
                .collect();
            assert_eq!(killed.len(), 4, "seed {seed}: {killed:?}");
        }
    }

    #[test]
    fn faults_come_one_after_the_other_and_end_before_the_orders_do() {
        let faults = draw(&options(3, 10.0));
        assert!(faults.windows(2).all(|pair| pair[0].at + pair[0].lasts < pair[1].at));
        let last = faults.last().unwrap();
        assert!(last.at + last.lasts <= Duration::from_secs(600) - CALM_LAST, "{last}");
    }
}
