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
    let explored = simulation::one_order(1, simulation::Charged::Here).explore(1, 150, |_, _| {});
    let explored = explored.unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(explored.total(), 150);
}

/// What a run is follows from its seed, and from nothing of the process that makes it.
#[test]
fn another_process_in_another_environment_gives_the_same_run() {
    let replay = |seed: &str, environment: &[(&str, &str)]| {
        let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_simulate"));
        process.args(["--replay", seed, "--calls"]).env_clear().envs(environment.iter().copied());
        process.current_dir(std::env::temp_dir());
        let output = process.output().unwrap_or_else(|error| panic!("{error}"));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap_or_else(|error| panic!("{error}"))
    };
    let plain: [(&str, &str); 0] = [];
    let far = [("TZ", "Pacific/Kiritimati"), ("HOME", "/"), ("LANG", "tr_TR.UTF-8"), ("SOME", "1")];
    for seed in ["3", "4"] {
        let told = replay(seed, &plain);
        assert_eq!(told, replay(seed, &far), "seed {seed}");
        let own = format!("hash {:016x}", simulation::story().run(seed.parse().unwrap()).hash);
        assert!(told.contains(&own), "seed {seed}: {own}");
    }
}

#[test]
fn one_order_that_is_charged_outside_survives_some_of_the_runs_with_one_fault() {
    let story = simulation::one_order(1, simulation::Charged::Outside);
    let explored = story.explore(1, 120, |_, _| {}).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!((explored.total(), explored.complete), (120, false));
    assert!(explored.left > 100, "{explored:?}");
}
