//! Checks on type names while the program is compiled.

/// How often `name` is among `names`.
#[must_use]
pub(crate) const fn count(names: &[&str], name: &str) -> usize {
    let (mut found, mut at) = (0, 0);
    while at < names.len() {
        if same(names[at], name) {
            found += 1;
        }
        at += 1;
    }
    found
}

/// Stops the compilation when a type name occurs twice: the second of the two would never be found.
#[track_caller]
pub(crate) const fn assert_each_once(names: &[&str]) {
    let mut at = 0;
    while at < names.len() {
        if count(names, names[at]) > 1 {
            stop(&["the event type `", names[at], "` is listed twice in one tuple; list it once"]);
        }
        at += 1;
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Panics with the parts joined. Only ever evaluated by the compiler, where a panic is an error.
#[track_caller]
pub(crate) const fn stop(parts: &[&str]) -> ! {
    let mut text = [0; 256];
    let (mut length, mut part) = (0, 0);
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut at = 0;
        while at < bytes.len() && length < text.len() {
            text[length] = bytes[at];
            length += 1;
            at += 1;
        }
        part += 1;
    }
    match std::str::from_utf8(text.split_at(length).0) {
        Ok(text) => panic!("{}", text),
        Err(_) => panic!("an event type is listed twice in one tuple; list it once"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_whole_names_only() {
        let names = ["ORDER", "ORDER_CREATED", "ORDER"];
        assert_eq!(count(&names, "ORDER"), 2);
        assert_eq!(count(&names, "ORDER_CREATED"), 1);
        assert_eq!(count(&names, "ORDER_"), 0);
        assert_eq!(count(&[], ""), 0);
    }

    #[test]
    fn distinct_names_pass() {
        assert_each_once(&["A", "B", "AB"]);
    }

    #[test]
    #[should_panic(expected = "the event type `B` is listed twice in one tuple; list it once")]
    fn a_repeated_name_is_named() {
        assert_each_once(&["A", "B", "C", "B"]);
    }
}
