//! The graph as data; `mermaid`, `dot` and `json` draw it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    choreography::ServiceDescription, event::EventDescription, handler::Role, service::StepKind,
};

/// A choreography as nodes and edges. Its order is stable: services as they were added, all else sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Graph {
    /// The services that were added.
    pub services: Vec<ServiceNode>,
    /// The public event types, by name.
    pub events: Vec<EventNode>,
    /// Who moves whom, by event and then by service.
    pub edges: Vec<Edge>,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServiceNode {
    /// Its name.
    pub name: &'static str,
    /// The commands that may come from outside.
    pub commands: Vec<CommandNode>,
    /// What it does about events.
    pub handlers: Vec<HandlerNode>,
    /// Its steps.
    pub steps: Vec<StepNode>,
    /// How it undoes them.
    pub compensations: Vec<CompensationNode>,
}

/// A command that may come from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CommandNode {
    /// Its type name.
    pub name: &'static str,
    /// The aggregate that decides it.
    pub aggregate: &'static str,
    /// The public events that it may record.
    pub emits: Vec<&'static str>,
}

/// A handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HandlerNode {
    /// The event type that it handles.
    pub consumes: &'static str,
    /// The public events that it may record.
    pub emits: Vec<&'static str>,
    /// `action` or `outcome`.
    pub role: &'static str,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StepNode {
    /// The event type that says it is done.
    pub event: &'static str,
    /// `compensatable`, `pivot` or `retriable`.
    pub kind: &'static str,
}

/// A compensation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CompensationNode {
    /// The event type of the step that it undoes.
    pub step: &'static str,
    /// The event types because of which it does so.
    pub because: Vec<&'static str>,
    /// The public events that it may record.
    pub emits: Vec<&'static str>,
}

/// A public event type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EventNode {
    /// Its name.
    #[serde(rename = "type")]
    pub event_type: &'static str,
    /// The service that states it, by its declaration.
    pub source: Option<&'static str>,
    /// The services of this graph that may record it.
    pub emitters: BTreeSet<&'static str>,
    /// The services of this graph that it reaches.
    pub consumers: BTreeSet<&'static str>,
    /// Whether it is the point of no return.
    pub pivot: bool,
}

/// One end of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// A service of this graph.
    Service(&'static str),
    /// A service that an event's declaration names, but which is not in this graph.
    Absent(&'static str),
    /// Whoever sends commands, states events without a source, or reads what no service here does.
    Outside,
}

/// What an edge means to the party at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgeKind {
    /// A command from outside.
    Command,
    /// An event that is handled.
    Event,
    /// An event that is handled, and after which nothing is undone.
    Pivot,
    /// An event that makes a service undo its step.
    Compensation,
}

/// An event type, or a command, from one party to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Edge {
    /// The event type, or the command's name.
    pub label: &'static str,
    /// Who states it.
    pub from: Party,
    /// Whom it moves.
    pub to: Party,
    /// What it does there.
    pub kind: EdgeKind,
}

impl Graph {
    pub(super) fn of(services: &[ServiceDescription]) -> Self {
        let events = events(services);
        let mut edges = commands(services);
        for service in services {
            let handled = service.handlers.iter().map(|h| (&h.consumes, EdgeKind::Event));
            let handled = handled.filter(|(event, _)| event.crosses());
            let causes = service.undos.iter().flat_map(|undo| &undo.because);
            for (event, kind) in handled.chain(causes.map(|c| (c, EdgeKind::Compensation))) {
                let to = Party::Service(service.name);
                edges.extend(arrivals(&events, services, event.event_type, to, kind));
            }
        }
        for event in events.values().filter(|event| event.consumers.is_empty()) {
            let name = event.event_type;
            edges.extend(arrivals(&events, services, name, Party::Outside, EdgeKind::Event));
        }
        Self {
            services: services.iter().map(ServiceNode::of).collect(),
            events: events.into_values().collect(),
            edges: edges.into_iter().collect(),
        }
    }

    /// The ends of edges that are no services of this graph.
    pub(super) fn strangers(&self) -> BTreeSet<Party> {
        let ends = self.edges.iter().flat_map(|edge| [edge.from, edge.to]);
        ends.filter(|party| !matches!(party, Party::Service(_))).collect()
    }
}

type Events = BTreeMap<&'static str, EventNode>;

fn events(services: &[ServiceDescription]) -> Events {
    let mut events = Events::new();
    for service in services {
        for event in service.emits().filter(|event| event.public) {
            node(&mut events, event).emitters.insert(service.name);
        }
        for event in service.consumes() {
            node(&mut events, event).consumers.insert(service.name);
        }
        for step in service.steps.iter().filter(|step| step.kind == StepKind::Pivot) {
            if let Some(event) = events.get_mut(step.event_type) {
                event.pivot = true;
            }
        }
    }
    events
}

fn node<'e>(events: &'e mut Events, event: &EventDescription) -> &'e mut EventNode {
    let node = events.entry(event.event_type).or_insert_with(|| EventNode {
        event_type: event.event_type,
        source: None,
        emitters: BTreeSet::new(),
        consumers: BTreeSet::new(),
        pivot: false,
    });
    node.source = node.source.or(event.source);
    node
}

fn commands(services: &[ServiceDescription]) -> BTreeSet<Edge> {
    let all = services.iter().flat_map(|s| s.commands.iter().map(|command| (s.name, command)));
    all.map(|(service, command)| Edge {
        label: command.name,
        from: Party::Outside,
        to: Party::Service(service),
        kind: EdgeKind::Command,
    })
    .collect()
}

/// One edge from each party that states the event.
fn arrivals<'a>(
    events: &'a Events,
    services: &'a [ServiceDescription],
    event_type: &'static str,
    to: Party,
    kind: EdgeKind,
) -> impl Iterator<Item = Edge> + 'a {
    events.get(event_type).into_iter().flat_map(move |event| {
        let kind = if event.pivot && kind == EdgeKind::Event { EdgeKind::Pivot } else { kind };
        let edge = move |from| Edge { label: event_type, from, to, kind };
        origins(event, services).into_iter().map(edge)
    })
}

fn origins(event: &EventNode, services: &[ServiceDescription]) -> Vec<Party> {
    if !event.emitters.is_empty() {
        return event.emitters.iter().copied().map(Party::Service).collect();
    }
    match event.source {
        Some(name) if services.iter().any(|s| s.name == name) => vec![Party::Service(name)],
        Some(name) => vec![Party::Absent(name)],
        None => vec![Party::Outside],
    }
}

impl ServiceNode {
    fn of(service: &ServiceDescription) -> Self {
        Self {
            name: service.name,
            commands: service
                .commands
                .iter()
                .map(|command| CommandNode {
                    name: command.name,
                    aggregate: command.aggregate,
                    emits: public(&command.emits),
                })
                .collect(),
            handlers: service
                .handlers
                .iter()
                .map(|handler| HandlerNode {
                    consumes: handler.consumes.event_type,
                    emits: public(&handler.emits),
                    role: match handler.role {
                        Role::Action => "action",
                        Role::Outcome => "outcome",
                    },
                })
                .collect(),
            steps: service
                .steps
                .iter()
                .map(|step| StepNode { event: step.event_type, kind: kind_name(step.kind) })
                .collect(),
            compensations: service
                .undos
                .iter()
                .map(|undo| CompensationNode {
                    step: undo.step.event_type,
                    because: undo.because.iter().map(|event| event.event_type).collect(),
                    emits: public(&undo.emits),
                })
                .collect(),
        }
    }
}

fn public(events: &[EventDescription]) -> Vec<&'static str> {
    events.iter().filter(|event| event.public).map(|event| event.event_type).collect()
}

fn kind_name(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Compensatable => "compensatable",
        StepKind::Pivot => "pivot",
        StepKind::Retriable => "retriable",
    }
}
