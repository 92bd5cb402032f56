//! Many seeds, one after the other, on all processors.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use quadrille::testing::{
    Simulation,
    simulation::{Fault, Run, Summary},
};
use serde_json::json;

use crate::args::Args;

/// Failures that are shortened and printed; more are only counted.
const FAILURES_SHOWN: usize = 3;

/// Runs that are done, by seed.
#[derive(Default)]
struct Done {
    runs: Mutex<BTreeMap<u64, Run>>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let (story, started) = (simulation::story(), Instant::now());
    let bar = bar(args);
    let runs = all(args, &story, &bar);
    let (mut summary, mut failed) = (Summary::default(), vec![]);
    for run in runs.values() {
        summary.add(run);
        if run.broken.is_some() {
            failed.push(run);
        }
    }
    bar.finish_and_clear();
    let seconds = started.elapsed();
    if args.until_broken {
        show_first(&failed, args.from);
    } else {
        show_failures(args, &story, &failed);
    }
    sum_up(args, &summary, failed.len(), seconds);
    Ok(failed.is_empty())
}

/// Every seed is a run of its own: which processor takes it does not matter.
fn all(args: &Args, story: &Simulation, bar: &ProgressBar) -> BTreeMap<u64, Run> {
    let (next, done) = (AtomicU64::new(args.from), Done::default());
    let enough = AtomicBool::new(false);
    let end = args.from.saturating_add(args.seeds);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = args.jobs.unwrap_or(processors).max(1);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || enough.load(Ordering::Relaxed) {
                        return;
                    }
                    let run = story.run(seed);
                    enough.fetch_or(args.until_broken && run.broken.is_some(), Ordering::Relaxed);
                    done.runs.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, run);
                    bar.inc(1);
                }
            });
        }
    });
    done.runs.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn bar(args: &Args) -> ProgressBar {
    if args.json {
        return ProgressBar::hidden();
    }
    let style = "{bar:40} {pos}/{len} seeds  {per_sec}  {eta} left";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(args.seeds).with_style(style)
}

/// The lowest seed that failed: the same on every machine, for seeds are begun in their order.
#[allow(clippy::print_stdout)]
fn show_first(failed: &[&Run], from: u64) {
    let Some(run) = failed.first() else { return };
    let broken = run.broken.as_ref().map(ToString::to_string).unwrap_or_default();
    println!("{}", json!({"seed": run.seed, "runs": run.seed - from + 1, "broken": broken}));
}

#[allow(clippy::print_stdout)]
fn show_failures(args: &Args, story: &Simulation, failed: &[&Run]) {
    for run in failed.iter().take(FAILURES_SHOWN) {
        let found = story.shorten(run);
        if args.json {
            let broken = found.broken.to_string();
            println!(
                "{}",
                json!({"seed": found.seed, "broken": broken, "replay": found.token, "timeline": found.timeline})
            );
        } else {
            println!("{found}\n");
        }
    }
    for run in failed.iter().skip(FAILURES_SHOWN) {
        let broken = run.broken.as_ref().map(ToString::to_string).unwrap_or_default();
        if args.json {
            println!("{}", json!({"seed": run.seed, "broken": broken}));
        } else {
            println!("seed {}: {broken}", run.seed);
        }
    }
}

#[allow(clippy::print_stdout)]
fn sum_up(args: &Args, summary: &Summary, failures: usize, took: Duration) {
    let hours = summary.time.as_secs_f64() / 3_600.0;
    let seconds = took.as_secs_f64();
    let hash = format!("{:016x}", summary.hash);
    if args.json {
        let faults: serde_json::Map<_, _> = Fault::ALL
            .iter()
            .map(|fault| (fault.name().to_owned(), summary.faults.of(*fault).into()))
            .collect();
        let line = json!({
            "seeds": summary.seeds,
            "failures": failures,
            "hash": hash,
            "logical_hours": hours,
            "seconds": seconds,
            "faults": faults,
            "quiet_points": summary.quiet_points,
            "halted": summary.halted,
        });
        println!("{line}");
        return;
    }
    for fault in Fault::ALL {
        println!("{:>10}  {fault}", summary.faults.of(*fault));
    }
    println!(
        "{} seeds, {failures} failures, {hours:.1} logical hours in {seconds:.1} s ({:.0} seeds/s)",
        summary.seeds,
        count(summary.seeds) / seconds.max(0.001)
    );
    println!(
        "{} deliveries, {} quiet points, {} runs halted as they must; hash {hash}",
        summary.delivered, summary.quiet_points, summary.halted
    );
}

/// A number of runs fits a double.
#[allow(clippy::cast_precision_loss)]
fn count(number: u64) -> f64 {
    number as f64
}
