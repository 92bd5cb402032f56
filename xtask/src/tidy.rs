//! The repository's own rules, those that no other tool knows.

mod leftovers;
mod links;
mod named_rules;
mod sizes;

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// A text file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    /// From the repository's root, with `/`.
    path: String,
    text: String,
}

impl File {
    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|it| it == extension)
    }

    /// Lines with their numbers, from 1.
    fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Every text file, and the paths of all files.
#[derive(Debug, Default)]
struct Repository {
    files: Vec<File>,
    paths: Vec<String>,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    place: String,
    message: String,
}

impl Finding {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }

    fn at(file: &File, line: usize, message: impl Into<String>) -> Self {
        Self::new(format!("{}:{line}", file.path), message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

type Rule = fn(&Repository) -> Vec<Finding>;

const RULES: &[Rule] = &[
    sizes::no_large_file,
    sizes::small_files,
    leftovers::find,
    links::dead,
    named_rules::untested,
];

/// `true` when no rule is broken.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let repository = load(workspace.root())?;
    let findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&repository)).collect();
    for finding in &findings {
        println!("{finding}");
    }
    if !named_rules::is_applicable(&repository) {
        println!("tidy: rules' tests NOT CHECKED: there is no {}", named_rules::SOURCE);
    }
    let files = repository.files.len();
    match findings.len() {
        0 => println!("tidy: passed ({files} files)"),
        broken => println!("tidy: FAILED: {broken} findings in {files} files"),
    }
    Ok(findings.is_empty())
}

/// What git tracks or would track. Files that are not UTF-8 have a path and no text.
fn load(root: &Path) -> Result<Repository> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot start git")?;
    if !output.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut repository = Repository::default();
    for path in String::from_utf8(output.stdout)?.split_terminator('\0') {
        // A deleted file stays listed until the deletion is staged.
        let Ok(bytes) = std::fs::read(root.join(path)) else { continue };
        repository.paths.push(path.to_owned());
        if let Ok(text) = String::from_utf8(bytes) {
            repository.files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(repository)
}

#[cfg(test)]
fn repository(files: &[(&str, &str)]) -> Repository {
    let file =
        |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
    Repository {
        files: files.iter().map(file).collect(),
        paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
    }
}
