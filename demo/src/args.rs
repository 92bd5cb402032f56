//! What the demo is asked to do.

use std::{ffi::OsString, path::PathBuf};

use clap::Parser;

/// Runs the four services of the story in one process, on the embedded default: SQLite files, a log in
/// memory, and a payment gateway on loopback. Orders are placed, billed, reserved and shipped; some fail,
/// some are cancelled; the last ones meet a gateway in trouble, or are not finished in time. At the end the
/// laws are checked: every order has one end, and not a cent or an item is lost or doubled.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "demo",
    after_help = "Examples:\n  \
        cargo demo                                    the story, in about three seconds\n  \
        cargo demo -- --sagas 10000 --seed 7 --json   figures as one JSON object in the last line\n  \
        cargo demo -- --data ./data --sagas 20000     kill it whenever you like, and start it again\n  \
        cargo demo -- --local-accounts                the same without a gateway\n  \
        cargo demo -- --merchant                      and a merchant is told how each order ended\n  \
        cargo demo -- --serve                         keep the HTTP interfaces up; Ctrl-C ends\n\n\
        Exit status: 0 when every law holds, 1 when one does not, 2 when the demo could not run."
)]
pub(crate) struct Args {
    /// How many orders to place.
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=5_000_000))]
    pub(crate) sagas: u64,

    /// The story's seed: the same seed places the same orders.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,

    /// Over how many articles the orders are spread; 1 makes every order meet on the same one.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) skus: u64,

    /// Keep the stores in this folder. The demo can be killed at any time and started again with the
    /// same arguments: it goes on where it was. Without it, they are in a temporary folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Keep the HTTP interfaces of the services and the gateway up afterwards, on loopback, until Ctrl-C.
    #[arg(long)]
    pub(crate) serve: bool,

    /// Let payment keep the accounts itself: no gateway, no HTTP between, and no trouble with it.
    #[arg(long)]
    pub(crate) local_accounts: bool,

    /// Tell a merchant on loopback how each order ended, by signed webhooks; his server fails now and then.
    #[arg(long)]
    pub(crate) merchant: bool,

    /// The first of the five ports for --serve (the sixth is notification's, with --merchant); 0 takes free ones.
    #[arg(long, default_value_t = 8080, value_name = "PORT", requires = "serve")]
    pub(crate) port: u16,

    /// Print one JSON object with all figures as the last line, and no tables.
    #[arg(long)]
    pub(crate) json: bool,

    /// Give up when the orders have made no progress for this many seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) patience: u64,
}

/// The command line. `cargo demo -- --sagas 10` and `cargo demo --sagas 10` are the same: cargo's alias ends with
/// a divider of its own, and whoever writes a second one means nothing else by it.
pub(crate) fn without_divider(line: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut line: Vec<OsString> = line.collect();
    if line.get(1).is_some_and(|first| first == "--") {
        line.remove(1);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_divider_means_nothing() {
        for line in [&["demo", "--sagas", "10"][..], &["demo", "--", "--sagas", "10"]] {
            let line = without_divider(line.iter().map(OsString::from));
            assert_eq!(Args::parse_from(line).sagas, 10);
        }
    }
}
