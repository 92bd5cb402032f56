//! The events of the trial service and of the two services that it listens to.

use quadrille::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a handler is to do about an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum How {
    /// What the event asks for.
    Do,
    /// The business says no.
    Refuse,
    /// The step is begun; its outcome comes later.
    Begin,
    /// The answer goes out under this key.
    UnderKey(String),
    /// It fails this many times, counted per event type and key, and then does it.
    FailTimes(u32),
    /// It fails for ever, retryably.
    Fail,
    /// It fails for good.
    Terminal,
    Panic,
    /// It awaits something other than its turn.
    AwaitOther,
    /// The answer has so many bytes.
    Bytes(usize),
}

macro_rules! public_events {
    ($($source:literal { $($name:ident = $kind:literal { $($field:ident: $type:ty),* })* })*) => {$($(
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
        #[event(type = $kind, key = key, source = $source)]
        pub struct $name {
            pub key: String,
            $(pub $field: $type,)*
        }
    )*)*};
}

public_events! {
    "up" {
        Ask = "ASK" { how: How }
        Outcome = "OUTCOME" { how: How }
        AskCharge = "ASK_CHARGE" { account: String }
        AskShip = "ASK_SHIP" { how: How }
        Note = "NOTE" { text: String, how: How }
        Loose = "LOOSE" { text: String, how: How }
        Take = "TAKE" { sku: String, how: How }
        Look = "LOOK" { sku: String }
        Alien = "ALIEN" {}
    }
    "rival" {
        Failed = "FAILED" {}
        ChargeFailed = "CHARGE_FAILED" {}
        Cancel = "CANCEL" {}
        RivalNote = "RIVAL_NOTE" { text: String }
    }
    "trial" {
        Done = "DONE" {}
        Declined = "DECLINED" {}
        Reverted = "REVERTED" {}
        Charged = "CHARGED" { account: String }
        Refunded = "REFUNDED" { account: String }
        Shipped = "SHIPPED" {}
        NotShipped = "NOT_SHIPPED" {}
        Cancelled = "CANCELLED" {}
        TooLate = "TOO_LATE" {}
        Noted = "NOTED" { text: String }
        Took = "TOOK" { left: i64 }
        SoldOut = "SOLD_OUT" {}
        Looked = "LOOKED" { status: String }
        Announced = "ANNOUNCED" { text: String }
    }
}
