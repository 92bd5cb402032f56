//! `cargo xtask model`: explores the protocol and its broken variants, and prints what it found.
#![allow(clippy::print_stdout, reason = "a command line tool talks to its terminal")]

use std::process::ExitCode;

use clap::Parser;
use model::{
    Bounds, Model, Variant,
    explore::{Exploration, explore},
    trace::trace,
};

#[derive(Debug, Parser)]
#[command(
    name = "model",
    about = "Explores the relay's protocol (P5 to P9) exhaustively, within bounds"
)]
struct Cli {
    /// Wider bounds: more than ten million states
    #[arg(long)]
    large: bool,
    /// Stop each exploration after about this many states (it is then not exhaustive)
    #[arg(long, value_name = "N")]
    states: Option<usize>,
    /// Explore this broken variant only, and print its counterexample (`all` for every one)
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Threads; more than one may find a counterexample that is not the shortest
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// A last line of JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.variant.as_deref() {
        Some(name) => variants(name),
        None => Ok(protocol(&cli)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            println!("{message}");
            ExitCode::from(2)
        }
    }
}

/// True when the protocol holds, and every variant does not.
fn protocol(cli: &Cli) -> bool {
    let bounds = if cli.large { Bounds::large() } else { Bounds::usual() };
    let mut totals = Totals::default();
    for (name, bounds) in bounds {
        let found = explore(Model { bounds, variant: None }, cli.threads, cli.states);
        println!("{}", line(name, &found));
        show(&found);
        totals.add(&found);
    }
    let broken = Variant::ALL.iter().filter(|variant| is_found_broken(**variant)).count();
    println!("{broken} of {} broken variants are found broken", Variant::ALL.len());
    println!("{} states, {} violations", totals.states, totals.violations);
    let holds = totals.violations == 0 && totals.unreached == 0 && broken == Variant::ALL.len();
    if cli.json {
        let line = serde_json::json!({
            "states": totals.states,
            "steps": totals.steps,
            "violations": totals.violations,
            "exhaustive": totals.incomplete == 0,
            "variants": Variant::ALL.len(),
            "variants_found_broken": broken,
            "seconds": totals.seconds,
        });
        println!("{line}");
    }
    holds
}

#[derive(Debug, Default)]
struct Totals {
    states: usize,
    steps: usize,
    violations: usize,
    unreached: usize,
    incomplete: usize,
    seconds: f64,
}

impl Totals {
    fn add(&mut self, found: &Exploration) {
        self.states += found.states;
        self.steps += found.steps;
        self.violations += found.violations.len();
        self.unreached += found.unreached.len();
        self.incomplete += usize::from(!found.complete);
        self.seconds += found.took.as_secs_f64();
    }
}

fn line(name: &str, found: &Exploration) -> String {
    let Exploration { states, steps, depth, .. } = found;
    let whole = if found.complete { "all of them" } else { "not all" };
    let seconds = found.took.as_secs_f64();
    format!(
        "{name:<22} {states:>9} states ({whole}), {steps:>9} steps, depth {depth:>3}, {seconds:>6.1} s"
    )
}

fn show(found: &Exploration) {
    for (property, path) in &found.violations {
        println!("VIOLATED: {property}\n{}", trace(path));
    }
    for property in &found.unreached {
        println!("NEVER REACHED: {property}");
    }
}

fn is_found_broken(variant: Variant) -> bool {
    let found = broken(variant);
    found.violations.iter().any(|(property, _)| *property == variant.damage().property())
}

fn broken(variant: Variant) -> Exploration {
    let found = explore(Model { bounds: variant.bounds(), variant: Some(variant) }, 1, None);
    println!("{}", line(variant.name(), &found));
    found
}

/// True when all that were asked for are found broken.
fn variants(name: &str) -> Result<bool, String> {
    let chosen: Vec<Variant> =
        Variant::ALL.iter().copied().filter(|v| name == "all" || v.name() == name).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = Variant::ALL.iter().map(|variant| variant.name()).collect();
        return Err(format!("no such variant; there are: {}", names.join(", ")));
    }
    let mut all_broken = true;
    for variant in chosen {
        let found = broken(variant);
        show(&found);
        all_broken &= !found.violations.is_empty();
    }
    Ok(all_broken)
}
