//! Every run of a small story with few faults: all of them, and not a sample.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    core::Mode,
    faults::Fault,
    plan::{Site, Source},
    report::{Counterexample, Run},
    scenario::Scenario,
    shrink,
    trace::Detail,
    world,
};

/// What was explored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explored {
    /// Runs by how many faults they had: without, with one, and so on.
    pub runs: Vec<u64>,
    /// Places that were passed over, because the same call was made before and nothing in the world had
    /// changed since: all runs together.
    pub repeated: u64,
    /// Whether that was all of them.
    pub complete: bool,
}

impl Explored {
    /// All runs together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.runs.iter().sum()
    }
}

type Faults = Vec<(Site, Fault)>;

struct Shared {
    /// Runs that are to be made, those with the fewest faults last.
    open: Vec<Faults>,
    /// Workers that may still find more.
    busy: usize,
    begun: u64,
    explored: Explored,
    broken: Option<Run>,
}

struct Search<'a> {
    scenario: Scenario,
    faults_max: usize,
    runs_max: u64,
    progress: &'a (dyn Fn(u64, u64) + Sync),
    shared: Mutex<Shared>,
}

pub(super) fn explore(
    scenario: &Scenario,
    faults_max: usize,
    runs_max: u64,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Explored, Box<Counterexample>> {
    let explored = Explored { runs: vec![0; faults_max + 1], repeated: 0, complete: true };
    let shared = Shared { open: vec![vec![]], busy: 0, begun: 0, explored, broken: None };
    let scenario = scenario.bounded();
    let search = Search { scenario, faults_max, runs_max, progress, shared: Mutex::new(shared) };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| search.work());
        }
    });
    let (explored, broken) = {
        let mut shared = search.lock();
        (shared.explored.clone(), shared.broken.take())
    };
    match broken {
        Some(run) => Err(Box::new(shrink::shrink(&search.scenario, &run))),
        None => Ok(explored),
    }
}

enum Next {
    Run(Faults),
    Wait,
    End,
}

impl Search<'_> {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        loop {
            match self.next() {
                Next::Run(faults) => self.run(faults),
                Next::Wait => std::thread::yield_now(),
                Next::End => return,
            }
        }
    }

    fn next(&self) -> Next {
        let mut shared = self.lock();
        if shared.broken.is_some() {
            return Next::End;
        }
        if shared.begun >= self.runs_max {
            shared.explored.complete &= shared.open.is_empty();
            return Next::End;
        }
        match shared.open.pop() {
            Some(faults) => {
                shared.begun += 1;
                shared.busy += 1;
                Next::Run(faults)
            }
            None if shared.busy > 0 => Next::Wait,
            None => Next::End,
        }
    }

    fn run(&self, faults: Faults) {
        let source = Source::Given(faults.iter().cloned().collect());
        let mode =
            Mode { source, calm: true, detail: Detail::Nothing, brief: true, occasions: true };
        let sagas: Vec<usize> = (0..self.scenario.sagas).collect();
        let mut run = world::run(&self.scenario, 0, &sagas, &mode);
        let more = if faults.len() < self.faults_max { after(&faults, &run) } else { vec![] };
        run.occasions = vec![];
        let (done, known) = {
            let mut shared = self.lock();
            shared.busy -= 1;
            shared.explored.runs[faults.len()] += 1;
            shared.explored.repeated += run.repeated;
            shared.open.extend(more);
            let fewer = |other: &Run| run.taken.len() < other.taken.len();
            if run.broken.is_some() && shared.broken.as_ref().is_none_or(fewer) {
                shared.broken = Some(run);
            }
            let done = shared.explored.total();
            (done, done + shared.open.len() as u64)
        };
        (self.progress)(done, known);
    }
}

/// One more fault, at every place after the last one.
fn after(faults: &Faults, run: &Run) -> Vec<Faults> {
    let last = faults.last().map(|(site, _)| site);
    let from = run.occasions.iter().position(|(site, _)| Some(site) == last).map_or(0, |at| at + 1);
    let places = run.occasions.iter().skip(from);
    let one_more = |site: &Site, fault: Fault| {
        let mut more = faults.clone();
        more.push((site.clone(), fault));
        more
    };
    places.flat_map(|(site, possible)| possible.iter().map(move |f| one_more(site, *f))).collect()
}
