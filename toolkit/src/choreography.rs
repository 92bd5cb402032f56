//! The graph: who consumes, emits and compensates what, from the types.

use crate::service::{
    CommandDescription, HandlerDescription, HandlerSet, Service, StepDescription, UndoDescription,
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
}
