//! The graph of a small story, as it is drawn; and each problem.
//!
//! The expected drawings are in `tests/`. After a change on purpose, write the new ones by
//! `QUADRILLE_UPDATE_EXPECTED=1 cargo test -p quadrille choreography`, and read them.

mod story;

use std::{fs, path::Path};

use crate::choreography::{Choreography, EdgeKind, Party, ProblemCode, ServiceDescription};
use story::{Careless, Order, Payment, Shipping};

fn story() -> Choreography {
    Choreography::new().service::<Order>().service::<Payment>().service::<Shipping>()
}

#[track_caller]
fn expect(file: &str, drawn: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/choreography/tests").join(file);
    if std::env::var_os("QUADRILLE_UPDATE_EXPECTED").is_some() {
        fs::write(&path, drawn).expect("the expected drawing can be written");
    }
    let expected = fs::read_to_string(&path).expect("the expected drawing is there");
    assert_eq!(drawn, expected, "the drawing differs from {file}");
}

#[test]
fn draws_mermaid() {
    expect("story.mmd", &story().graph().mermaid());
}

#[test]
fn draws_dot() {
    expect("story.dot", &story().graph().dot());
}

#[test]
fn draws_json() {
    let text = story().graph().json();
    expect("story.json", &text);
    let parsed: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
    assert_eq!(parsed["events"][0]["type"], "BILLED_ORDER");
}

#[test]
fn marks_the_pivot_and_what_compensates() {
    let graph = story().graph();
    let kind = |label, to| {
        let edge = graph.edges.iter().find(|e| e.label == label && e.to == Party::Service(to));
        edge.map(|e| e.kind)
    };
    assert_eq!(kind("ORDER_DELIVERED", "order"), Some(EdgeKind::Pivot));
    assert_eq!(kind("SHIPMENT_FAILED", "payment"), Some(EdgeKind::Compensation));
    assert_eq!(kind("SHIPMENT_FAILED", "order"), Some(EdgeKind::Event));
    assert_eq!(kind("Place", "order"), Some(EdgeKind::Command));
}

#[test]
fn leaves_private_events_out() {
    assert!(!story().graph().json().contains("order.placed"));
}

#[test]
fn names_the_services_whose_events_are_consumed() {
    assert_eq!(story().sources_of("order"), ["payment", "shipping"].into());
    // By a handler, and by a compensation.
    assert_eq!(story().sources_of("payment"), ["order", "shipping"].into());
    assert!(story().sources_of("nobody").is_empty());
}

#[test]
fn shows_who_is_not_there() {
    let alone = Choreography::new().service::<Shipping>().graph();
    let from: Vec<_> = alone.edges.iter().map(|e| (e.label, e.from, e.to)).collect();
    assert_eq!(
        from,
        [
            ("BILLED_ORDER", Party::Absent("payment"), Party::Service("shipping")),
            ("ORDER_DELIVERED", Party::Service("shipping"), Party::Outside),
            ("SHIPMENT_FAILED", Party::Service("shipping"), Party::Outside),
        ]
    );
    assert!(alone.mermaid().contains("payment (not in this graph)"));
    assert!(alone.dot().contains("payment (not in this graph)"));
}

#[test]
fn hostile_names_stay_within_their_quotes() {
    let graph = Choreography::new().service::<Careless>().graph();
    let (mermaid, dot) = (graph.mermaid(), graph.dot());
    assert!(mermaid.contains("[\"<b>an #34;end#34;</b><br/>"), "{mermaid}");
    assert!(dot.contains("[label=\"an \\\"end\\\"\\ncompensatable SHIPMENT_FAILED\""), "{dot}");
}

#[test]
fn a_sound_story_has_no_problems() {
    assert_eq!(story().problems(), []);
}

#[test]
fn finds_each_problem_once_and_names_its_mend() {
    let mut careless = ServiceDescription::of::<Careless>();
    // Of the same name in another module; a command that is listed twice does not compile.
    careless.commands.extend(careless.commands.clone());
    let problems = story().service::<Payment>().described(careless).problems();
    let codes: Vec<_> = problems.iter().map(|p| p.code).collect();
    assert_eq!(
        codes,
        [
            ProblemCode::DuplicateService,
            ProblemCode::DuplicateCommand,
            ProblemCode::ForeignEvent,
            ProblemCode::ForeignEvent,
            ProblemCode::UnknownSource,
            ProblemCode::PrivateEvent,
        ]
    );
    assert_eq!(problems[0].text, "two services are called `payment`");
    assert_eq!(
        problems[3].to_string(),
        "foreign-event: `an \"end\"` may record `SHIPMENT_FAILED`, whose declaration says \
         `source = \"shipping\"`; let `shipping` record it, or state an event of `an \"end\"`'s own"
    );
    assert!(problems.iter().all(|p| !p.mend.is_empty()));
}
