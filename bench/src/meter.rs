//! Time on the wall, and CPU time of this side, of PostgreSQL and of Kafka.

use std::{
    fs,
    time::{Duration, Instant},
};

/// A tick of the kernel's CPU accounting, for programs: 100 a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// CPU time by who used it. A server whose process is not known has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cpu {
    pub(crate) client: Duration,
    pub(crate) postgres: Duration,
    pub(crate) kafka: Duration,
}

impl Cpu {
    pub(crate) fn total(self) -> Duration {
        self.client + self.postgres + self.kafka
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            client: self.client.saturating_sub(earlier.client),
            postgres: self.postgres.saturating_sub(earlier.postgres),
            kafka: self.kafka.saturating_sub(earlier.kafka),
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            client: self.client + other.client,
            postgres: self.postgres + other.postgres,
            kafka: self.kafka + other.kafka,
        }
    }
}

/// Whose CPU time is read. Servers in containers, or far away, have no process here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Processes {
    pub(crate) postgres: Option<u32>,
    pub(crate) kafka: Option<u32>,
}

/// What was done in some time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    pub(crate) items: u64,
    pub(crate) wall: Duration,
    pub(crate) cpu: Cpu,
}

impl Run {
    pub(crate) fn per_second(&self) -> f64 {
        self.items as f64 / self.wall.as_secs_f64()
    }

    /// Microseconds of CPU an item: `None` where it was too little to be seen.
    pub(crate) fn cpu_micros(&self, of: Duration) -> Option<f64> {
        (of >= 5 * TICK && self.items > 0).then(|| of.as_secs_f64() * 1e6 / self.items as f64)
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            items: self.items + other.items,
            wall: self.wall + other.wall,
            cpu: self.cpu.plus(other.cpu),
        }
    }
}

/// Runs from its making on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    processes: Processes,
    started: Instant,
    before: Cpu,
}

impl Meter {
    pub(crate) fn start(processes: Processes) -> Self {
        let before = read(processes);
        Self { processes, started: Instant::now(), before }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// So many items were done since.
    pub(crate) fn stop(&self, items: u64) -> Run {
        let wall = self.started.elapsed();
        Run { items, wall, cpu: read(self.processes).since(self.before) }
    }
}

/// All CPU time so far: of each process, of its children, and of those that have ended.
fn read(processes: Processes) -> Cpu {
    let all = list();
    let of = |root: u32| -> Duration {
        let family = all.iter().filter(|p| p.id == root || p.parent == root);
        TICK * family.map(|p| p.own + if p.id == root { p.ended } else { 0 }).sum::<u32>()
    };
    Cpu {
        client: of(std::process::id()),
        postgres: processes.postgres.map(of).unwrap_or_default(),
        kafka: processes.kafka.map(of).unwrap_or_default(),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    id: u32,
    parent: u32,
    /// Ticks of the process itself.
    own: u32,
    /// Ticks of children that were waited for.
    ended: u32,
}

fn list() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return vec![] };
    let stat = |entry: fs::DirEntry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        parse(id, &fs::read_to_string(entry.path().join("stat")).ok()?)
    };
    entries.flatten().filter_map(stat).collect()
}

/// Behind the name in parentheses, which may have blanks: state, parent, …; the 14th to 17th of all fields
/// are user, system, children's user and children's system time.
fn parse(id: u32, line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |n: usize| fields.get(n)?.parse::<u32>().ok();
    Some(Stat {
        id,
        parent: number(1)?,
        own: number(11)? + number(12)?,
        ended: number(13)? + number(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read() {
        let line = "7 (a (b) c) S 3 7 7 0 -1 4194560 1 2 3 4 100 20 30 4 20 0 1 0 5 6";
        assert_eq!(parse(7, line), Some(Stat { id: 7, parent: 3, own: 120, ended: 34 }));
    }

    #[test]
    fn work_costs_time() {
        let meter = Meter::start(Processes::default());
        let mut n = 0u64;
        while meter.elapsed() < Duration::from_secs(5) && meter.stop(1).cpu.client < 5 * TICK {
            n = std::hint::black_box(n.wrapping_add(1));
        }
        let run = meter.stop(10);
        assert!(run.cpu_micros(run.cpu.client).is_some_and(|micros| micros >= 5_000.0));
        assert_eq!(run.cpu.kafka, Duration::ZERO);
    }
}
