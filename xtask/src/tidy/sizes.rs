//! Files stay small.

use super::{Finding, Repository};

/// In lines.
const LARGEST_FILE: usize = 600;
/// In lines: the median of the Rust files that are not tests.
const LARGEST_MEDIAN: usize = 200;
/// Written by programs.
const GENERATED: &[&str] = &["Cargo.lock", ".svg", ".snap", ".schema.json"];

pub(super) fn no_large_file(repository: &Repository) -> Vec<Finding> {
    let is_written = |path: &str| !GENERATED.iter().any(|ending| path.ends_with(ending));
    let files = repository.files.iter().filter(|file| is_written(&file.path));
    files
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > LARGEST_FILE)
        .map(|(file, lines)| {
            Finding::new(&file.path, format!("{lines} lines, more than {LARGEST_FILE}"))
        })
        .collect()
}

pub(super) fn small_files(repository: &Repository) -> Vec<Finding> {
    let is_test = |path: &str| path.split('/').any(|part| part == "tests" || part == "benches");
    let files = repository.files.iter();
    let code = files.filter(|file| file.has_extension("rs") && !is_test(&file.path));
    let mut lines: Vec<usize> = code.map(|file| file.text.lines().count()).collect();
    lines.sort_unstable();
    match lines.get(lines.len() / 2) {
        Some(median) if *median >= LARGEST_MEDIAN => {
            let message = format!("the median of .rs files is {median} lines");
            vec![Finding::new("repository", format!("{message}, not under {LARGEST_MEDIAN}"))]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod test {
    use super::super::repository;
    use super::*;

    #[test]
    fn a_file_of_601_lines_is_found() {
        let (good, bad) = ("x\n".repeat(600), "x\n".repeat(601));
        let files = [("a.rs", good.as_str()), ("b.md", &bad), ("Cargo.lock", &bad)];
        let findings = no_large_file(&repository(&files));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "b.md");
    }

    #[test]
    fn the_median_leaves_tests_out() {
        let (small, large) = ("x\n".repeat(199), "x\n".repeat(200));
        let files = [("a.rs", small.as_str()), ("b/tests/c.rs", &large), ("b/tests/d.rs", &large)];
        assert_eq!(small_files(&repository(&files)), []);
        assert_eq!(small_files(&repository(&[("a.rs", &large)])).len(), 1);
    }
}
