//! The shortest run: fewer sagas, fewer faults, a calmer network, as long as the same thing breaks.

use std::collections::BTreeMap;

use super::{
    core::Mode,
    faults::Fault,
    plan::{Site, Source},
    report::{Broken, Counterexample, Run},
    scenario::Scenario,
    token::{Part, Token},
    trace::Detail,
    world,
};

/// Runs that a search may take.
const TRIES_MAX: usize = 600;

struct Search<'a> {
    scenario: &'a Scenario,
    seed: u64,
    name: String,
    best: Candidate,
    tries: usize,
    brief: bool,
}

#[derive(Clone, Debug)]
struct Candidate {
    sagas: Vec<usize>,
    faults: Vec<(Site, Fault)>,
    calm: bool,
}

pub(super) fn shrink(scenario: &Scenario, run: &Run) -> Counterexample {
    let broken = run.broken.clone().unwrap_or_else(|| Broken::invariant("nothing", ""));
    let (sagas, faults, calm) = (run.sagas.clone(), run.taken.clone(), run.calm);
    let best = Candidate { sagas, faults, calm };
    let mut search =
        Search { scenario, seed: run.seed, name: broken.name, best, tries: 0, brief: run.brief };
    search.shorten();
    let shortest = search.run(&search.best, Detail::Story);
    let Candidate { sagas, faults, calm } = search.best;
    let given = faults.iter().cloned().collect();
    let part = Part { calm, brief: run.brief, sagas: sagas.clone(), faults: given };
    let token = Token { seed: run.seed, part: Some(part) };
    Counterexample {
        seed: run.seed,
        broken: shortest.broken.unwrap_or(Broken { name: search.name, ..broken_elsewhere() }),
        sagas,
        faults: faults.into_iter().map(|(site, fault)| (site.to_string(), fault)).collect(),
        token: token.to_string(),
        hash: shortest.hash,
        timeline: shortest.timeline,
        before: (run.sagas.len(), run.taken.len()),
        tries: search.tries,
        command: String::new(),
    }
}

/// The same seed, sagas and faults give the same run; should they not, that is the finding.
fn broken_elsewhere() -> Broken {
    Broken::invariant(
        "",
        "and the run cannot be repeated: something in it does not follow from the seed",
    )
}

impl Search<'_> {
    fn run(&self, candidate: &Candidate, detail: Detail) -> Run {
        let given: BTreeMap<_, _> = candidate.faults.iter().cloned().collect();
        let source = Source::Given(given);
        let mode =
            Mode { source, calm: candidate.calm, detail, brief: self.brief, occasions: false };
        world::run(self.scenario, self.seed, &candidate.sagas, &mode)
    }

    /// Takes the candidate if the same thing breaks.
    fn takes(&mut self, mut candidate: Candidate) -> bool {
        if self.tries >= TRIES_MAX {
            return false;
        }
        self.tries += 1;
        let run = self.run(&candidate, Detail::Nothing);
        let same = run.broken.is_some_and(|broken| broken.name == self.name);
        if same {
            // Faults whose occasion did not come are no part of it.
            candidate.faults.retain(|fault| run.taken.contains(fault));
            self.best = candidate;
        }
        same
    }

    fn shorten(&mut self) {
        self.takes(Candidate { faults: vec![], ..self.best.clone() });
        loop {
            let before = (self.best.sagas.len(), self.best.faults.len(), self.best.calm);
            if !self.best.calm {
                self.takes(Candidate { calm: true, ..self.best.clone() });
            }
            self.fewer(|c| c.sagas.len(), |c, range| drop(c.sagas.drain(range)));
            self.fewer(|c| c.faults.len(), |c, range| drop(c.faults.drain(range)));
            if before == (self.best.sagas.len(), self.best.faults.len(), self.best.calm) {
                return;
            }
        }
    }

    /// Leaves out halves, then quarters, and so on down to single ones.
    fn fewer(
        &mut self,
        count: impl Fn(&Candidate) -> usize,
        leave_out: impl Fn(&mut Candidate, std::ops::Range<usize>),
    ) {
        let mut chunk = count(&self.best).div_ceil(2);
        while chunk > 0 {
            let mut from = 0;
            while from < count(&self.best) {
                let mut candidate = self.best.clone();
                let to = (from + chunk).min(count(&candidate));
                leave_out(&mut candidate, from..to);
                if !self.takes(candidate) {
                    from += chunk;
                }
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
    }
}
