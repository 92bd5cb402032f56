//! `cargo xtask fuzz`: runs each target for a while, and keeps what it finds.
#![allow(clippy::print_stdout, reason = "a command line tool talks to its terminal")]

use std::{
    io,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use fuzz::{corpus, run, targets};

#[derive(Debug, Parser)]
#[command(name = "fuzz", about = "Feeds every decoder of outside bytes")]
struct Cli {
    /// How long each target is run
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The seed of the first input; else one from the clock
    #[arg(long)]
    seed: Option<u64>,
    /// Which targets; all when none is named
    #[arg(value_name = "TARGET", value_parser = clap::builder::PossibleValuesParser::new(targets::NAMES))]
    targets: Vec<String>,
}

fn main() -> io::Result<ExitCode> {
    let cli = Cli::parse();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = cli.seed.unwrap_or(clock.as_secs());
    // A panic is caught and told with its input; its own message would only be in the way.
    std::panic::set_hook(Box::new(|_| {}));
    let mut found = 0;
    for name in targets::NAMES {
        if cli.targets.is_empty() || cli.targets.iter().any(|wanted| wanted == name) {
            found += usize::from(!fuzz_one(name, seed, Duration::from_secs(cli.seconds))?);
        }
    }
    Ok(if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// True when nothing was found.
fn fuzz_one(name: &str, seed: u64, time: Duration) -> io::Result<bool> {
    let Some(mut target) = targets::target(name) else { return Ok(true) };
    let folder = corpus::folder(name);
    let inputs: Vec<Vec<u8>> = corpus::load(&folder)?.into_iter().map(|(_, input)| input).collect();
    let (tried, fault) = run::run(&mut *target, &inputs, seed, time);
    let Some(fault) = fault else {
        println!("{name:<14} {tried:>10} inputs (seed {seed}): nothing found");
        return Ok(true);
    };
    let path = corpus::save(&folder, &fault.input)?;
    let shown = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    println!("{name:<14} FOUND after {tried} inputs (seed {seed}): {}", fault.message);
    println!("    input: {:?}", String::from_utf8_lossy(&fault.input));
    println!(
        "    kept as fuzz/corpus/{name}/{shown}; replay: cargo test -p fuzz --test replayed {name}"
    );
    Ok(false)
}
