//! The payload of an event that crosses services: its type on the first line, then the JSON.

use serde::{Serialize, de::DeserializeOwned};

use super::{Target, ensure, mark};

pub(super) struct PayloadTarget;

type Check = fn(&[u8]) -> Result<Option<u64>, String>;

/// Every event, with its type name. A test holds the list complete.
macro_rules! events {
    ($($event:ident),* $(,)?) => {
        pub(super) const EVENTS: &[(&str, Check)] =
            &[$((<schemas::$event as quadrille::DomainEvent>::TYPE, check::<schemas::$event> as Check)),*];
    };
}

events!(
    OrderCreated,
    OrderCancellationRequested,
    OrderConcluded,
    OrderFailed,
    OrderCancelled,
    BilledOrder,
    PaymentDeclined,
    PaymentRefunded,
    OrderPrepared,
    ProductOutOfStock,
    StockReleased,
    OrderDelivered,
    ShipmentFailed,
    ShipmentCancelled,
    CancellationRefused,
);

/// What is read is written as what is read as the same again.
fn check<E: Serialize + DeserializeOwned + PartialEq>(
    payload: &[u8],
) -> Result<Option<u64>, String> {
    let event: E = match serde_json::from_slice(payload) {
        Ok(event) => event,
        Err(error) => return Ok(Some(mark(&error.to_string()))),
    };
    let bytes =
        serde_json::to_vec(&event).map_err(|error| format!("cannot be written: {error}"))?;
    let again: E = serde_json::from_slice(&bytes)
        .map_err(|error| format!("its own payload {}: {error}", String::from_utf8_lossy(&bytes)))?;
    ensure(event == again, || format!("another event: {}", String::from_utf8_lossy(&bytes)))?;
    Ok(None)
}

impl Target for PayloadTarget {
    fn check(&mut self, input: &[u8]) -> Result<Vec<u64>, String> {
        let at = input.iter().position(|byte| *byte == b'\n');
        let (name, payload) = at.map_or((&[][..], input), |at| (&input[..at], &input[at + 1..]));
        let mut marks = vec![];
        for (event_type, check) in EVENTS {
            // A type that nobody knows stands for all of them.
            let known = EVENTS.iter().any(|(known, _)| known.as_bytes() == name);
            if !known || event_type.as_bytes() == name {
                let behaved = check(payload).map_err(|error| format!("{event_type}: {error}"))?;
                marks.push(mark(event_type) ^ behaved.unwrap_or(0));
            }
        }
        Ok(marks)
    }
}

#[cfg(test)]
mod test {
    #[test]
    fn every_event_is_fed() {
        let fed: Vec<&str> = super::EVENTS.iter().map(|(name, _)| *name).collect();
        let all: Vec<_> = schemas::public_events().iter().map(|event| event.event_type).collect();
        assert_eq!(fed, all);
    }
}
