//! The protocol holds in every state within the usual bounds; every broken variant is found broken.
#![allow(clippy::print_stdout, reason = "a counterexample is to be read, with --nocapture")]

use std::collections::HashSet;

use model::{Bounds, Model, Variant, explore::explore, trace::trace};

/// What the explorations of the usual bounds reach together, at least.
const STATES_MIN: usize = 1_000_000;

#[test]
fn the_protocol_holds_in_every_state_within_the_usual_bounds() {
    let mut states = 0;
    for (name, bounds) in Bounds::usual() {
        let found = explore(Model { bounds, variant: None }, 1, None);
        if let Some((property, path)) = found.violations.first() {
            panic!("{name}: {property}\n{}", trace(path));
        }
        assert!(found.complete, "{name}: not all states were seen");
        assert_eq!(found.unreached, [""; 0], "{name}: the bounds are too narrow to show anything");
        states += found.states;
    }
    assert!(states >= STATES_MIN, "only {states} states");
}

/// And in the way that is said of it.
#[test]
fn every_broken_variant_is_found_broken() {
    for variant in Variant::ALL {
        let name = variant.name();
        let bounds = variant.bounds();
        let found = explore(Model { bounds, variant: Some(*variant) }, 1, None);
        let expected = variant.damage().property();
        let path = found.violations.iter().find(|(property, _)| *property == expected);
        let (_, path) = path.unwrap_or_else(|| panic!("{name}: not found broken: {found:?}"));
        println!("{name}: {expected} does not hold:\n{}", trace(path));
    }
}

/// So what is found is due to the rule that was taken away.
#[test]
fn within_the_bounds_of_the_variants_the_whole_protocol_holds() {
    let mut explored = HashSet::new();
    for variant in Variant::ALL {
        if !explored.insert(variant.bounds()) {
            continue;
        }
        let found = explore(Model { bounds: variant.bounds(), variant: None }, 1, None);
        if let Some((property, path)) = found.violations.first() {
            panic!("{}: {property}\n{}", variant.name(), trace(path));
        }
        assert!(found.complete);
    }
}

/// What a person is shown: who did what, the late request that did it, and both ends.
#[test]
fn a_counterexample_can_be_read() {
    let variant = Variant::SameEpochAfterAbort;
    let found = explore(Model { bounds: variant.bounds(), variant: Some(variant) }, 1, None);
    let text = trace(&found.violations[0].1);
    for part in
        ["a LATE abort of epoch 1 arrives: ends what is open", "FAULT: ", "store [", "log ["]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}
