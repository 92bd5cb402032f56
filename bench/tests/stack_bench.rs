//! A smoke run of the bench, as `cargo xtask bench --quick --json` makes it: every case is measured, and the
//! last line is one object with every figure.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

#[test]
fn every_case_is_measured_and_the_last_line_has_every_figure() {
    let bench = || Command::new(env!("CARGO_BIN_EXE_quadrille-bench"));
    let output = bench().args(["--quick", "--json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{progress}");

    let report: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(report["quick"], true);
    assert_eq!(report["failed"], Value::Object(serde_json::Map::new()));
    let figures = report["figures"].as_object().unwrap();
    for (key, figure) in figures {
        let number = |name: &str| figure[name].as_f64().unwrap();
        let (min, median, max) = (number("min"), number("median"), number("max"));
        assert!(min > 0.0 && min <= median && median <= max, "{key}: {figure}");
        assert!(progress.contains(figure["what"].as_str().unwrap()), "{key} came without progress");
    }
    let targets = figures.values().filter(|figure| figure["met"].is_boolean()).count();
    assert!(targets >= 14, "only {targets} figures have a target");

    // Each case on the list has figures of its own.
    let list = bench().arg("--list").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let cases: BTreeSet<&str> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    for case in &cases {
        let prefix = format!("{case}.");
        let has = figures.keys().any(|key| key == case || key.starts_with(&prefix));
        assert!(has, "{case} has no figure");
    }
    assert!(cases.len() >= 13, "{cases:?}");
}

#[test]
fn an_unknown_case_is_refused_with_the_known_ones() {
    let output = Command::new(env!("CARGO_BIN_EXE_quadrille-bench")).arg("r9").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && text.contains("no case r9") && text.contains("r1 "),
        "{text}"
    );
}
