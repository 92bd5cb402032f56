//! What is wrong in the declarations of a choreography, as far as one look at each of them shows.
//! What needs the paths through the graph (missing compensations, cycles) is a matter of its own.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use crate::choreography::ServiceDescription;

/// Something wrong, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Which kind of problem it is.
    pub code: ProblemCode,
    /// What is wrong, with names.
    pub text: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.code, self.text, self.mend)
    }
}

/// The kinds of problem. Their texts are stable: tools may match on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemCode {
    /// Two services share a name, and so a topic, a consumer group and a store.
    DuplicateService,
    /// A service lists a command twice, or two commands of one name.
    DuplicateCommand,
    /// A service records an event whose declaration names another one as its source.
    ForeignEvent,
    /// A service consumes an event whose declaration names no source: it cannot find the topic.
    UnknownSource,
    /// A service waits for an event that never leaves its store.
    PrivateEvent,
}

impl ProblemCode {
    /// The code as text, such as `duplicate-service`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DuplicateService => "duplicate-service",
            Self::DuplicateCommand => "duplicate-command",
            Self::ForeignEvent => "foreign-event",
            Self::UnknownSource => "unknown-source",
            Self::PrivateEvent => "private-event",
        }
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

pub(super) fn find(services: &[ServiceDescription]) -> Vec<Problem> {
    let mut found = BTreeSet::new();
    for (at, service) in services.iter().enumerate() {
        if services[..at].iter().any(|earlier| earlier.name == service.name) {
            found.insert(duplicate_service(service));
        }
        found.extend(duplicate_commands(service));
        found.extend(foreign_events(service));
        found.extend(unreachable_events(service));
    }
    found.into_iter().collect()
}

fn duplicate_service(service: &ServiceDescription) -> Problem {
    Problem {
        code: ProblemCode::DuplicateService,
        text: format!("two services are called `{}`", service.name),
        mend: "give each its own `NAME`: it names the topic, the consumer group and the store"
            .into(),
    }
}

fn duplicate_commands(service: &ServiceDescription) -> impl Iterator<Item = Problem> {
    let repeated = service.commands.iter().enumerate().filter(|(at, command)| {
        service.commands[..*at].iter().any(|earlier| earlier.name == command.name)
    });
    repeated.map(|(_, command)| Problem {
        code: ProblemCode::DuplicateCommand,
        text: format!("`{}` lists two commands called `{}`", service.name, command.name),
        mend: "list each once in `type Commands`, and give different commands different names"
            .into(),
    })
}

fn foreign_events(service: &ServiceDescription) -> impl Iterator<Item = Problem> {
    service.emits().filter_map(|event| {
        let source = event.source.filter(|source| *source != service.name)?;
        Some(Problem {
            code: ProblemCode::ForeignEvent,
            text: format!(
                "`{}` may record `{}`, whose declaration says `source = \"{source}\"`",
                service.name, event.event_type
            ),
            mend: format!(
                "let `{source}` record it, or state an event of `{}`'s own",
                service.name
            ),
        })
    })
}

fn unreachable_events(service: &ServiceDescription) -> impl Iterator<Item = Problem> {
    service.consumes().filter_map(|event| {
        let (name, event_type) = (service.name, event.event_type);
        match (event.public, event.source) {
            (false, _) => Some(Problem {
                code: ProblemCode::PrivateEvent,
                text: format!("`{name}` consumes `{event_type}`, which is private"),
                mend: "a private event never leaves its store: make it public with `key = field`"
                    .into(),
            }),
            (true, None) => Some(Problem {
                code: ProblemCode::UnknownSource,
                text: format!("`{name}` consumes `{event_type}`, which names no source"),
                mend: "add `source = \"service\"` to the event's declaration: it tells the topic"
                    .into(),
            }),
            (true, Some(_)) => None,
        }
    })
}
