//! explores
#![allow(clippy::print_stdout)]
use model::{Bounds, Model, Variant, explore::explore};
fn main() {
    let arg = std::env::args().nth(1).unwrap_or_default();
    let runs: Vec<(&str, Model)> = match arg.as_str() {
        "variants" => Variant::ALL.iter().map(|v| (v.name(), Model { bounds: v.bounds(), variant: Some(*v) })).collect(),
        "base" => Variant::ALL.iter().map(|v| (v.name(), Model { bounds: v.bounds(), variant: None })).collect(),
        "large" => Bounds::large().into_iter().map(|(n, bounds)| (n, Model { bounds, variant: None })).collect(),
        "b" => {
            let n: Vec<u8> = std::env::args().nth(4).unwrap().split(',').map(|x| x.parse().unwrap()).collect();
            let b = Bounds { events: n[0], shards: n[1], faults: n[2], crashes: n[3], stops: n[4], pauses: n[5], doubts: n[6], repeats: n[7], time_outs: n[8], fail_overs: n[9], lost_tails: n[10], new_topics: n[11], retentions: n[12], reshards: n[13] };
            vec![("b", Model { bounds: b, variant: None })]
        }
        _ => Bounds::usual().into_iter().map(|(n, bounds)| (n, Model { bounds, variant: None })).collect(),
    };
    let max = std::env::args().nth(2).and_then(|n| n.parse().ok());
    for (name, model) in runs {
        let e = explore(model, 1, max);
        println!("{name}: {} states {} steps depth {} {:?} complete {} unreached {:?}", e.states, e.steps, e.depth, e.took, e.complete, e.unreached);
        for (p, path) in e.violations {
            println!("  VIOLATION {p} after {} steps", path.len());
            if std::env::args().nth(3).is_some() {
            for (s, a) in &path { println!("    {a:?}"); if a.is_none() { println!("{s:#?}"); } }
            } else { println!("    {:?}", path.iter().filter_map(|(_, a)| *a).collect::<Vec<_>>()); }
        }
    }
}
