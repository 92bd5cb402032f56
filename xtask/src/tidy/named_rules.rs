//! Every rule of the protocol that the architecture names (`p07_…`) has a test of that name.

use std::collections::BTreeSet;

use super::{Finding, Repository};

/// The document that names the rules.
pub(super) const SOURCE: &str = "ARCHITECTURE.md";

pub(super) fn is_applicable(repository: &Repository) -> bool {
    repository.files.iter().any(|file| file.path == SOURCE)
}

pub(super) fn untested(repository: &Repository) -> Vec<Finding> {
    let Some(source) = repository.files.iter().find(|file| file.path == SOURCE) else {
        return Vec::new();
    };
    let rules = names(&source.text);
    if rules.is_empty() {
        return vec![Finding::new(SOURCE, "names no rule of the form p01_…")];
    }
    let tested = tests(repository);
    let is_tested = |rule: &&str| tested.iter().any(|test| test.starts_with(*rule));
    let untested = rules.into_iter().filter(|rule| !is_tested(rule));
    untested
        .map(|rule| Finding::new(SOURCE, format!("no test's name starts with {rule}")))
        .collect()
}

/// Words that start with `pNN_`.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| is_name(word)).collect()
}

fn is_name(word: &str) -> bool {
    let bytes = word.as_bytes();
    matches!(bytes, [b'p', a, b, b'_', ..] if a.is_ascii_digit() && b.is_ascii_digit())
}

/// Functions with such a name under a test attribute.
fn tests(repository: &Repository) -> BTreeSet<&str> {
    let code = repository.files.iter().filter(|file| file.has_extension("rs"));
    code.flat_map(|file| in_code(&file.text)).collect()
}

/// The attribute may stand some lines above, between other attributes and comments.
fn in_code(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        let signature = line.strip_prefix("async ").unwrap_or(line);
        if let Some(signature) = signature.strip_prefix("fn ") {
            let name = signature.split(['(', '<', ' ']).next().unwrap_or_default();
            if is_test && is_name(name) {
                found.push(name);
            }
            is_test = false;
        } else if let Some(attribute) = line.strip_prefix("#[") {
            let path = attribute.split(['(', ']']).next().unwrap_or_default();
            is_test |= path.rsplit("::").next() == Some("test");
        } else if !line.starts_with("//") && !line.is_empty() {
            is_test = false;
        }
    }
    found
}

#[cfg(test)]
mod test {
    use super::super::repository;
    use super::*;

    const RULES: &str = "`p01_` one, p02_fenced two; not p3_ nor xp04_x.\n";

    fn messages(code: &str) -> Vec<String> {
        let files = [(SOURCE, RULES), ("a/tests/b.rs", code)];
        untested(&repository(&files)).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_rule_with_a_test_of_its_name_is_fine() {
        let code = "#[test]\nfn p01_holds() {}\n\
                    #[tokio::test(start_paused = true)]\n// Why.\n#[ignore]\n\
                    async fn p02_fenced_twice() {}\n";
        assert_eq!(messages(code), [""; 0]);
    }

    #[test]
    fn a_rule_without_a_test_is_found() {
        let code = "#[test]\nfn other() {}\nfn p01_helper() {}\n#[test]\nfn p02_other() {}\n";
        assert_eq!(
            messages(code),
            ["no test's name starts with p01_", "no test's name starts with p02_fenced"]
        );
    }

    #[test]
    fn a_document_that_names_no_rule_is_found() {
        assert_eq!(untested(&repository(&[(SOURCE, "nothing")])).len(), 1);
        assert_eq!(untested(&repository(&[])), []);
    }
}
