//! `cargo xtask mutants`: breaks the protocol on purpose, one rule at a time, and sees the tests fail.
//!
//! The programs are built once, with all mutants in them (`toolkit/src/mutant.rs`); a variable of the
//! environment chooses one for each process. First the simulation has its seeds; what it does not kill goes
//! through the suites.

mod build;
mod report;
mod schedule;
mod trial;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::cli::MutantsArgs;
use crate::workspace::Workspace;
use build::Programs;
use report::Report;
use schedule::Plan;

pub(crate) const HELP: &str = "\
Examples:
  cargo xtask mutants                                  all of them
  cargo xtask mutants tombstone-forgotten epoch-kept   these two
  cargo xtask mutants --list                           what there is, and which rule each breaks
  cargo xtask mutants --json | tail -n 1 | jq .        {\"mutants\": [{\"name\", \"killed_by\", \"runs\"}]}

First everything runs without a mutant, and must pass. Then each mutant gets its seeds of the simulation, and
after these the suites, until something fails. One that survives is a hole in the tests: exit code 1.
What each run printed is in target/xtask/mutants/. docs/mutants.md says more.";

/// A run that takes longer hangs: the mutant is killed by time-out, if the same run takes less than a tenth of
/// that without a mutant.
const TIMEOUT: Duration = Duration::from_secs(180);
/// The time-out is worth something as a verdict when the sound run is so many times faster.
const TIMEOUT_RATIO: f64 = 10.0;
/// Processes side by side.
const PROCESSES_MAX: usize = 4;

/// One deliberate break, as the simulation lists it.
#[derive(Debug, Clone)]
pub(crate) struct Mutant {
    name: String,
    rule: String,
    what: String,
}

/// `true` when no mutant survives.
pub(crate) fn run(workspace: &Workspace, args: &MutantsArgs) -> Result<bool> {
    eprintln!("xtask: building the simulation and the suites, with the mutants in them");
    let simulate = build::simulation(workspace)?;
    let all = build::listed(&simulate)?;
    let chosen = choose(&all, &args.names)?;
    if args.list {
        chosen.iter().for_each(|m| println!("{:<26} {:<8} {}", m.name, m.rule, m.what));
        return Ok(true);
    }
    let programs = Programs { suites: build::suites(workspace)?, simulate };
    let logs = workspace.own_dir("mutants")?;
    let plan = Plan { programs: &programs, seeds: args.seeds, logs: &logs, processes: processes() };
    let sound = plan.sound()?;
    let mut report = Report::default();
    plan.each(&chosen, &sound, |mutant, verdict, done| {
        eprintln!("xtask: [{done}/{}] {}: {verdict}", chosen.len(), mutant.name);
        report.add(mutant, verdict);
    })?;
    report.print(&chosen, args.json);
    Ok(report.survivors() == 0)
}

fn processes() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(PROCESSES_MAX)
}

/// Those of these names; all if there are none.
fn choose(all: &[Mutant], names: &[String]) -> Result<Vec<Mutant>> {
    if let Some(name) = names.iter().find(|name| all.iter().all(|mutant| mutant.name != **name)) {
        let known: Vec<&str> = all.iter().map(|mutant| &*mutant.name).collect();
        bail!("there is no mutant {name}; there are\n  {}", known.join("\n  "));
    }
    let wanted = |mutant: &&Mutant| names.is_empty() || names.contains(&mutant.name);
    Ok(all.iter().filter(wanted).cloned().collect())
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let mutant =
            |name: &str| Mutant { name: name.into(), rule: "P1".into(), what: "it".into() };
        let all = [mutant("stale-read"), mutant("epoch-kept")];
        let error = choose(&all, &["epoch".into()]).unwrap_err().to_string();
        assert!(error.contains("no mutant epoch;") && error.contains("stale-read"), "{error}");
        assert_eq!(choose(&all, &["epoch-kept".into()]).unwrap()[0].name, "epoch-kept");
        assert_eq!(choose(&all, &[]).unwrap().len(), 2);
    }
}
