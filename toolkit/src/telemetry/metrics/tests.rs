use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::{
    engine::status::add,
    runtime::Runtime,
    telemetry::{Parentage, Tracer, Traces},
};

fn status() -> Status {
    let tracer = Tracer {
        traces: Traces::off(),
        parentage: Parentage::Parent,
        service: "order",
        group: Arc::from("shop.order"),
        topic: Arc::from("shop.order.events"),
    };
    Status::new(1, tracer)
}

/// Reads the format as Prometheus does: families with help and type, each sample in its family.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let (mut family, mut kind) = (String::new(), String::new());
    let mut samples = BTreeMap::new();
    let mut families = vec![];
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap().to_owned();
            assert!(!families.contains(&family), "{family} comes twice");
            families.push(family.clone());
        } else if let Some(types) = line.strip_prefix("# TYPE ") {
            let (name, is) = types.split_once(' ').unwrap();
            assert_eq!(name, family);
            kind = is.to_owned();
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap();
            let base = match kind.as_str() {
                "histogram" => ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| name.strip_suffix(suffix))
                    .unwrap(),
                _ => name,
            };
            assert_eq!(base, family);
            assert!(labels.starts_with("service=\"order\"") && labels.ends_with("\"}"), "{labels}");
            samples.insert(series.replace("service=\"order\"", ""), value.parse().unwrap());
        }
    }
    samples
}

#[test]
fn the_text_has_what_the_engine_counted() {
    let (status, runtime) = (status(), Runtime::tokio_seeded(1));
    add(&status.counters.messages_dead, 3);
    add(&status.counters.events_appended, 7);
    status.gauges.letters(Some(LetterCounts { messages: 2, deadlines: 0, effects: 1 }));
    status.gauges.held(HeldKeys { parked: 2, waiting: 1, dead: 3 });
    let now = runtime.clock.now();
    let ago = Timestamp(now.0 - 5_000_000);
    status.gauges.relay(0, Some(Lag { events: 4, oldest: Some(ago) }));
    status.gauges.relay(1, Some(Lag { events: 1, oldest: Some(now) }));
    status.gauges.append.observe(1_500);
    let samples = parsed(&text(&status, &*runtime.clock));
    for (series, value) in [
        ("quadrille_dead_letters_total{}", 3.0),
        ("quadrille_dead_letters{,kind=\"message\"}", 2.0),
        ("quadrille_dead_letters{,kind=\"deadline\"}", 0.0),
        ("quadrille_dead_letters{,kind=\"effect\"}", 1.0),
        ("quadrille_events_appended_total{}", 7.0),
        ("quadrille_parked_messages{}", 2.0),
        ("quadrille_held_keys{,state=\"dead\"}", 3.0),
        ("quadrille_relay_lag_events{}", 5.0),
        ("quadrille_relay_shards{}", 2.0),
        ("quadrille_append_duration_seconds_count{}", 1.0),
        ("quadrille_append_duration_seconds_bucket{,le=\"0.001\"}", 0.0),
        ("quadrille_append_duration_seconds_bucket{,le=\"0.0025\"}", 1.0),
        ("quadrille_ready{}", 0.0),
        ("quadrille_halted{}", 0.0),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series} in {samples:#?}");
    }
    let lag = samples["quadrille_relay_lag_seconds{}"];
    assert!((5.0..60.0).contains(&lag), "{lag}");
}

#[test]
fn a_halted_service_and_a_stopped_lane_are_seen() {
    let (status, runtime) = (status(), Runtime::tokio_seeded(1));
    let lane = crate::id::SourceLane { topic: "t".into(), lane: crate::id::Lane(0) };
    status.halt("the store has lost events".to_owned());
    status.lane_stopped(&lane, "a gap".to_owned());
    status.drain();
    let samples = parsed(&text(&status, &*runtime.clock));
    for gauge in ["halted", "lanes_stopped", "draining"] {
        assert_eq!(samples[&format!("quadrille_{gauge}{{}}")], 1.0, "{gauge}");
    }
}

#[test]
fn letters_that_nobody_has_counted_are_not_told() {
    let (status, runtime) = (status(), Runtime::tokio_seeded(1));
    let told = |status: &Status| text(status, &*runtime.clock).contains("quadrille_dead_letters{");
    assert!(!told(&status));
    status.gauges.letters(Some(LetterCounts::default()));
    assert!(told(&status));
    status.gauges.letters(None);
    assert!(!told(&status), "the store does not answer any more");
}

#[test]
fn a_shard_that_another_instance_publishes_is_not_told() {
    let (status, runtime) = (status(), Runtime::tokio_seeded(1));
    status.gauges.relay(0, Some(Lag { events: 4, oldest: None }));
    status.gauges.relay(0, None);
    let samples = parsed(&text(&status, &*runtime.clock));
    assert_eq!(samples["quadrille_relay_lag_events{}"], 0.0);
    assert_eq!(samples["quadrille_relay_shards{}"], 0.0);
}
