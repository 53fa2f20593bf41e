//! Cuts texts that are too long to be shown.

use std::borrow::Cow;

/// Most bytes of a message or a name that a page shows.
pub(crate) const MESSAGE: usize = 2_000;
/// Most bytes of one line of a log.
pub(crate) const LINE: usize = 2_000;

/// The text, or its begin with a note that says how long the whole is.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(most);
    Cow::Owned(format!("{}… [cut: {} of {} bytes]", &text[..end], end, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("aäb", 2), "a… [cut: 1 of 4 bytes]");
    }
}
