//! What an event carries on: `traceparent`, and behind it `tracestate` and `baggage`, a line each.
//!
//! One text, because the store has one column for it, and nearly always only the first line is there.

use std::sync::Arc;

/// The longest `tracestate` that is carried on, in bytes; a longer one is left out.
pub const TRACE_STATE_BYTES_MAX: usize = 512;
/// The longest `baggage` that is carried on, in bytes; a longer one is left out.
pub const BAGGAGE_BYTES_MAX: usize = 8 * 1024;

/// The three headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) parent: &'a str,
    pub(crate) state: Option<&'a str>,
    pub(crate) baggage: Option<&'a str>,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let mut lines = text.split('\n');
        let parent = lines.next().unwrap_or_default();
        let mut line = || lines.next().filter(|line| !line.is_empty());
        Self { parent, state: line(), baggage: line() }
    }

    /// As one text. What is too long, or no header, is left out.
    pub(crate) fn join(self) -> Arc<str> {
        let state = self.state.filter(|text| fits(text, TRACE_STATE_BYTES_MAX));
        let baggage = self.baggage.filter(|text| fits(text, BAGGAGE_BYTES_MAX));
        match (state, baggage) {
            (None, None) => self.parent.into(),
            (Some(state), None) => format!("{}\n{state}", self.parent).into(),
            (state, Some(baggage)) => {
                format!("{}\n{}\n{baggage}", self.parent, state.unwrap_or_default()).into()
            }
        }
    }
}

/// Whether a text may be a header's value.
fn fits(text: &str, bytes_max: usize) -> bool {
    let plain = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    !text.is_empty() && text.len() <= bytes_max && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_was_joined_comes_apart_again() {
        let (state, baggage) = (Some("a=1,b=2"), Some("tenant=blue"));
        for parts in [
            Parts { parent: PARENT, state: None, baggage: None },
            Parts { parent: PARENT, state, baggage: None },
            Parts { parent: PARENT, state: None, baggage },
            Parts { parent: PARENT, state, baggage },
        ] {
            assert_eq!(Parts::of(&parts.join()), parts);
        }
        assert_eq!(&*Parts { parent: PARENT, ..Parts::default() }.join(), PARENT);
    }

    #[test]
    fn what_is_no_header_is_left_out() {
        let long = "a".repeat(BAGGAGE_BYTES_MAX + 1);
        for bad in ["", "two\nlines", "caf\u{e9}", "bell\u{7}", &long] {
            let parts = Parts { parent: PARENT, state: Some(bad), baggage: Some(bad) };
            assert_eq!(&*parts.join(), PARENT, "{bad:?}");
        }
    }
}
