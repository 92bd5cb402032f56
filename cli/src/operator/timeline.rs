//! A saga as lines: time, service, what happened, and under what caused it.

use std::{collections::HashMap, fmt::Write as _};

use quadrille::operator::{EventView, Happening, LetterView, RulingView, SagaView};

/// Causes are shown by indenting; deeper chains go no further to the right.
const DEPTH_MAX: usize = 12;

/// In the order of time. What follows from an event stands further right than the event.
pub(crate) fn text(sagas: &[SagaView]) -> String {
    let happenings = SagaView::timeline(sagas);
    let depths = depths(&happenings);
    let width = sagas.iter().map(|saga| saga.service.len()).max().unwrap_or(0);
    let mut text = sagas.first().map_or(String::new(), |saga| format!("saga {}\n", saga.saga));
    for happening in happenings {
        let (service, depth, what) = match happening {
            Happening::Event(event) => (&event.service, depths[&*event.id], of_event(event)),
            Happening::Open(letter) => (&letter.service, 0, of_letter(letter)),
            Happening::Ruling(ruling) => (&ruling.service, 0, of_ruling(ruling)),
        };
        let mark = match happening {
            Happening::Event(_) if depth == 0 => "● ".to_owned(),
            Happening::Event(_) => format!("{}└ ", "  ".repeat(depth.min(DEPTH_MAX) - 1)),
            Happening::Open(_) => "! ".to_owned(),
            Happening::Ruling(_) => "§ ".to_owned(),
        };
        // Writing to a string succeeds.
        let _ = writeln!(text, "{}  {service:width$}  {mark}{what}", happening.at());
    }
    let events: usize = sagas.iter().map(|saga| saga.events.len()).sum();
    let open: usize = sagas.iter().map(|saga| saga.open.len()).sum();
    let plural = if events == 1 { "event" } else { "events" };
    let _ = writeln!(text, "{events} {plural} in {}, {open} open", services(sagas));
    text
}

fn services(sagas: &[SagaView]) -> String {
    let with = sagas.iter().filter(|saga| !saga.events.is_empty());
    with.map(|saga| saga.service.as_str()).collect::<Vec<_>>().join(", ")
}

/// How many events stand between each event and the beginning, as far as the causes are known.
fn depths<'a>(happenings: &[Happening<'a>]) -> HashMap<&'a str, usize> {
    let mut depths: HashMap<&str, usize> = HashMap::new();
    let mut of_cause: HashMap<&str, usize> = HashMap::new();
    for happening in happenings {
        let Happening::Event(event) = happening else { continue };
        let cause = &*event.caused_by;
        // What one cause has brought about in one service stands together, whether the cause is shown or not.
        let depth = match depths.get(cause) {
            Some(depth) => depth + 1,
            None => *of_cause.entry(cause).or_insert(usize::from(is_agenda(cause))),
        };
        depths.insert(&event.id, depth);
    }
    depths
}

fn is_agenda(cause: &str) -> bool {
    cause.starts_with("deadline:") || cause.starts_with("effect:")
}

fn of_event(event: &EventView) -> String {
    let mut what = format!("{}  {} v{}", event.event_type, event.stream, event.version);
    if let Some((lane, number)) = event.published {
        let _ = write!(what, "  published {lane}/{number}");
    }
    if is_agenda(&event.caused_by) {
        let _ = write!(what, "  by {}", event.caused_by);
    }
    what
}

fn of_letter(letter: &LetterView) -> String {
    let event = if letter.event_type.is_empty() { "unreadable" } else { &letter.event_type };
    let mut what = format!("{} {} {event}", letter.state, letter.kind);
    if letter.attempts > 0 {
        let tries = if letter.attempts == 1 { "attempt" } else { "attempts" };
        let _ = write!(what, "  {} {tries}", letter.attempts);
    }
    if let Some(next) = &letter.next_at {
        let _ = write!(what, "  due {next}");
    }
    if letter.may_be_done {
        what.push_str("  may have reached the outside");
    }
    if !letter.reason.is_empty() {
        let _ = write!(what, "  {}", letter.reason);
    }
    let _ = write!(what, "  [{}]", letter.letter);
    what
}

fn of_ruling(ruling: &RulingView) -> String {
    format!(
        "{} of {} by {}: {}  [{}]",
        ruling.action, ruling.event_type, ruling.who, ruling.note, ruling.letter
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(service: &str, second: u32, id: &str, caused_by: &str) -> Value {
        json!({
            "service": service, "at": format!("2026-01-02T03:04:0{second}.000000Z"), "id": id,
            "event_type": id.to_uppercase(), "stream": "participation/o-1", "version": 1,
            "caused_by": caused_by, "published": [0, 7], "payload": {},
        })
    }

    fn letter(state: &str) -> Value {
        json!({
            "service": "payment", "letter": "message/t/0/x", "kind": "message", "state": state,
            "event_type": "PREPARED", "key": "o-1", "saga": "s", "attempts": 3,
            "since": "2026-01-02T03:04:03.000000Z", "next_at": null, "reason": "no bank", "payload": {},
        })
    }

    #[test]
    fn what_follows_stands_further_right_in_the_order_of_time() {
        let ruling = json!({
            "service": "payment", "number": 1, "at": "2026-01-02T03:04:04.000000Z", "who": "ada",
            "action": "skip", "note": "not needed", "letter": "message/t/0/x", "event_type": "PREPARED",
            "key": "o-1", "saga": "s", "reason": "no bank",
        });
        let sagas: Vec<SagaView> = serde_json::from_value(json!([
            {"service": "order", "saga": "s", "open": [], "rulings": [],
             "events": [event("order", 0, "created", "command"), event("order", 5, "ended", "billed")]},
            {"service": "payment", "saga": "s", "open": [letter("dead")], "rulings": [ruling],
             "events": [event("payment", 1, "billed", "created"), event("payment", 2, "late", "deadline:d@1")]},
        ]))
        .unwrap();
        let shown = text(&sagas);
        let expected = "\
saga s
2026-01-02T03:04:00.000000Z  order    ● CREATED  participation/o-1 v1  published 0/7
2026-01-02T03:04:01.000000Z  payment  └ BILLED  participation/o-1 v1  published 0/7
2026-01-02T03:04:02.000000Z  payment  └ LATE  participation/o-1 v1  published 0/7  by deadline:d@1
2026-01-02T03:04:03.000000Z  payment  ! dead message PREPARED  3 attempts  no bank  [message/t/0/x]
2026-01-02T03:04:04.000000Z  payment  § skip of PREPARED by ada: not needed  [message/t/0/x]
2026-01-02T03:04:05.000000Z  order      └ ENDED  participation/o-1 v1  published 0/7
4 events in order, payment, 1 open
";
        assert_eq!(shown, expected);
    }
}
