//! What befalls handlers: they fail, for a while or for good, before or after they have decided.

use std::sync::Arc;

use super::{faults::Fault, node::Node};
use crate::{
    engine::accidents::{Accident, Accidents},
    error::HandlerError,
};

const HANDLER: &[Fault] =
    &[Fault::HandlerFails, Fault::HandlerFailsAfter, Fault::HandlerTerminal, Fault::HandlerBug];

pub(super) fn of(node: &Node) -> Accidents {
    let node = node.clone();
    let ask = move |_: &crate::event::Origin| {
        let core = node.core();
        let site = core.site(node.place(), "handle");
        let accident = match core.decide(&site, HANDLER)? {
            Fault::HandlerFails => {
                Accident::Before(HandlerError::retryable("simulated: it passes"))
            }
            Fault::HandlerFailsAfter => {
                Accident::After(HandlerError::retryable("simulated: it passes"))
            }
            Fault::HandlerTerminal => {
                Accident::Before(HandlerError::terminal("simulated: for good"))
            }
            _ => Accident::After(HandlerError::bug("simulated: a bug")),
        };
        core.changed();
        Some(accident)
    };
    Accidents { ask: Some(Arc::new(ask)) }
}
