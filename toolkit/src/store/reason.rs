//! What went wrong, as every store keeps it: the text may come from the world outside.

use std::borrow::Cow;

/// The longest error text that is kept, in bytes; what is longer is cut.
pub const REASON_BYTES_MAX: usize = 8 * 1024;

/// In the place of a NUL, which PostgreSQL has not in its texts.
const SIGN_OF_NUL: &str = "\u{2400}";
const CUT: &str = " …";

/// A text that every store takes. An append that tells of an error must not fail because of how the error
/// is worded.
pub(super) fn kept(text: &str) -> Cow<'_, str> {
    if text.len() <= REASON_BYTES_MAX && !text.contains('\0') {
        return Cow::Borrowed(text);
    }
    let mut kept = text.replace('\0', SIGN_OF_NUL);
    if kept.len() > REASON_BYTES_MAX {
        kept.truncate(kept.floor_char_boundary(REASON_BYTES_MAX - CUT.len()));
        kept.push_str(CUT);
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_store_takes_stays_as_it_is() {
        for text in ["", "the shelf is broken: später", &"x".repeat(REASON_BYTES_MAX)] {
            assert!(matches!(kept(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn a_nul_is_shown_and_a_long_text_is_cut_between_characters() {
        assert_eq!(kept("a\0b\0"), "a␀b␀");
        for long in ["\0", "x", "é", "🦀"] {
            let kept = kept(&long.repeat(REASON_BYTES_MAX + 1)).into_owned();
            assert!(kept.len() <= REASON_BYTES_MAX && kept.ends_with(CUT), "{long:?}");
            assert!(kept.len() > REASON_BYTES_MAX - CUT.len() - 4 && !kept.contains('\0'));
        }
    }
}
