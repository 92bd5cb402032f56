//! `cargo xtask check`: form and style.

use anyhow::Result;

use crate::process::Launch;
use crate::tidy;
use crate::workspace::Workspace;

/// `true` when every check passes. All are run, whatever the first ones say.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let everything = workspace.everything();
    let steps = [
        ("format", workspace.cargo("cargo fmt", &["fmt", "--all", "--check"])),
        (
            "lints",
            workspace
                .cargo("cargo clippy", &["clippy", "--all-targets"])
                .args(everything)
                .args(["--", "-D", "warnings"]),
        ),
        (
            "documentation",
            workspace
                .cargo("cargo doc", &["doc", "--no-deps"])
                .args(everything)
                .env("RUSTDOCFLAGS", "-D warnings"),
        ),
    ];
    let mut failed = Vec::new();
    for (name, launch) in steps {
        if !step(name, launch)? {
            failed.push(name);
        }
    }
    if !dependencies(workspace)? {
        failed.push("dependencies");
    }
    if !tidy::run(workspace)? {
        failed.push("tidy");
    }
    match failed.as_slice() {
        [] => println!("check: all passed"),
        failed => println!("check: FAILED: {}", failed.join(", ")),
    }
    Ok(failed.is_empty())
}

fn step(name: &str, launch: Launch) -> Result<bool> {
    eprintln!("\nxtask: check {name}");
    let passed = launch.spawn()?.wait()?.success();
    println!("{name}: {}", if passed { "passed" } else { "FAILED" });
    Ok(passed)
}

/// Licences, advisories and sources, where cargo-deny is installed.
fn dependencies(workspace: &Workspace) -> Result<bool> {
    if !workspace.root().join("deny.toml").is_file() {
        println!("dependencies: NOT CHECKED: there is no deny.toml");
        return Ok(true);
    }
    if !workspace.has_subcommand("deny") {
        println!("dependencies: NOT CHECKED: cargo install --locked cargo-deny");
        return Ok(true);
    }
    step("dependencies", workspace.cargo("cargo deny", &["deny", "check"]))
}
