//! The graph: who consumes, emits and compensates what, from the types.
//!
//! ```
//! # use quadrille::prelude::*;
//! # use schemars::JsonSchema;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
//! # #[event(type = "ORDER_CONCLUDED", key = order, source = "order")]
//! # struct OrderConcluded { order: String }
//! # struct Mail;
//! # impl Service for Mail {
//! #     const NAME: &'static str = "mail";
//! #     type Commands = ();
//! #     type Handles = (OrderConcluded,);
//! #     type Steps = ();
//! # }
//! # #[handler]
//! # impl EventHandler<OrderConcluded> for Mail {
//! #     type Emits = ();
//! #     async fn handle(&self, _: &Incoming<OrderConcluded>, _: &mut Turn<'_, ()>) -> Result<(), HandlerError> { Ok(()) }
//! # }
//! use quadrille::choreography::Choreography;
//!
//! let choreography = Choreography::new().service::<Mail>();
//! assert!(choreography.problems().is_empty());
//! assert_eq!(choreography.sources_of("mail"), ["order"].into());
//! println!("{}", choreography.graph().mermaid());
//! ```

mod dot;
mod graph;
mod json;
mod mermaid;
mod problems;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use graph::{
    CommandNode, CompensationNode, Edge, EdgeKind, EventNode, Graph, HandlerNode, Party,
    ServiceNode, StepNode,
};
pub use problems::{Problem, ProblemCode};

use crate::{
    event::EventDescription,
    service::{
        CommandDescription, HandlerDescription, HandlerSet, Service, StepDescription,
        UndoDescription,
    },
};

/// What one service does, gathered from its types.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceDescription {
    /// Its name.
    pub name: &'static str,
    /// The commands that may come from outside.
    pub commands: Vec<CommandDescription>,
    /// Its handlers.
    pub handlers: Vec<HandlerDescription>,
    /// Its steps.
    pub steps: Vec<StepDescription>,
    /// Its compensations.
    pub undos: Vec<UndoDescription>,
}

impl ServiceDescription {
    /// Describes a service.
    #[must_use]
    pub fn of<S: Service>() -> Self {
        let set = HandlerSet::<S>::gather();
        Self {
            name: S::NAME,
            commands: <S::Commands as crate::list::CommandList>::describe(),
            handlers: set.handlers,
            steps: set.steps,
            undos: set.undos,
        }
    }

    /// The events that reach it from others, with repetitions: what it handles, and what makes it
    /// compensate. Deadlines and outcomes of effects are its own, and come back by themselves.
    pub fn consumes(&self) -> impl Iterator<Item = &EventDescription> {
        let causes = self.undos.iter().flat_map(|undo| &undo.because);
        let handled = self.handlers.iter().map(|handler| &handler.consumes);
        handled.chain(causes).filter(|event| event.crosses())
    }

    /// The events that it may record, private ones included, with repetitions.
    pub fn emits(&self) -> impl Iterator<Item = &EventDescription> {
        let commands = self.commands.iter().flat_map(|command| &command.emits);
        let handlers = self.handlers.iter().flat_map(|handler| &handler.emits);
        commands.chain(handlers).chain(self.undos.iter().flat_map(|undo| &undo.emits))
    }
}

/// The services that dance together, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Choreography {
    services: Vec<ServiceDescription>,
}

impl Choreography {
    /// Nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service.
    #[must_use]
    pub fn service<S: Service>(self) -> Self {
        self.described(ServiceDescription::of::<S>())
    }

    /// Adds a service by its description.
    #[must_use]
    pub fn described(mut self, service: ServiceDescription) -> Self {
        self.services.push(service);
        self
    }

    /// The services.
    #[must_use]
    pub fn services(&self) -> &[ServiceDescription] {
        &self.services
    }

    /// The names of the services whose events `service` consumes, as the events' declarations name them.
    /// Empty when there is no such service.
    #[must_use]
    pub fn sources_of(&self, service: &str) -> BTreeSet<&'static str> {
        let named = self.services.iter().filter(|s| s.name == service);
        named.flat_map(ServiceDescription::consumes).filter_map(|event| event.source).collect()
    }

    /// The graph of all services.
    #[must_use]
    pub fn graph(&self) -> Graph {
        Graph::of(&self.services)
    }

    /// What is wrong in the declarations, in a stable order; empty when nothing is.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        problems::find(&self.services)
    }
}
