//! The figures as one JSON object.

use std::fs;

use serde_json::{Map, Value, json};

use crate::figure::{Costs, Figure, Target};

pub(super) fn of(figures: &[Figure], quick: bool, failed: &[(&str, String)]) -> Value {
    let figures: Map<String, Value> =
        figures.iter().map(|figure| (figure.key.clone(), one(figure))).collect();
    let failed: Map<String, Value> =
        failed.iter().map(|(name, error)| ((*name).to_owned(), json!(error))).collect();
    json!({ "quick": quick, "machine": machine(), "figures": figures, "failed": failed })
}

fn one(figure: &Figure) -> Value {
    let mut value = json!({
        "what": figure.what,
        "unit": figure.unit.name(),
        "min": figure.spread.min,
        "median": figure.spread.median,
        "max": figure.spread.max,
    });
    match figure.target {
        Target::AtLeast(wanted) => value["at_least"] = json!(wanted),
        Target::AtMost(wanted) => value["at_most"] = json!(wanted),
        Target::None => {}
    }
    if let Some(met) = figure.met() {
        value["met"] = json!(met);
    }
    if let Some(ratio) = figure.by_cpu {
        value["by_cpu"] = json!(ratio);
    }
    if let Some((ours, theirs)) = &figure.costs {
        value["cpu_micros"] = json!({ "toolkit": costs(ours), "baseline": costs(theirs) });
    }
    value
}

fn costs(costs: &Costs) -> Value {
    let Costs { client, postgres, kafka, total } = costs;
    json!({ "client": client, "postgres": postgres, "kafka": kafka, "total": total })
}

fn machine() -> Value {
    let cores = std::thread::available_parallelism().map(usize::from).unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    json!({
        "cores": cores,
        "cpu": model.map(|(_, model)| model),
        "load_average": load.split(' ').next().and_then(|load| load.parse::<f64>().ok()),
    })
}
