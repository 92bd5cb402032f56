//! A service that reads a foreign producer's topic: the carrier scans parcels, sends each scan as often as it
//! likes, and some of them cannot be read.

use quadrille::{
    prelude::*,
    testing::simulation::{Actor, Dice, Foreign},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Who scans, and whose topic it is.
pub(crate) const CARRIER: &str = "carrier";

/// The carrier has scanned a parcel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "PARCEL_SCANNED", key = parcel, source = "carrier")]
pub struct ParcelScanned {
    /// The parcel.
    pub parcel: String,
    /// The number of the scan, from 1.
    pub scan: u32,
}

/// A scan was noted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "parcel.noted", private)]
pub struct Noted {
    /// The number of the scan.
    pub scan: u32,
}

/// The scans of a parcel, in the order in which they were noted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    /// Their numbers.
    pub scans: Vec<u32>,
    /// How it was weighed: the numbers of the calls.
    pub weighings: Vec<u32>,
}

/// The parcel was weighed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(type = "parcel.weighed", private)]
pub struct Weighed {
    /// The number of the call.
    pub nth: u32,
}

/// The weighings that were answered: parcel and number of the call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered(pub(crate) Vec<(String, u32)>);

impl Aggregate for Parcel {
    const NAME: &'static str = "parcel";
    type Id = str;
    type Events = (Noted, Weighed);
}

impl Apply<Weighed> for Parcel {
    fn apply(&mut self, weighed: &Weighed) {
        self.weighings.push(weighed.nth);
    }
}

impl Apply<Noted> for Parcel {
    fn apply(&mut self, noted: &Noted) {
        self.scans.push(noted.scan);
    }
}

/// Notes a scan, as often as it is told: that each comes once is the inbox's to see to.
#[derive(Clone, Debug)]
struct Note {
    scan: u32,
}

impl Command for Note {
    type Aggregate = Parcel;
    type Emits = (Noted,);
    type Refusal = NoRefusal;

    fn decide(self, parcel: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        parcel.record(Noted { scan: self.scan });
        Ok(())
    }
}

/// Weighs the parcel, as often as it is told: it is given no id, and must not be decided twice.
#[derive(Clone, Debug)]
pub struct Weigh {
    /// The number of the call.
    pub nth: u32,
}

impl Command for Weigh {
    type Aggregate = Parcel;
    type Emits = (Weighed,);
    type Refusal = NoRefusal;

    fn decide(self, parcel: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        parcel.record(Weighed { nth: self.nth });
        Ok(())
    }
}

/// The service.
#[derive(Clone, Copy, Debug)]
pub struct Tracking;

impl Service for Tracking {
    const NAME: &'static str = "tracking";
    type Commands = (Weigh,);
    type Handles = (ParcelScanned,);
    type Steps = ();
}

#[handler]
impl EventHandler<ParcelScanned> for Tracking {
    type Emits = ();

    async fn handle(
        &self,
        scanned: &Incoming<ParcelScanned>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let Ok(()) = turn.execute(&*scanned.parcel, Note { scan: scanned.scan }).await?;
        Ok(())
    }
}

/// The parcel of a saga.
pub(crate) fn parcel_of(saga: usize) -> String {
    format!("parcel-{saga}")
}

/// How the carrier's scans of one parcel come.
pub(crate) struct Scans {
    pub(crate) count: u32,
    /// The one that cannot be read, if any.
    pub(crate) unreadable: Option<u32>,
}

impl Scans {
    pub(crate) fn drawn(mut dice: Dice) -> Self {
        let count = u32::try_from(dice.between(1, 4)).unwrap_or(1);
        let unreadable = u32::try_from(dice.between(1, 12)).ok().filter(|scan| *scan <= count);
        Self { count, unreadable }
    }

    /// Those that are noted in the end.
    pub(crate) fn readable(&self) -> Vec<u32> {
        (1..=self.count).filter(|scan| Some(*scan) != self.unreadable).collect()
    }
}

/// The carrier's part in a saga.
pub(crate) fn scan(carrier: &Actor, saga: usize) {
    let (parcel, scans) = (parcel_of(saga), Scans::drawn(carrier.dice("scans")));
    for number in 1..=scans.count {
        let payload = match scans.unreadable {
            Some(unreadable) if unreadable == number => json!({ "parcel": parcel, "scan": "wet" }),
            _ => json!({ "parcel": parcel, "scan": number }),
        };
        let scanned = Foreign {
            source: CARRIER.to_owned(),
            id: format!("{parcel}/{number}"),
            event_type: ParcelScanned::TYPE.to_owned(),
            key: parcel.clone(),
            payload: payload.to_string().into_bytes(),
        };
        carrier.send(CARRIER, &scanned);
    }
}

/// How often a parcel is weighed.
const WEIGHINGS: u32 = 3;

/// Someone puts the parcel on the scales, and does not insist on an answer.
pub(crate) async fn weigh(carrier: &Actor, saga: usize) {
    let parcel = parcel_of(saga);
    for nth in 1..=WEIGHINGS {
        let weighed = carrier.at::<Tracking>().execute_unnamed(&*parcel, Weigh { nth }).await;
        if weighed.is_some() {
            carrier.remember(|answered: &mut Answered| answered.0.push((parcel.clone(), nth)));
        }
    }
}
