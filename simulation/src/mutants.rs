//! The deliberate breaks of `docs/mutants.md`, in a build that has them.

use anyhow::Result;
use quadrille::mutant;
use serde_json::json;

use crate::args::Args;

/// Lists them when that was asked for; refuses a name that there is none of.
#[allow(clippy::print_stdout)]
pub(crate) fn listed(args: &Args) -> Result<bool> {
    mutant::chosen()?;
    if args.mutants {
        for mutant in mutant::listed() {
            println!("{}", json!({"name": mutant.name, "rule": mutant.rule, "what": mutant.what}));
        }
    }
    Ok(args.mutants)
}
