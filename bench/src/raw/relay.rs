//! Publishes what was committed, on a thread of its own: a transaction is as much as was committed while the
//! last one was under way.

use std::{fmt::Write as _, sync::mpsc};

use anyhow::Result;
use quadrille::engine::Limits;
use rdkafka::message::{Header, OwnedHeaders};

use super::{
    producer::{Producer, Record},
    sql::Event,
};

/// A public event with its number in its lane.
pub(crate) struct Numbered {
    pub(crate) event: Event,
    pub(crate) seq: i64,
}

/// Takes an epoch, and then what is to be published, in order.
pub(crate) fn start(
    kafka: &str,
    service: &'static str,
    id: &str,
    topic: &str,
) -> Result<mpsc::Sender<Vec<Numbered>>> {
    let producer = Producer::open(kafka, id, topic)?;
    let (events, inbox) = mpsc::channel();
    std::thread::Builder::new().name("raw-relay".into()).spawn(move || {
        if let Err(error) = publish(&producer, service, &inbox) {
            complain(&error);
        }
    })?;
    Ok(events)
}

#[allow(clippy::print_stderr, reason = "the run stands still then, and this says why")]
fn complain(error: &anyhow::Error) {
    eprintln!("bench: the hand-written relay: {error:#}");
}

fn publish(
    producer: &Producer,
    service: &str,
    inbox: &mpsc::Receiver<Vec<Numbered>>,
) -> Result<()> {
    let source = format!("/quadrille/{service}");
    // As many in a transaction as the toolkit's.
    let records_max = Limits::default().relay_records_max;
    let mut waiting: Vec<Numbered> = vec![];
    loop {
        if waiting.is_empty() {
            let Ok(events) = inbox.recv() else { return Ok(()) };
            waiting = events;
        }
        while let Ok(events) = inbox.try_recv() {
            waiting.extend(events);
        }
        let rest = waiting.split_off(waiting.len().min(records_max));
        let mut text = String::with_capacity(64);
        producer.publish(waiting.iter().map(|numbered| {
            let event = &numbered.event;
            Record {
                partition: event.lane.unwrap_or_default(),
                key: event.key.as_deref().unwrap_or_default().as_bytes(),
                payload: &event.payload,
                headers: headers(numbered, &source, &mut text),
                time: event.time / 1_000,
            }
        }))?;
        waiting = rest;
    }
}

/// The same headers as the toolkit's: any CloudEvents consumer reads them.
fn headers(numbered: &Numbered, source: &str, text: &mut String) -> OwnedHeaders {
    let Numbered { event, seq } = numbered;
    let key = event.key.as_deref().unwrap_or_default();
    let mut headers = OwnedHeaders::new_with_capacity(16);
    let mut add = |name: &str, value: std::fmt::Arguments<'_>| {
        text.clear();
        // Writing to a string does not fail.
        let _ = text.write_fmt(value);
        let taken = std::mem::take(&mut headers);
        headers = taken.insert(Header { key: name, value: Some(text.as_bytes()) });
    };
    let time = quadrille::runtime::Timestamp(event.time);
    add("ce_specversion", format_args!("1.0"));
    add("ce_id", format_args!("{}", event.id));
    add("ce_source", format_args!("{source}"));
    add("ce_type", format_args!("{}", event.event_type));
    add("ce_time", format_args!("{time}"));
    add("ce_subject", format_args!("{key}"));
    add("ce_dataschema", format_args!("/schemas/{}.json", event.event_type));
    add("content-type", format_args!("application/json"));
    add("ce_correlationid", format_args!("{}", event.saga));
    add("ce_causationid", format_args!("{}", event.causation));
    add("ce_sequence", format_args!("{seq:020}"));
    add("ce_partitionkey", format_args!("{key}"));
    add("ce_lane", format_args!("{}", event.lane.unwrap_or_default()));
    add("ce_laneseq", format_args!("{seq}"));
    add("ce_streamversion", format_args!("{}", event.version));
    if let Some(trace) = &event.trace {
        add("traceparent", format_args!("{trace}"));
    }
    headers
}
