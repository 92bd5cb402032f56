//! Links in Markdown files to files that are not there.

use super::{File, Finding, Repository};

pub(super) fn dead(repository: &Repository) -> Vec<Finding> {
    let documents = repository.files.iter().filter(|file| file.has_extension("md"));
    documents.flat_map(|file| in_document(repository, file)).collect()
}

fn in_document(repository: &Repository, file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_code = false;
    for (number, line) in file.numbered() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line).filter(|target| is_relative(target)) {
            let target = target.split(['#', '?']).next().unwrap_or_default();
            if !target.is_empty() && !exists(repository, &resolve(&file.path, target)) {
                findings.push(Finding::at(file, number, format!("dead link to {target}")));
            }
        }
    }
    findings
}

/// What stands in `](…)` and after `]: `.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let reference = line.strip_prefix('[').and_then(|line| line.split_once("]: "));
    inline.chain(reference.and_then(|(_, rest)| rest.split(' ').next()))
}

fn is_relative(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:")
}

/// The target's path from the repository's root.
fn resolve(document: &str, target: &str) -> String {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    let from = if target.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in from.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            // Above the root there is nothing: kept, so that it is not found.
            ".." if parts.last().is_none_or(|last| *last == "..") => parts.push(".."),
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn exists(repository: &Repository, path: &str) -> bool {
    let folder = format!("{path}/");
    path.is_empty() || repository.paths.iter().any(|it| it == path || it.starts_with(&folder))
}

#[cfg(test)]
mod test {
    use super::super::repository;
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let files = [("docs/a.md", text), ("docs/b.md", ""), ("src/lib.rs", "")];
        dead(&repository(&files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn files_and_folders_that_exist_are_fine() {
        let text = "[b](b.md#part) and [l](../src/lib.rs), [s](../src/), [r](/docs), [h](#here)\n\
                    [w](https://example.org/x.md)\n[ref]: ./b.md\n```\n[x](gone.md)\n```\n";
        assert_eq!(findings(text), [""; 0]);
    }

    #[test]
    fn dead_links_are_found() {
        let text = "[x](gone.md)\n\n[y](../../b.md) [z](b.md)\n[ref]: gone/";
        assert_eq!(
            findings(text),
            [
                "docs/a.md:1: dead link to gone.md",
                "docs/a.md:3: dead link to ../../b.md",
                "docs/a.md:4: dead link to gone/",
            ]
        );
    }
}
