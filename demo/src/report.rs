//! What the demo shows at its end.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Map, Value, json};

use gateway::Made;

use crate::audit::{Audit, End, Law};

/// The figures of a run.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) sagas: u64,
    /// Orders of the first part, whose speed counts; the others wait for trouble on purpose.
    pub(crate) calm: u64,
    /// How long these took.
    pub(crate) seconds: f64,
    pub(crate) held: usize,
    pub(crate) events: u64,
    /// The gateway's trouble, when there was a gateway.
    pub(crate) trouble: Option<Made>,
}

impl Figures {
    fn per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.calm as f64 / self.seconds } else { 0.0 }
    }
}

/// The ends as a table.
pub(crate) fn ends_table(audit: &Audit) -> String {
    let ends = audit.ends();
    let total: u64 = ends.values().sum();
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["end", "orders", "share"]);
    for end in End::ALL {
        let count = ends.get(&end).copied().unwrap_or(0);
        let share = if total == 0 { 0.0 } else { 100.0 * count as f64 / total as f64 };
        table.add_row([end.name().replace('_', " "), count.to_string(), format!("{share:.1} %")]);
    }
    for column in 1..3 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// The laws, one a line.
pub(crate) fn laws_text(laws: &[Law]) -> String {
    let mut text = String::from("The laws\n");
    for law in laws {
        let mark = if law.holds() { "holds " } else { "BROKEN" };
        text.push_str(&format!("  {mark}  {}\n", law.name.replace('_', " ")));
        if let Some(breaker) = &law.broken_by {
            text.push_str(&format!("          {breaker}\n"));
        }
    }
    text
}

/// What the gateway did, in one sentence.
pub(crate) fn trouble_text(figures: &Figures) -> Option<String> {
    let Made { delayed, failed_before, failed_after, answers_lost } = figures.trouble?;
    Some(format!(
        "The gateway delayed {delayed} calls, failed {failed_before} before and {failed_after} after it did them, and lost {answers_lost} answers"
    ))
}

/// One sentence about the speed.
pub(crate) fn speed(figures: &Figures) -> String {
    let charging = match figures.trouble {
        Some(_) => "each charged over HTTP at a payment gateway",
        None => "with payment's own accounts",
    };
    format!(
        "{} orders in {:.2} s: {:.0} sagas/s, {charging}; {} public events in all, four services and their SQLite files in one process",
        figures.calm,
        figures.seconds,
        figures.per_second(),
        figures.events
    )
}

/// All figures as one JSON object.
pub(crate) fn json(audit: &Audit, laws: &[Law], figures: &Figures) -> Value {
    let ends = audit.ends();
    let ends: Map<String, Value> = End::ALL
        .iter()
        .map(|end| (end.name().to_owned(), json!(ends.get(end).copied().unwrap_or(0))))
        .collect();
    let laws: Map<String, Value> =
        laws.iter().map(|law| (law.name.to_owned(), json!(law.holds()))).collect();
    json!({
        "sagas": figures.sagas,
        "ends": ends,
        "unfinished": audit.unfinished(),
        "held": figures.held,
        "calm": figures.calm,
        "gateway_trouble": figures.trouble,
        "seconds": figures.seconds,
        "sagas_per_second": figures.per_second(),
        "laws": laws,
    })
}
