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
    /// Runs that are known of and were not made, because there were too many.
    pub left: u64,
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
    /// Runs that are to be made, by how many faults they have: those with the fewest are made first, so that
    /// what is found is shortest, and that all are known soon.
    open: Vec<Vec<Faults>>,
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
    let explored = Explored { runs: vec![0; faults_max + 1], repeated: 0, left: 0, complete: true };
    let mut open = vec![vec![]; faults_max + 1];
    open[0].push(vec![]);
    let shared = Shared { open, busy: 0, begun: 0, explored, broken: None };
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
        shared.explored.left = shared.open.iter().map(|open| open.len() as u64).sum();
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
            shared.explored.complete &= shared.open.iter().all(Vec::is_empty);
            return Next::End;
        }
        match shared.open.iter_mut().find_map(Vec::pop) {
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
        let more = if faults.len() < self.faults_max { self.after(&faults, &run) } else { vec![] };
        run.occasions = vec![];
        let (done, known) = {
            let mut shared = self.lock();
            shared.busy -= 1;
            shared.explored.runs[faults.len()] += 1;
            shared.explored.repeated += run.repeated;
            if let Some(open) = shared.open.get_mut(faults.len() + 1) {
                open.extend(more);
            }
            let fewer = |other: &Run| run.taken.len() < other.taken.len();
            if run.broken.is_some() && shared.broken.as_ref().is_none_or(fewer) {
                shared.broken = Some(run);
            }
            let done = shared.explored.total();
            (done, done + shared.open.iter().map(Vec::len).sum::<usize>() as u64)
        };
        (self.progress)(done, known);
    }

    /// One more fault, at every place after the last one, of a kind that has any probability.
    fn after(&self, faults: &Faults, run: &Run) -> Vec<Faults> {
        let last = faults.last().map(|(site, _)| site);
        let at = run.occasions.iter().position(|(site, _)| Some(site) == last);
        let places = run.occasions.iter().skip(at.map_or(0, |at| at + 1));
        let happens = |fault: &&Fault| self.scenario.faults.probability(fault.kind()) > 0.0;
        let one_more = |site: &Site, fault: Fault| {
            let mut more = faults.clone();
            more.push((site.clone(), fault));
            more
        };
        let at_place = |(site, possible): &(Site, Vec<Fault>)| -> Vec<Faults> {
            possible.iter().filter(happens).map(|fault| one_more(site, *fault)).collect()
        };
        places.flat_map(at_place).collect()
    }
}
