//! A few seeds of the story in every test run; `cargo xtask sim` runs thousands.
#![allow(missing_docs)]

use quadrille::testing::simulation::FaultKind;

#[test]
fn the_laws_hold_whatever_fails() {
    let summary = simulation::story().check(0..40).unwrap_or_else(|found| panic!("{found}"));
    assert!(summary.quiet_points >= 40 && summary.delivered > 1_000, "{summary:?}");
    // What happens once a second with a chance of one in a thousand may stay out in so few seeds.
    let rare = [FaultKind::StoreTailLost, FaultKind::LogTailLost];
    for kind in FaultKind::ALL.iter().filter(|kind| !rare.contains(kind)) {
        assert!(summary.faults.of_kind(*kind) > 0, "{kind:?} never happened: {summary:?}");
    }
}

#[test]
fn one_order_survives_some_of_the_runs_with_one_fault() {
    let explored = simulation::one_order(1).explore(1, 150, |_, _| {});
    let explored = explored.unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(explored.total(), 150);
}
