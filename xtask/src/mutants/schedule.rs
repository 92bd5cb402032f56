//! Which program runs when: a few side by side, each mutant's one after the other.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::build::Programs;
use super::report::Verdict;
use super::trial::{Ended, Step, Tests, Trial};
use super::{Mutant, TIMEOUT, TIMEOUT_RATIO};
use crate::interrupt;

/// What is run, and how.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) programs: &'a Programs,
    /// Seeds of the simulation for each mutant.
    pub(super) seeds: u64,
    pub(super) logs: &'a Path,
    pub(super) processes: usize,
}

/// How long each program takes when nothing is broken, in seconds.
pub(super) type Sound = HashMap<String, f64>;

/// A mutant on its way through the programs.
struct Course {
    mutant: usize,
    left: VecDeque<Step>,
    trial: Option<Trial>,
    seconds: f64,
    /// Seeds and test programs that have run.
    runs: u64,
    /// A program ran into its time-out, which says nothing: it may be slow.
    hung: Vec<String>,
}

impl Plan<'_> {
    /// The simulation, then the tests that bear the rule's name, then all.
    fn steps(&self, rule: &str) -> VecDeque<Step> {
        let mut steps = VecDeque::from([Step::Simulation { seeds: self.seeds }]);
        for only in [named(rule), String::new()] {
            let tests = |suite| Step::Tests(Tests { suite, only: only.clone(), skip: vec![] });
            steps.extend((0..self.programs.suites.len()).map(tests));
        }
        steps
    }

    /// Everything, once.
    fn whole(&self) -> VecDeque<Step> {
        let all = |step: &Step| !matches!(step, Step::Tests(tests) if !tests.only.is_empty());
        self.steps("P1").into_iter().filter(all).collect()
    }

    fn name(&self, step: &Step) -> String {
        let suite = step.suite().map(|index| self.programs.suites[index].name.clone());
        suite.unwrap_or_else(|| "simulation".to_owned())
    }

    /// Everything without a mutant: it must pass.
    pub(super) fn sound(&self) -> Result<Sound> {
        let mut sound = Sound::new();
        let mut left = self.whole();
        let mut running: Vec<Trial> = vec![];
        while !left.is_empty() || !running.is_empty() {
            while running.len() < self.processes
                && let Some(step) = left.pop_front()
            {
                running.push(Trial::start(self.programs, step, "", self.logs, TIMEOUT)?);
            }
            let mut still = vec![];
            for mut trial in running {
                let name = self.name(&trial.step);
                match trial.poll()? {
                    None => still.push(trial),
                    Some(Ended::Passed) => {
                        let seconds = trial.took().as_secs_f64();
                        eprintln!("xtask: without a mutant, {name} passes ({seconds:.1} s)");
                        sound.insert(name, seconds);
                    }
                    Some(ended) => bail!("without a mutant, {name} does not pass: {ended:?}"),
                }
            }
            running = still;
            interrupt::pause()?;
        }
        Ok(sound)
    }

    /// Each mutant through the programs, until one of them fails. `tell` hears each verdict, and how many
    /// there are.
    pub(super) fn each(
        &self,
        mutants: &[Mutant],
        sound: &Sound,
        mut tell: impl FnMut(&Mutant, Verdict, usize),
    ) -> Result<()> {
        let course = |(at, mutant): (usize, &Mutant)| Course::new(at, self.steps(&mutant.rule));
        let mut left: VecDeque<Course> = mutants.iter().enumerate().map(course).collect();
        let (mut running, mut done): (Vec<Course>, usize) = (vec![], 0);
        while !left.is_empty() || !running.is_empty() {
            while running.len() < self.processes
                && let Some(course) = left.pop_front()
            {
                running.push(course);
            }
            let mut still = vec![];
            for mut course in running {
                let mutant = &mutants[course.mutant];
                match self.go_on(&mut course, mutant, sound)? {
                    None => still.push(course),
                    Some(verdict) => {
                        done += 1;
                        tell(mutant, verdict, done);
                    }
                }
            }
            running = still;
            interrupt::pause()?;
        }
        Ok(())
    }

    fn go_on(
        &self,
        course: &mut Course,
        mutant: &Mutant,
        sound: &Sound,
    ) -> Result<Option<Verdict>> {
        let Some(trial) = &mut course.trial else {
            let Some(step) = course.left.pop_front() else {
                return Ok(Some(course.survived()));
            };
            let trial = Trial::start(self.programs, step, &mutant.name, self.logs, TIMEOUT)?;
            course.trial = Some(trial);
            return Ok(None);
        };
        let Some(ended) = trial.poll()? else { return Ok(None) };
        let (step, took) = (trial.step.clone(), trial.took());
        course.seconds += took.as_secs_f64();
        course.trial = None;
        let name = self.name(&step);
        let verdict = match (ended, step) {
            (Ended::Broken { what, seeds }, _) => {
                course.runs += seeds;
                Some(course.killed("simulation", what))
            }
            (Ended::Failed { test }, Step::Confirm { .. }) => {
                Some(course.killed_by_suite(format!("{name}: {test}")))
            }
            (Ended::Failed { test }, Step::Tests(of)) => {
                course.left.push_front(Step::Confirm { of, test });
                None
            }
            (Ended::Passed, Step::Confirm { mut of, test }) => {
                eprintln!("xtask: {}: {test} failed once, and alone it passes", mutant.name);
                of.skip.push(test);
                course.left.push_front(Step::Tests(of));
                None
            }
            (Ended::TimedOut, _) if is_slow(TIMEOUT, sound.get(&name).copied()) => {
                course.hung.push(name);
                None
            }
            (Ended::TimedOut, _) => Some(course.killed_by_suite(format!("{name}: time-out"))),
            (Ended::Crashed { how }, _) => {
                Some(course.killed_by_suite(format!("{name} ended with {how}")))
            }
            (Ended::Passed, Step::Simulation { seeds }) => {
                course.runs += seeds;
                None
            }
            (Ended::Passed | Ended::Failed { .. }, _) => {
                course.runs += 1;
                None
            }
        };
        Ok(verdict)
    }
}

/// What the names of a rule's tests have in them.
fn named(rule: &str) -> String {
    match rule.strip_prefix('P').and_then(|number| number.parse::<u8>().ok()) {
        Some(number) => format!("p{number:02}_"),
        None => rule.to_owned(),
    }
}

/// Whether a run may take its whole time-out without being broken.
fn is_slow(timeout: Duration, sound: Option<f64>) -> bool {
    sound.is_none_or(|seconds| seconds * TIMEOUT_RATIO > timeout.as_secs_f64())
}

impl Course {
    fn new(mutant: usize, left: VecDeque<Step>) -> Self {
        Self { mutant, left, trial: None, seconds: 0.0, runs: 0, hung: vec![] }
    }

    fn killed(&self, by: &'static str, what: String) -> Verdict {
        Verdict { by: Some(by), what, runs: self.runs, seconds: self.seconds }
    }

    fn killed_by_suite(&mut self, what: String) -> Verdict {
        self.runs += 1;
        self.killed("suite", what)
    }

    fn survived(&self) -> Verdict {
        let what = match self.hung.is_empty() {
            true => "everything passed".to_owned(),
            false => format!("nothing failed; {:?} had no time to end", self.hung),
        };
        Verdict { by: None, what, runs: self.runs, seconds: self.seconds }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_tests_of_a_rule_bear_its_name() {
        assert_eq!(
            (&*named("P3"), &*named("P17"), &*named("barrier")),
            ("p03_", "p17_", "barrier")
        );
    }

    #[test]
    fn a_time_out_is_a_verdict_only_for_what_is_fast_when_sound() {
        let timeout = Duration::from_secs(100);
        assert!(!is_slow(timeout, Some(9.0)));
        assert!(is_slow(timeout, Some(11.0)) && is_slow(timeout, None));
    }
}
