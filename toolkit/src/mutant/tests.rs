//! The list, the marks and the page agree.

use std::{collections::BTreeSet, fs, path::Path};

use super::*;

#[cfg(not(feature = "mutants"))]
#[test]
fn without_the_feature_there_is_no_switch() {
    // A constant: what stands behind a mark is dead code.
    const _: () = assert!(!broken(Mutant::PositionApart));
    assert!(Mutant::ALL.iter().all(|mutant| !broken(*mutant)));
}

/// No feature brings the mutants along but their own.
#[test]
fn no_other_feature_switches_them_on() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let features = manifest.split("[features]").nth(1).unwrap().split("\n[").next().unwrap();
    let named: Vec<&str> = features.lines().filter(|line| line.contains("mutants")).collect();
    let lines: Vec<&&str> = named.iter().filter(|line| !line.starts_with("##")).collect();
    assert_eq!(lines, [&"mutants = []"]);
}

#[test]
fn every_mutant_has_a_name_a_rule_and_words() {
    let mut names = BTreeSet::new();
    for mutant in Mutant::ALL {
        let Listed { name, rule, what } = mutant.told();
        assert!(names.insert(name), "{name} is there twice");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
        let number = rule.strip_prefix('P').and_then(|n| n.parse::<u8>().ok());
        assert!(rule == "barrier" || number.is_some_and(|n| (1..=17).contains(&n)), "{rule}");
        assert!(what.len() > 20 && !what.ends_with('.'), "{name}: {what}");
    }
    assert!(names.len() >= 25, "{} are few", names.len());
}

#[test]
fn every_mutant_has_its_mark_in_the_source() {
    let mut source = String::new();
    read(&root().join("src"), &mut source);
    for mutant in Mutant::ALL {
        let mark = format!("broken(Mutant::{mutant:?})");
        assert!(source.contains(&mark), "{mark} is nowhere");
    }
}

#[test]
fn the_page_lists_what_there_is() {
    let page = fs::read_to_string(root().join("../docs/mutants.md")).unwrap();
    let row = |line: &str| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned());
    let listed: Vec<String> = page.lines().filter_map(row).collect();
    let there: Vec<&str> = Mutant::ALL.iter().map(|mutant| mutant.told().name).collect();
    assert_eq!(listed, there);
    for mutant in Mutant::ALL {
        let Listed { name, rule, what } = mutant.told();
        assert!(page.contains(&format!("| `{name}` | {rule} | {what} |")), "{name}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All sources but the list and these tests.
fn read(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, into);
        } else if !path.ends_with("mutant.rs") && !path.ends_with("mutant/tests.rs") {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
