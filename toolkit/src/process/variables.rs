//! Every variable: the one list that reading, `--help` and the documentation go by.

/// What all names begin with.
pub(super) const PREFIX: &str = "QUADRILLE_";

/// A variable, without the prefix. In the file its name is in lower case.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) default: Default,
    /// The form and the unit of its value.
    pub(super) form: &'static str,
    pub(super) what: &'static str,
}

/// What holds when nothing is said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Default {
    /// It must be said.
    Required,
    /// This value.
    Is(&'static str),
    /// Nothing; the text tells people what that means.
    None(&'static str),
}

impl Variable {
    /// The name in the environment.
    pub(super) fn full_name(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// The name in the file.
    pub(super) fn key(&self) -> String {
        self.name.to_ascii_lowercase()
    }
}

pub(super) const CONFIG: Variable = Variable {
    name: "CONFIG",
    default: Default::None("no file"),
    form: "path",
    what: "JSON file of further settings: one object, keys as below in lower case and without the prefix",
};
pub(super) const NAMESPACE: Variable = Variable {
    name: "NAMESPACE",
    default: Default::Is("quadrille"),
    form: "letters, digits, - _ .",
    what: "first part of every topic, group and transactional id",
};
pub(super) const KAFKA_BROKERS: Variable = Variable {
    name: "KAFKA_BROKERS",
    default: Default::Required,
    form: "host:port[,host:port]",
    what: "Kafka's bootstrap servers",
};
pub(super) const KAFKA_PLAINTEXT_OK: Variable = Variable {
    name: "KAFKA_PLAINTEXT_OK",
    default: Default::Is("no"),
    form: "yes or no",
    what: "whether the connection to brokers on other machines may be unencrypted",
};
pub(super) const DATABASE_URL: Variable = Variable {
    name: "DATABASE_URL",
    default: Default::Required,
    form: "postgres://user:password@host:port/database",
    what: "the service's own database; never shown whole",
};
pub(super) const DATABASE_OWNER_URL: Variable = Variable {
    name: "DATABASE_OWNER_URL",
    default: Default::None("DATABASE_URL's role migrates"),
    form: "postgres://user:password@host:port/database",
    what: "the tables' owner, who migrates at start and grants DATABASE_URL's role what it needs",
};
pub(super) const HTTP_ADDRESS: Variable = Variable {
    name: "HTTP_ADDRESS",
    default: Default::Is("127.0.0.1:8080"),
    form: "ip:port",
    what: "where to listen; port 0 takes a free one",
};
pub(super) const LANES: Variable = Variable {
    name: "LANES",
    default: Default::Is("6"),
    form: "partitions, 1 to 1000",
    what: "partitions of the service's topic; fixed when the database is first used",
};
pub(super) const SHARDS: Variable = Variable {
    name: "SHARDS",
    default: Default::Is("1"),
    form: "producers, 1 to LANES",
    what: "transactional producers among which the lanes are divided",
};
pub(super) const START_AT: Variable = Variable {
    name: "START_AT",
    default: Default::Is("first"),
    form: "first or retained",
    what: "where a topic is begun that was never read before: at number 1, or at what it still holds",
};
pub(super) const TOPICS: Variable = Variable {
    name: "TOPICS",
    default: Default::None("NAMESPACE.service.events for each service that is read"),
    form: "service=topic[,service=topic]",
    what: "topics of services that do not follow this: of producers that are not ours",
};
pub(super) const INBOX_KEPT_HOURS: Variable = Variable {
    name: "INBOX_KEPT_HOURS",
    default: Default::Is("168"),
    form: "hours, 1 to 8760",
    what: "how long an event of a producer that is not ours is known again by its source and id",
};
pub(super) const ANSWERS_KEPT_HOURS: Variable = Variable {
    name: "ANSWERS_KEPT_HOURS",
    default: Default::Is("24"),
    form: "hours, 1 to 8760",
    what: "how long a command's answer is kept under its Idempotency-Key",
};
pub(super) const AGGREGATES_CACHED: Variable = Variable {
    name: "AGGREGATES_CACHED",
    default: Default::Is("20000"),
    form: "aggregates, 1 to 10000000",
    what: "aggregates that are kept in memory; what sagas in flight need beyond it is read from the database each time",
};
pub(super) const INSTANCE: Variable = Variable {
    name: "INSTANCE",
    default: Default::None("a random name"),
    form: "letters, digits, - _ .",
    what: "name that this instance keeps over restarts and no other has at the same time",
};
pub(super) const LOG: Variable = Variable {
    name: "LOG",
    default: Default::None("RUST_LOG, else info"),
    form: "level, or target=level[,...]",
    what: "what is written to standard error",
};
pub(super) const PROCESS_SPANS: Variable = Variable {
    name: "PROCESS_SPANS",
    default: Default::Is("child"),
    form: "child or link",
    what: "whether the span that processes an event continues its trace, or begins one and links to it",
};
pub(super) const DRAIN_SECONDS: Variable = Variable {
    name: "DRAIN_SECONDS",
    default: Default::Is("30"),
    form: "seconds, 1 to 3600",
    what: "for how long to finish what was begun after SIGTERM or SIGINT",
};

pub(super) const OPERATOR_TOKEN: Variable = Variable {
    name: "OPERATOR_TOKEN",
    default: Default::None("open when HTTP_ADDRESS is loopback, else closed"),
    form: "16 characters or more",
    what: "the bearer token that opens the operator's interface; never shown",
};
pub(super) const ALERT_WEBHOOK_URL: Variable = Variable {
    name: "ALERT_WEBHOOK_URL",
    default: Default::None("nobody is told"),
    form: "https://host/path or http://host:port/path",
    what: "where dead letters are posted as JSON; shown without its path",
};
pub(super) const ALERT_WEBHOOK_SECRET: Variable = Variable {
    name: "ALERT_WEBHOOK_SECRET",
    default: Default::None("not signed"),
    form: "whsec_ and base64",
    what: "the key of the signatures of ALERT_WEBHOOK_URL's messages; never shown",
};

/// All of them, in the order of `--help`.
pub(super) const ALL: &[&Variable] = &[
    &CONFIG,
    &NAMESPACE,
    &KAFKA_BROKERS,
    &KAFKA_PLAINTEXT_OK,
    &DATABASE_URL,
    &DATABASE_OWNER_URL,
    &HTTP_ADDRESS,
    &LANES,
    &SHARDS,
    &START_AT,
    &TOPICS,
    &INBOX_KEPT_HOURS,
    &ANSWERS_KEPT_HOURS,
    &AGGREGATES_CACHED,
    &INSTANCE,
    &LOG,
    &PROCESS_SPANS,
    &DRAIN_SECONDS,
    &OPERATOR_TOKEN,
    &ALERT_WEBHOOK_URL,
    &ALERT_WEBHOOK_SECRET,
];

/// The variable that a misspelt name most likely means.
pub(super) fn nearest(name: &str) -> Option<&'static Variable> {
    let distance = |variable: &&&Variable| edits(variable.name, name);
    ALL.iter().min_by_key(distance).filter(|best| edits(best.name, name) <= 3).copied()
}

/// How many letters must be changed, added or removed to make one of the other.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_recognised() {
        assert_eq!(nearest("KAKFA_BROKERS").map(|v| v.name), Some("KAFKA_BROKERS"));
        assert_eq!(nearest("LANE").map(|v| v.name), Some("LANES"));
        assert_eq!(nearest("SOMETHING_ELSE"), None);
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!((edits("", "abc"), edits("abc", "abc"), edits("kitten", "sitting")), (3, 0, 3));
    }
}
