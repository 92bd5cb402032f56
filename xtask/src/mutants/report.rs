//! What became of each mutant: a table, and JSON.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Value, json};

use super::Mutant;

/// What became of one mutant.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    /// `simulation` or `suite`; none for one that survives.
    pub(super) by: Option<&'static str>,
    /// What was broken, or which test failed.
    pub(super) what: String,
    /// Seeds of the simulation and test programs that ran until it was killed.
    pub(super) runs: u64,
    pub(super) seconds: f64,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, runs, seconds, .. } = self;
        match self.by {
            Some("simulation") => write!(f, "killed by seed {runs} ({seconds:.1} s): {what}"),
            Some(_) => write!(f, "killed by a test, run {runs} ({seconds:.1} s): {what}"),
            None => write!(f, "SURVIVES ({seconds:.1} s): {what}"),
        }
    }
}

/// All verdicts, by the mutant's name.
#[derive(Debug, Default)]
pub(super) struct Report(HashMap<String, Verdict>);

impl Report {
    pub(super) fn add(&mut self, mutant: &Mutant, verdict: Verdict) {
        self.0.insert(mutant.name.clone(), verdict);
    }

    pub(super) fn survivors(&self) -> usize {
        self.0.values().filter(|verdict| verdict.by.is_none()).count()
    }

    /// The table, and with `json` a last line for programs.
    pub(super) fn print(&self, mutants: &[Mutant], json: bool) {
        let of = |mutant: &Mutant| Some((mutant.clone(), self.0.get(&mutant.name)?.clone()));
        let rows: Vec<(Mutant, Verdict)> = mutants.iter().filter_map(of).collect();
        println!("\n| mutant | rule | what is wrong | killed by | runs | seconds |");
        println!("|---|---|---|---|--:|--:|");
        for (mutant, verdict) in &rows {
            let Verdict { runs, seconds, .. } = verdict;
            let by = killer(verdict).unwrap_or_else(|| "**survives**".to_owned());
            let Mutant { name, rule, what } = mutant;
            println!("| `{name}` | {rule} | {what} | {by} | {runs} | {seconds:.1} |");
        }
        println!("\n{} mutants, {} survive", rows.len(), self.survivors());
        if json {
            let mutants: Vec<Value> = rows.iter().map(as_json).collect();
            println!("{}", json!({ "mutants": mutants }));
        }
    }
}

/// What killed it, in one cell.
fn killer(verdict: &Verdict) -> Option<String> {
    // A law tells numbers behind its colon; the first part says which one it was.
    let cut = |what: &str| what.split(": ").next().unwrap_or(what).replace('|', "/");
    match verdict.by? {
        "simulation" => Some(format!("simulation: {}", cut(&verdict.what))),
        _ => Some(verdict.what.clone()),
    }
}

fn as_json((mutant, verdict): &(Mutant, Verdict)) -> Value {
    json!({
        "name": mutant.name,
        "killed_by": killer(verdict),
        "runs": verdict.runs,
        "rule": mutant.rule,
        "breaks": mutant.what,
        "by": verdict.by,
        "told": verdict.what,
        "seconds": (verdict.seconds * 10.0).round() / 10.0,
    })
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_survivor_is_counted_and_has_no_killer() {
        let mutant = Mutant { name: "a".into(), rule: "P1".into(), what: "it".into() };
        let survives = Verdict { by: None, what: "all passed".into(), runs: 0, seconds: 1.0 };
        let mut report = Report::default();
        report.add(&mutant, survives.clone());
        assert_eq!(report.survivors(), 1);
        assert_eq!(as_json(&(mutant.clone(), survives))["killed_by"], Value::Null);
        let what = "engine: p11::p11_order".to_owned();
        let killed = Verdict { by: Some("suite"), what, runs: 1, seconds: 1.0 };
        assert_eq!(as_json(&(mutant, killed))["killed_by"], "engine: p11::p11_order");
    }
}
