//! The figures as a table for people.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use crate::figure::{Costs, Figure, Target, Unit};

/// How to read the table.
pub(super) const LEGEND: &str = "\
by CPU: the same ratio by CPU time of all three (toolkit's side : hand-written side), which a busy machine hardly
changes. CPU an item: client + PostgreSQL + Kafka in µs, of the toolkit's side : of the other. The target is for
the median. How to read it: bench/README.md.";

pub(super) fn of(figures: &[Figure]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let head =
        ["figure", "min", "median", "max", "unit", "by CPU", "CPU an item, µs", "target", "met"];
    table.set_header(head);
    for figure in figures {
        table.add_row(row(figure));
    }
    for column in 1..=3 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn row(figure: &Figure) -> [String; 9] {
    let number = |value: f64| number(value, figure.unit);
    [
        figure.what.clone(),
        number(figure.spread.min),
        number(figure.spread.median),
        number(figure.spread.max),
        figure.unit.name().to_owned(),
        figure.by_cpu.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
        figure.costs.map(|(ours, theirs)| costs(&ours, &theirs)).unwrap_or_default(),
        match figure.target {
            Target::AtLeast(wanted) => format!("≥ {wanted}"),
            Target::AtMost(wanted) => format!("≤ {wanted}"),
            Target::None => String::new(),
        },
        figure.met().map_or("", |met| if met { "yes" } else { "NO" }).to_owned(),
    ]
}

fn number(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ratio => format!("{value:.3}"),
        Unit::SagasPerSecond => format!("{value:.0}"),
        Unit::Millis | Unit::Micros => format!("{value:.1}"),
    }
}

fn costs(ours: &Costs, theirs: &Costs) -> String {
    format!("{} : {}", parts(ours), parts(theirs))
}

fn parts(costs: &Costs) -> String {
    let part = |part: Option<f64>| part.map_or("·".to_owned(), |micros| format!("{micros:.0}"));
    format!("{}+{}+{}", part(costs.client), part(costs.postgres), part(costs.kafka))
}
