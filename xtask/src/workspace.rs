//! Where the repository is, and what cargo knows about it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::Launch;

/// What `cargo run` sets for xtask and the commands started here must not see.
const OWN_BUILD: &[&str] = &[
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
];

/// Features that tests and checks leave out, and why.
const LEFT_OUT: &[&str] = &[
    // OpenSSL from source: minutes of building, for nothing that a test here could see.
    "quadrille/kafka-ssl",
    // Deliberate breaks, for `cargo xtask mutants` alone.
    "quadrille/mutants",
    "simulation/mutants",
];

#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    test_targets: Vec<String>,
    features: String,
}

impl Workspace {
    /// Asks `cargo metadata`.
    pub(crate) fn load() -> Result<Self> {
        let home = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version=1"])
            .current_dir(&home)
            .output()
            .context("cannot start cargo")?;
        if !output.status.success() {
            bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Self::read(&serde_json::from_slice(&output.stdout)?)
    }

    fn read(metadata: &Value) -> Result<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let path = |name: &str| {
            text(&metadata[name]).map(PathBuf::from).with_context(|| format!("no {name}"))
        };
        let mut test_targets: Vec<String> = list(&metadata["packages"])
            .iter()
            .flat_map(|package| list(&package["targets"]))
            .filter(|target| list(&target["kind"]).contains(&Value::from("test")))
            .filter_map(|target| text(&target["name"]))
            .collect();
        test_targets.sort();
        test_targets.dedup();
        let mut features: Vec<String> = list(&metadata["packages"])
            .iter()
            .flat_map(|package| {
                let name = text(&package["name"]).unwrap_or_default();
                let features = package["features"].as_object().cloned().unwrap_or_default();
                features.into_iter().map(move |(feature, _)| format!("{name}/{feature}"))
            })
            .filter(|feature| !LEFT_OUT.contains(&feature.as_str()))
            .collect();
        features.sort();
        Ok(Self {
            root: path("workspace_root")?,
            target: path("target_directory")?,
            test_targets,
            features: features.join(","),
        })
    }

    /// All packages with all features but the few that are left out: the same for every command, so that
    /// nothing is built twice.
    pub(crate) fn everything(&self) -> [&str; 3] {
        ["--workspace", "--features", &self.features]
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The names of the targets in the packages' `tests` folders, sorted.
    pub(crate) fn test_targets(&self) -> &[String] {
        &self.test_targets
    }

    /// A folder for xtask's own files under the target folder; made if need be.
    pub(crate) fn own_dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.target.join("xtask").join(name);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(dir)
    }

    /// Where cargo puts a program.
    pub(crate) fn program(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(name)
    }

    /// Whether `cargo NAME` exists.
    pub(crate) fn has_subcommand(&self, name: &str) -> bool {
        let output = Command::new(cargo()).args([name, "--version"]).output();
        output.is_ok_and(|output| output.status.success())
    }

    /// A cargo command in the repository's root.
    pub(crate) fn cargo(&self, name: &str, args: &[&str]) -> Launch {
        let launch = Launch::new(name, cargo()).args(args).dir(&self.root);
        std::env::vars()
            .map(|(variable, _)| variable)
            .filter(|variable| {
                variable.starts_with("CARGO_PKG_") || OWN_BUILD.contains(&variable.as_str())
            })
            .fold(launch, |launch, variable| launch.env_remove(&variable))
    }
}

fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn test_targets_and_features_are_those_of_the_packages() {
        let metadata = serde_json::json!({
            "workspace_root": "/r", "target_directory": "/r/target",
            "packages": [
                {"name": "quadrille", "features": {"kafka": [], "kafka-ssl": []}, "targets": [{"kind": ["lib"], "name": "a"}, {"kind": ["test"], "name": "z"}]},
                {"targets": [{"kind": ["test"], "name": "b"}, {"kind": ["bin"], "name": "c"}]},
            ],
        });
        let workspace = Workspace::read(&metadata).unwrap();
        assert_eq!(workspace.test_targets(), ["b", "z"]);
        assert_eq!(workspace.everything(), ["--workspace", "--features", "quadrille/kafka"]);
        assert_eq!(workspace.root(), Path::new("/r"));
    }
}
