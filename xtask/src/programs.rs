//! Programs of the repository that are built optimised and run: the model, the fuzzer.

use anyhow::Result;

use crate::cli::{FuzzArgs, OwnArgs};
use crate::workspace::Workspace;

/// `cargo xtask model`; `true` when the protocol holds and its broken variants do not.
pub(crate) fn model(workspace: &Workspace, args: &OwnArgs) -> Result<bool> {
    run(workspace, &["run", "--quiet", "--package", "model", "--"], &args.arguments)
}

/// `cargo xtask fuzz`; `true` when nothing was found.
pub(crate) fn fuzz(workspace: &Workspace, args: &FuzzArgs) -> Result<bool> {
    let mut arguments = vec!["--seconds".to_owned(), args.seconds.to_string()];
    if let Some(seed) = args.seed {
        arguments.extend(["--seed".to_owned(), seed.to_string()]);
    }
    arguments.extend(args.targets.iter().cloned());
    run(workspace, &["run", "--quiet", "--package", "fuzz", "--"], &arguments)
}

fn run(workspace: &Workspace, cargo: &[&str], arguments: &[String]) -> Result<bool> {
    Ok(workspace.cargo("cargo run", cargo).args(arguments).spawn()?.wait()?.success())
}
