//! What the invariants found.

use std::fmt;

use serde_json::{Value, json};

/// Violations of one invariant that are told in words; further ones are counted.
pub const TOLD_MAX: usize = 20;

/// One invariant, and what became of it.
#[derive(Clone, Debug)]
pub struct Invariant {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub says: &'static str,
    /// How many things were looked at; the unit is in `of`.
    pub checked: u64,
    /// What was counted.
    pub of: &'static str,
    /// How many violate it.
    pub violations: u64,
    /// The first of them, in words.
    pub told: Vec<String>,
    /// What is no violation and yet should be known.
    pub notes: Vec<String>,
}

impl Invariant {
    pub(crate) fn new(name: &'static str, says: &'static str, of: &'static str) -> Self {
        Self { name, says, checked: 0, of, violations: 0, told: vec![], notes: vec![] }
    }

    /// Looked at one more thing.
    pub(crate) fn looked(&mut self) {
        self.checked += 1;
    }

    pub(crate) fn violated(&mut self, what: impl fmt::Display) {
        self.violations += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(what.to_string());
        }
    }

    /// Looks at one more thing, which must be so.
    pub(crate) fn demand(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        self.looked();
        if !holds {
            self.violated(otherwise());
        }
    }

    /// Whether nothing violates it.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.violations == 0
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "says": self.says, "holds": self.holds(), "checked": self.checked,
            "of": self.of, "violations": self.violations, "told": self.told, "notes": self.notes,
        })
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds() { "ok      " } else { "VIOLATED" };
        let Self { name, checked, of, violations, .. } = self;
        write!(f, "{verdict} {name:<34} {checked:>8} {of:<24} {violations:>5} violations")?;
        for line in &self.told {
            write!(f, "\n           {line}")?;
        }
        for line in &self.notes {
            write!(f, "\n           note: {line}")?;
        }
        Ok(())
    }
}

/// All invariants.
#[derive(Clone, Debug)]
pub struct Report {
    /// In the order in which they are told.
    pub invariants: Vec<Invariant>,
}

impl Report {
    /// Whether all hold.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.invariants.iter().all(Invariant::holds)
    }

    /// The names of those that do not hold.
    #[must_use]
    pub fn violated(&self) -> Vec<&'static str> {
        self.invariants.iter().filter(|it| !it.holds()).map(|it| it.name).collect()
    }

    /// How many violations there are in all.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.invariants.iter().map(|it| it.violations).sum()
    }

    /// For machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let invariants: Vec<Value> = self.invariants.iter().map(Invariant::json).collect();
        json!({
            "holds": self.holds(), "violations": self.violations(), "invariants": invariants,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for invariant in &self.invariants {
            writeln!(f, "{invariant}")?;
        }
        Ok(())
    }
}
