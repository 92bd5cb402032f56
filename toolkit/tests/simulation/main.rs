//! The simulator itself: the same seed gives the same run, every fault really happens, and a service that
//! is wrong is found, with a counterexample that says where.
#![allow(missing_docs, unreachable_pub)]

mod kiosk;
mod outside;
mod shop;

use std::time::Duration;

use quadrille::testing::{
    Simulation,
    simulation::{Counterexample, Fault, FaultKind, Faults, Summary, View},
};
use shop::{Basket, Order, PRICE, Purse, Return, Shop, Till};

const BASKETS: usize = 4;

fn simulation(fault: shop::Fault) -> Simulation {
    Simulation::new()
        .service(2, Shop::default)
        .service(2, move || Till::new(fault))
        .sagas(BASKETS)
        .saga(|customer, n| async move {
            let (basket, shop) = (format!("basket-{n}"), customer.at::<Shop>());
            let Ok(_) = shop.execute(&*basket, Order { basket: basket.clone() }).await;
            if n % 2 == 0 {
                customer.sleep(Duration::from_millis(customer.dice("wait").below(3_000))).await;
                let Ok(_) = shop.execute(&*basket, Return { basket: basket.clone() }).await;
            }
        })
        .law("what the till holds was paid for what is kept", till_holds_what_is_kept)
}

fn till_holds_what_is_kept(end: &View) -> Result<(), String> {
    let baskets = end.all::<Shop, Basket>();
    let kept = baskets.iter().filter(|(_, basket)| basket.ordered && !basket.returned).count();
    let kept = i64::try_from(kept).map_err(|error| error.to_string())? * PRICE;
    let taken = end.load::<Till, Purse>("purse").map_or(0, |purse| purse.taken);
    if taken == kept { Ok(()) } else { Err(format!("the till holds {taken}, kept is {kept}")) }
}

fn found(fault: shop::Fault, seeds: u64) -> Box<Counterexample> {
    simulation(fault).check(0..seeds).expect_err("a service that is wrong is found")
}

#[test]
fn what_is_right_is_never_broken() {
    for fault in [shop::Fault::None, shop::Fault::Flaky] {
        let summary = simulation(fault).check(0..60).unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(summary.seeds, 60);
        assert!(
            summary.quiet_points > 60 && summary.delivered > 60 * BASKETS as u64,
            "{summary:?}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let simulation = simulation(shop::Fault::Flaky);
    let hashes = |seeds: std::ops::Range<u64>| -> Vec<u64> {
        seeds.map(|seed| simulation.run(seed).hash).collect()
    };
    let first = hashes(0..10);
    assert_eq!(first, hashes(0..10));
    let mut others = first.clone();
    others.dedup();
    assert_eq!(first.len(), others.len());
    let told = simulation.replay("3", true).unwrap();
    assert_eq!(told.hash, first[3], "telling a run does not change it");
    assert!(told.timeline.contains("ORDERED basket/"), "{}", told.timeline);
}

/// Another process has other hash maps and other addresses; its run is the same.
#[test]
fn another_process_gives_the_same_hashes() {
    let own = std::env::current_exe().unwrap();
    let mut other = std::process::Command::new(own);
    other.args(["--exact", "hashes_for_another_process", "--nocapture"]).env(ASKED, "yes");
    let printed = String::from_utf8(other.output().unwrap().stdout).unwrap();
    assert!(printed.contains(&hashes_to_compare()), "{}\n{printed}", hashes_to_compare());
}

/// Set when the test below is to print what it has.
const ASKED: &str = "QUADRILLE_TEST_PRINT_HASHES";

#[test]
#[allow(clippy::print_stdout)]
fn hashes_for_another_process() {
    if std::env::var_os(ASKED).is_some() {
        println!("{}", hashes_to_compare());
    }
}

fn hashes_to_compare() -> String {
    let simulation = simulation(shop::Fault::Flaky);
    let hashes: Vec<String> =
        (0..6).map(|seed| format!("{:016x}", simulation.run(seed).hash)).collect();
    hashes.join(" ")
}

#[test]
fn every_fault_happens() {
    let mut summary = Summary::default();
    let simulation = simulation(shop::Fault::None);
    let elsewhere =
        [FaultKind::OutsideTimeout, FaultKind::OutsideRefusal, FaultKind::ForeignRepeat];
    for kind in FaultKind::ALL.iter().filter(|kind| !elsewhere.contains(kind)) {
        // Of one kind alone much can happen; who dies at once, dies of nothing else.
        let often = if *kind == FaultKind::Crash { 0.03 } else { 0.15 };
        let mut faults = Faults::none().with(*kind, often);
        faults.max = 10;
        let often = simulation.clone().faults(faults);
        for seed in 0..20 {
            let run = often.run(seed);
            assert_eq!(run.broken, None, "{kind:?}, seed {seed}");
            summary.add(&run);
        }
    }
    elsewhere.iter().for_each(|kind| summary.faults.merge(&outside::faults_of(*kind, 0.3).faults));
    for fault in Fault::ALL {
        assert!(summary.faults.of(*fault) > 0, "{fault} never happened: {summary:?}");
    }
}

#[test]
fn without_faults_nothing_goes_wrong() {
    let summary = simulation(shop::Fault::None).faults(Faults::none()).check(0..20).unwrap();
    assert_eq!(summary.faults.total(), 0);
}

#[test]
fn a_compensation_that_does_nothing_is_found_with_one_saga_and_no_fault() {
    let found = found(shop::Fault::Forgetful, 20);
    assert_eq!(found.broken.name, "what the till holds was paid for what is kept");
    assert!(found.broken.is_law);
    assert_eq!((found.sagas.len(), found.faults.len()), (1, 0), "{found}");
    let printed = found.to_string();
    for told in ["RETURNED basket/", "PAID_BACK", "the till holds 5, kept is 0", "replay it:"] {
        assert!(printed.contains(told), "{told} is missing:\n{printed}");
    }
}

#[test]
fn state_outside_of_the_turn_is_found_and_the_run_can_be_repeated() {
    let found = found(shop::Fault::Remembers, 200);
    assert!(found.sagas.len() + found.faults.len() <= 3, "{found}");
    let again = simulation(shop::Fault::Remembers).replay(&found.token, false).unwrap();
    assert_eq!((again.hash, again.broken), (found.hash, Some(found.broken.clone())));
}

#[test]
fn a_handler_that_panics_leaves_a_dead_message_and_that_is_found() {
    let found = found(shop::Fault::Panics, 5);
    assert!(found.to_string().contains("told to panic"), "{found}");
}

#[test]
fn a_run_that_does_not_follow_from_its_seed_is_found() {
    let unordered = simulation(shop::Fault::Unordered);
    let hashes: std::collections::BTreeSet<u64> = (0..20).map(|_| unordered.run(1).hash).collect();
    assert!(hashes.len() > 1);
}

#[test]
fn a_small_story_is_explored_to_its_end() {
    let small = simulation(shop::Fault::None).lanes(1).sagas(1);
    let explored = small.explore(1, u64::MAX, |_, _| {}).unwrap_or_else(|found| panic!("{found}"));
    assert!(explored.complete && explored.runs[0] == 1 && explored.runs[1] > 100, "{explored:?}");
    let cut = small.explore(1, 10, |_, _| {}).unwrap();
    assert!(!cut.complete && cut.total() == 10, "{cut:?}");
}

#[test]
fn the_exploration_finds_what_one_fault_breaks() {
    let wrong = simulation(shop::Fault::Remembers).lanes(1).sagas(1);
    let found = wrong.explore(1, u64::MAX, |_, _| {}).expect_err("it is wrong");
    assert!(found.faults.len() <= 1, "{found}");
    let again = wrong.replay(&found.token, false).unwrap();
    assert_eq!((again.hash, again.broken), (found.hash, Some(found.broken.clone())));
}
