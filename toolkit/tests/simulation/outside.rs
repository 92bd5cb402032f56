//! What lies outside, and producers that are not ours.

use std::collections::BTreeMap;

use quadrille::{
    store::Action,
    testing::{
        Simulation,
        simulation::{Counterexample, Fault, FaultKind, Foreign, Summary, View},
    },
};

use crate::kiosk::{self, Cards, Kiosk, Ticket, Want, Wrong};

const TICKETS: usize = 4;

fn simulation(wrong: Wrong) -> Simulation {
    Simulation::new()
        .service(2, || Kiosk)
        .performers::<Kiosk>(move |outside| kiosk::performers(outside, wrong))
        .foreign("gate", 2)
        .sagas(TICKETS)
        .saga(|visitor, n| async move {
            let ticket = format!("ticket-{n}");
            let Ok(_) =
                visitor.at::<Kiosk>().execute(&*ticket, Want { ticket: ticket.clone() }).await;
            for time in 0..2 {
                visitor.send("gate", &punched(&ticket, time));
            }
        })
        .law("a card is charged once for what is sold, and for nothing else", cards_come_out)
        .law("each punch is noted once", punches_come_out)
}

fn punched(ticket: &str, time: u32) -> Foreign {
    Foreign {
        source: "gate".to_owned(),
        id: format!("{ticket} {time}"),
        event_type: "PUNCHED".to_owned(),
        key: ticket.to_owned(),
        payload: format!("{{\"ticket\":\"{ticket}\"}}").into_bytes(),
    }
}

fn cards_come_out(end: &View) -> Result<(), String> {
    let charged: Vec<String> =
        end.outside(|books: &Cards| books.charged.values().cloned().collect());
    let mut cards: BTreeMap<String, u32> = BTreeMap::new();
    charged.into_iter().for_each(|ticket| *cards.entry(ticket).or_default() += 1);
    for (ticket, _) in end.all::<Kiosk, Ticket>() {
        let stated = end.stated();
        let of = |event_type: &str| {
            let mut events = stated.iter().map(|(_, event)| event);
            events.any(|e| {
                e.event_type == event_type
                    && e.published.as_ref().is_some_and(|p| *p.key == *ticket)
            })
        };
        let (sold, charged) = (of("SOLD"), cards.get(&ticket).copied().unwrap_or(0));
        if charged != u32::from(sold) {
            return Err(format!("{ticket}: sold {sold}, charged {charged} times"));
        }
    }
    Ok(())
}

fn punches_come_out(end: &View) -> Result<(), String> {
    let tickets = end.all::<Kiosk, Ticket>();
    let wrong = tickets.iter().find(|(_, ticket)| ticket.wanted && ticket.punched != 2);
    wrong.map_or(Ok(()), |(id, ticket)| Err(format!("{id} was punched {} times", ticket.punched)))
}

fn found(wrong: Wrong, seeds: u64) -> Box<Counterexample> {
    simulation(wrong).check(0..seeds).expect_err("a performer that is wrong is found")
}

#[test]
fn p14_what_lies_outside_fails_in_every_way_and_comes_out() {
    let summary = simulation(Wrong::Nothing).check(0..60).unwrap_or_else(|found| panic!("{found}"));
    let kinds = [
        FaultKind::OutsideTimeout,
        FaultKind::OutsideRefusal,
        FaultKind::HandlerFailure,
        FaultKind::ForeignRepeat,
    ];
    for kind in kinds {
        assert!(summary.faults.of_kind(kind) > 0, "{kind:?} never happened: {summary:?}");
    }
}

/// Faults that this simulation alone has an occasion for.
pub fn faults_of(kind: FaultKind, often: f64) -> Summary {
    let mut faults = quadrille::testing::simulation::Faults::none().with(kind, often);
    faults.max = 10;
    let simulation = simulation(Wrong::Nothing).faults(faults);
    simulation.check(0..12).unwrap_or_else(|found| panic!("{kind:?}: {found}"))
}

#[test]
fn p14_a_key_of_its_own_for_each_try_is_found() {
    let found = found(Wrong::NewKeys, 40);
    assert!(found.broken.is_law && found.broken.detail.contains("charged 2 times"), "{found}");
    assert!((1..=2).contains(&found.faults.len()), "{found}");
    assert!(found.timeline.contains("calls outside: try 1 of"), "{found}");
}

#[test]
fn p14_an_unknown_outcome_that_is_taken_for_a_refusal_is_found() {
    let found = found(Wrong::Guesses, 40);
    assert!(found.broken.detail.contains("sold false, charged 1 times"), "{found}");
    let again = simulation(Wrong::Guesses).replay(&found.token, false).unwrap();
    assert_eq!((again.hash, again.broken), (found.hash, Some(found.broken.clone())));
}

#[test]
fn p12_a_person_rules_on_what_a_fault_has_killed() {
    let killing = |rule: bool| {
        let mut faults =
            quadrille::testing::simulation::Faults::none().with(FaultKind::HandlerDeath, 0.2);
        faults.max = 6;
        let simulation = simulation(Wrong::Nothing).faults(faults);
        if rule { simulation } else { simulation.person(|_, _| None) }
    };
    let summary = killing(true).check(0..20).unwrap_or_else(|found| panic!("{found}"));
    assert!(summary.faults.of(Fault::HandlerTerminal) + summary.faults.of(Fault::HandlerBug) > 5);
    let found = killing(false).check(0..20).expect_err("nobody looks after what is dead");
    assert!(found.broken.detail.contains("simulated:"), "{found}");
}

#[test]
fn p12_what_a_person_skips_is_missing() {
    let mut faults =
        quadrille::testing::simulation::Faults::none().with(FaultKind::HandlerDeath, 0.2);
    faults.max = 6;
    let skips = simulation(Wrong::Nothing).faults(faults).person(|_, _| Some(Action::Skip));
    let found = skips.check(0..40).expect_err("a law tells what was skipped");
    assert!(found.broken.is_law, "{found}");
}
