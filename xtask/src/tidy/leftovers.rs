//! Words that do not belong into a finished repository.

use super::{File, Finding, Repository};

/// A forbidden word and why.
struct Forbidden {
    word: &'static str,
    why: &'static str,
}

/// Written in two halves, or this file would break its own rules.
const FORBIDDEN: &[Forbidden] = &[
    Forbidden { word: concat!("TO", "DO"), why: "unfinished" },
    Forbidden { word: concat!("FIX", "ME"), why: "unfinished" },
    Forbidden { word: concat!("todo", "!("), why: "unfinished" },
    Forbidden { word: concat!("unimple", "mented!("), why: "unfinished" },
    Forbidden { word: concat!("/ro", "ot/"), why: "a path of one machine" },
    Forbidden { word: concat!("/wo", "rk/"), why: "a path of one machine" },
    Forbidden { word: concat!("/ho", "me/"), why: "a path of one machine" },
    Forbidden { word: concat!("/Us", "ers/"), why: "a path of one machine" },
    Forbidden { word: concat!("repo.maven.", "apache.org"), why: "a registry's host" },
    Forbidden { word: concat!("repo1.", "maven.org"), why: "a registry's host" },
    Forbidden { word: concat!("index.", "crates.io"), why: "a registry's host" },
    Forbidden { word: concat!("static.", "crates.io"), why: "a registry's host" },
    Forbidden { word: concat!("registry-1.", "docker.io"), why: "a registry's host" },
    Forbidden { word: concat!("deb.", "debian.org"), why: "a registry's host" },
    Forbidden { word: concat!("proxy.", "golang.org"), why: "a registry's host" },
    Forbidden { word: concat!("registry.", "npmjs.org"), why: "a registry's host" },
    Forbidden { word: concat!("files.", "pythonhosted.org"), why: "a registry's host" },
];

pub(super) fn find(repository: &Repository) -> Vec<Finding> {
    repository.files.iter().flat_map(in_file).collect()
}

fn in_file(file: &File) -> Vec<Finding> {
    let in_line = |(number, line): (usize, &str)| {
        let found = FORBIDDEN.iter().filter(|it| has_word(line, it.word));
        found
            .map(|it| Finding::at(file, number, format!("{:?}: {}", it.word, it.why)))
            .collect::<Vec<_>>()
    };
    file.numbered().flat_map(in_line).collect()
}

/// Whether `word` is there and does not go on to the left; a word of letters must not go
/// on to the right either.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    // A path's beginning: not the middle of a longer path, nor of an address.
    let part_of_path = |c: char| part_of_word(c) || matches!(c, '.' | '-' | '/' | '}' | ')');
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        let joins = |c: char| if word.starts_with('/') { part_of_path(c) } else { part_of_word(c) };
        let open_ended = word.ends_with(|c: char| !part_of_word(c));
        !before.is_some_and(joins) && (open_ended || !after.is_some_and(part_of_word))
    })
}

#[cfg(test)]
mod test {
    use super::super::repository;
    use super::*;

    #[test]
    fn every_forbidden_word_is_found_at_its_line() {
        for Forbidden { word, .. } in FORBIDDEN {
            let text = format!("fine\n// {word}x y\n").replace("x y", "");
            let findings = find(&repository(&[("a.rs", &text)]));
            assert_eq!(findings.len(), 1, "{word}");
            assert_eq!(findings[0].place, "a.rs:2", "{word}");
        }
    }

    #[test]
    fn words_that_merely_contain_them_are_fine() {
        let host = "https://example.org";
        let text = [
            concat!("TO", "DOS are other things"),
            &format!("{host}{}", concat!("/wo", "rk/x")),
            concat!("lints: to", "do = \"warn\""),
            concat!("target/ho", "me/x"),
        ]
        .join("\n");
        assert_eq!(find(&repository(&[("a.md", &text)])), []);
    }
}
