//! The suites: which tests there are, and what they need. A file in a package's `tests`
//! folder belongs to the suite whose prefix its name has, else to `integration`.

use anyhow::{Result, bail};

/// What a suite needs of the real servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// PostgreSQL and Kafka, with their addresses in the environment.
    Servers,
    /// It starts servers of its own, to see them stop, through the xtask that `QUADRILLE_XTASK` names.
    OwnServers,
}

impl Needs {
    pub(super) fn any(self) -> bool {
        self != Needs::Nothing
    }

    pub(super) fn given(self) -> bool {
        self == Needs::Servers
    }
}

/// Which targets belong to a suite.
#[derive(Debug)]
enum Pick {
    /// Unit tests: libraries, programs and examples.
    Units,
    /// Test targets that no prefix claims.
    Rest,
    /// Test targets whose name starts with this.
    Prefix(&'static str),
    /// Examples in the documentation.
    Docs,
}

#[derive(Debug)]
pub(super) struct Suite {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) servers: Needs,
    pick: Pick,
}

/// In the order in which they run: what fails fastest comes first.
pub(super) const SUITES: &[Suite] = &[
    Suite {
        name: "unit",
        what: "unit and property tests of every package",
        servers: Needs::Nothing,
        pick: Pick::Units,
    },
    Suite {
        name: "integration",
        what: "tests in the packages' tests folders that need no server",
        servers: Needs::Nothing,
        pick: Pick::Rest,
    },
    Suite {
        name: "docs",
        what: "examples in the documentation",
        servers: Needs::Nothing,
        pick: Pick::Docs,
    },
    Suite {
        name: "postgres",
        what: "the store on real PostgreSQL",
        servers: Needs::Servers,
        pick: Pick::Prefix("postgres_"),
    },
    Suite {
        name: "kafka",
        what: "the log on real Kafka",
        servers: Needs::Servers,
        pick: Pick::Prefix("kafka_"),
    },
    Suite {
        name: "stack",
        what: "the services on real PostgreSQL and Kafka, with faults",
        servers: Needs::Servers,
        pick: Pick::Prefix("stack_"),
    },
    Suite {
        name: "servers",
        what: "servers of the tests' own: killed under the services, and gone however xtask ends",
        servers: Needs::OwnServers,
        pick: Pick::Prefix("servers_"),
    },
];

impl Suite {
    /// What `cargo test` is told, or nothing if there is no such target.
    pub(super) fn arguments(&self, targets: &[String]) -> Option<Vec<String>> {
        let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
        let named = |belongs: &dyn Fn(&str) -> bool| {
            let names = targets.iter().filter(|name| belongs(name));
            let arguments: Vec<String> =
                names.flat_map(|name| ["--test".to_owned(), name.clone()]).collect();
            (!arguments.is_empty()).then_some(arguments)
        };
        match self.pick {
            Pick::Units => words(&["--lib", "--bins", "--examples"]),
            Pick::Docs => words(&["--doc"]),
            Pick::Prefix(prefix) => named(&|name| name.starts_with(prefix)),
            Pick::Rest => named(&|name| !prefixes().any(|prefix| name.starts_with(prefix))),
        }
    }
}

fn prefixes() -> impl Iterator<Item = &'static str> {
    SUITES.iter().filter_map(|suite| match suite.pick {
        Pick::Prefix(prefix) => Some(prefix),
        _ => None,
    })
}

/// The suites of these names; all if there are none.
pub(super) fn choose(names: &[String]) -> Result<Vec<&'static Suite>> {
    for name in names {
        if !SUITES.iter().any(|suite| suite.name == name) {
            let known: Vec<String> =
                SUITES.iter().map(|suite| format!("{}: {}", suite.name, suite.what)).collect();
            bail!("there is no suite {name}; there are\n  {}", known.join("\n  "));
        }
    }
    let wanted = |suite: &&Suite| names.is_empty() || names.iter().any(|name| name == suite.name);
    Ok(SUITES.iter().filter(wanted).collect())
}

#[cfg(test)]
mod test {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn every_target_belongs_to_one_suite() {
        let targets = owned(&["barrier", "kafka_log", "postgres_store", "servers_x", "stack_ends"]);
        let mut claimed: Vec<String> = SUITES
            .iter()
            .filter(|suite| !matches!(suite.pick, Pick::Units | Pick::Docs))
            .flat_map(|suite| suite.arguments(&targets).unwrap())
            .filter(|word| word != "--test")
            .collect();
        claimed.sort();
        assert_eq!(claimed, targets);
    }

    #[test]
    fn a_suite_without_targets_is_known_as_such() {
        let [kafka] = choose(&owned(&["kafka"])).unwrap()[..] else { panic!() };
        assert_eq!(kafka.arguments(&owned(&["barrier"])), None);
    }

    #[test]
    fn an_unknown_suite_is_refused_with_the_known_ones() {
        let error = choose(&owned(&["kafak"])).unwrap_err().to_string();
        assert!(error.contains("no suite kafak") && error.contains("kafka:"), "{error}");
        assert_eq!(choose(&[]).unwrap().len(), SUITES.len());
    }
}
