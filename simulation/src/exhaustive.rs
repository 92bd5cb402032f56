//! One order, and every run with few faults.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::args::Args;

/// `true` when no run broke anything.
#[allow(clippy::print_stdout)]
pub(crate) fn run(args: &Args, faults_max: usize) -> bool {
    let started = Instant::now();
    let bar = if args.json { ProgressBar::hidden() } else { bar() };
    let story = simulation::one_order(args.instances, args.charged());
    let explored = story.explore(faults_max, args.runs_max, |done, known| {
        bar.set_length(known);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    let explored = match explored {
        Ok(explored) => explored,
        Err(found) if args.json => {
            let broken = found.broken.to_string();
            println!(
                "{}",
                json!({"failures": 1, "broken": broken, "replay": found.token, "seconds": seconds})
            );
            return false;
        }
        Err(found) => {
            println!("{found}");
            return false;
        }
    };
    if args.json {
        println!(
            "{}",
            json!({
                "runs": explored.total(), "by_faults": explored.runs, "repeated": explored.repeated,
                "left": explored.left, "complete": explored.complete, "failures": 0, "seconds": seconds,
            })
        );
        return true;
    }
    for (faults, runs) in explored.runs.iter().enumerate() {
        println!("{runs:>10} runs with {faults} faults");
    }
    let all = match explored.left {
        0 if explored.complete => "that was all of them".to_owned(),
        left => format!("that was NOT all of them: {left} more are known"),
    };
    println!("{} runs explored, {all}; nothing is broken. {:.1} s", explored.total(), seconds);
    println!(
        "{} places were passed over: the same call, and nothing had changed since it was made before",
        explored.repeated
    );
    true
}

fn bar() -> ProgressBar {
    let style = "{bar:40} {pos} of {len} known runs  {per_sec}";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(1).with_style(style)
}
