//! A simulation to copy: two services, a story, a law. `cargo run --example seats` runs a few hundred
//! seeds; with `-- bug` the hall counts its free seats in memory, and the simulation finds it out.
//! `docs/simulation.md` tells the whole story.
use std::{
    process::ExitCode,
    sync::atomic::{AtomicI64, Ordering},
};

use quadrille::{
    prelude::*,
    testing::{
        Simulation,
        simulation::{Actor, View},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const SEATS: i64 = 3;
const VISITORS: usize = 4;

#[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "SEAT_ASKED", key = visitor, source = "office")]
struct SeatAsked {
    visitor: String,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "SEAT_TAKEN", key = visitor, source = "hall")]
struct SeatTaken {
    visitor: String,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "SOLD_OUT", key = visitor, source = "hall")]
struct SoldOut {
    visitor: String,
}

/// A visitor, as the office knows them.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Visitor {
    asked: bool,
}

impl Aggregate for Visitor {
    const NAME: &'static str = "visitor";
    type Id = str;
    type Events = (SeatAsked,);
}

impl Apply<SeatAsked> for Visitor {
    fn apply(&mut self, _: &SeatAsked) {
        self.asked = true;
    }
}

#[derive(Clone)]
struct Ask {
    visitor: String,
}

impl Command for Ask {
    type Aggregate = Visitor;
    type Emits = (SeatAsked,);
    type Refusal = NoRefusal;
    fn decide(self, known: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        if !known.asked {
            known.record(SeatAsked { visitor: self.visitor });
        }
        Ok(())
    }
}

struct Office;

impl Service for Office {
    const NAME: &'static str = "office";
    type Commands = (Ask,);
    type Handles = ();
    type Steps = ();
}

/// The row of seats, as the hall stores it.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Row {
    taken: i64,
}

#[derive(Clone, Serialize, Deserialize, DomainEvent)]
#[event(type = "row.seat_given", private)]
struct SeatGiven {}

impl Aggregate for Row {
    const NAME: &'static str = "row";
    type Id = str;
    type Events = (SeatGiven,);
}

impl Apply<SeatGiven> for Row {
    fn apply(&mut self, _: &SeatGiven) {
        self.taken += 1;
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Full;

#[derive(Clone)]
struct Give;

impl Command for Give {
    type Aggregate = Row;
    type Emits = (SeatGiven,);
    type Refusal = Full;
    fn decide(self, row: &mut Facts<'_, Self>) -> Result<(), Full> {
        if row.taken >= SEATS {
            return Err(Full);
        }
        row.record(SeatGiven {});
        Ok(())
    }
}

#[derive(Default)]
struct Hall {
    /// The bug: what is free, counted in memory, to spare a look into the row.
    free: Option<AtomicI64>,
}

impl Service for Hall {
    const NAME: &'static str = "hall";
    type Commands = ();
    type Handles = (SeatAsked,);
    type Steps = ();
}

#[handler]
impl EventHandler<SeatAsked> for Hall {
    type Emits = (SeatTaken, SoldOut);
    async fn handle(
        &self,
        asked: &Incoming<SeatAsked>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let visitor = asked.visitor.clone();
        if self.free.as_ref().is_some_and(|free| free.fetch_sub(1, Ordering::Relaxed) <= 0) {
            turn.record(SoldOut { visitor });
            return Ok(());
        }
        match turn.execute("row-1", Give).await? {
            Ok(()) => turn.record(SeatTaken { visitor }),
            Err(Full) => turn.record(SoldOut { visitor }),
        }
        Ok(())
    }
}

async fn visit(actor: Actor, n: usize) {
    let visitor = format!("visitor-{n}");
    let Ok(_) = actor.at::<Office>().execute(&*visitor, Ask { visitor: visitor.clone() }).await;
}

/// Nobody is sent away while a seat is free.
fn no_seat_stays_empty(end: &View) -> Result<(), String> {
    let count = |wanted| end.stated().iter().filter(|(_, e)| e.event_type == wanted).count();
    let (taken, refused) = (count(SeatTaken::TYPE), count(SoldOut::TYPE));
    let row = end.load::<Hall, Row>("row-1").unwrap_or_default();
    if i64::try_from(taken) == Ok(row.taken) && (refused == 0 || row.taken == SEATS) {
        return Ok(());
    }
    Err(format!("of {SEATS} seats {} are taken, and {refused} visitors were sent away", row.taken))
}

fn seats(bug: bool) -> Simulation {
    let hall = move || Hall { free: bug.then(|| AtomicI64::new(SEATS)) };
    Simulation::new()
        .service(1, || Office)
        .service(1, hall)
        .sagas(VISITORS)
        .saga(visit)
        .law("nobody is sent away while a seat is free", no_seat_stays_empty)
        .replayed_by("cargo run --example seats -- bug {}")
}

#[allow(clippy::print_stdout)]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let simulation = seats(arguments.first().is_some_and(|argument| argument == "bug"));
    if let Some(run) = arguments.get(1) {
        match simulation.replay(run, false) {
            Ok(run) => println!("{}hash {:016x}, broken: {:?}", run.timeline, run.hash, run.broken),
            Err(wrong) => println!("{wrong}"),
        }
        return ExitCode::SUCCESS;
    }
    match simulation.check(0..300) {
        Ok(done) => println!("{} runs, {} faults: the law holds", done.seeds, done.faults.total()),
        Err(found) => {
            println!("{found}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

#[test]
fn nobody_is_sent_away_while_a_seat_is_free() {
    seats(false).check(0..40).unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn counting_in_memory_is_found_out() {
    let found = seats(true).check(0..200).expect_err("the hall forgets what it has not committed");
    assert!(found.broken.is_law, "{found}");
}

/// docs/simulation.md shows this run; where the engine takes another step, the page is written anew from
/// `cargo run --example seats -- bug`.
#[test]
fn the_guide_shows_the_run_that_is_found() {
    let guide = include_str!("../docs/simulation.md");
    let found = seats(true).check(0..200).expect_err("the hall forgets what it has not committed");
    for line in found.to_string().lines() {
        assert!(
            guide.contains(line.trim_end()),
            "the guide lacks {line:?}; it should show:\n{found}"
        );
    }
}
