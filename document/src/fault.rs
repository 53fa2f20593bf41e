//! What is wrong in a text, said so that its author can mend it.

use crate::Pointer;
use std::ops::Range;

/// Whether a fault stops the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something that has no effect or a surprising one; the work goes on.
    Warning,
    /// Nothing is started while one of these stands.
    Error,
}

impl Severity {
    /// The word that people read: `error` or `warning`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Where in its text a fault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Site {
    /// The value at a pointer.
    Value(Pointer),
    /// The key of the member at a pointer.
    Key(Pointer),
    /// A part of the string value at a pointer, found by its text.
    Within(Pointer, String),
    /// Bytes of the text, for faults found before there are values.
    Bytes(Range<usize>),
    /// The text as a whole.
    Whole,
}

impl Site {
    /// The pointer of the site; the root where it has none.
    pub fn pointer(&self) -> &str {
        match self {
            Self::Value(pointer) | Self::Key(pointer) | Self::Within(pointer, _) => pointer.as_str(),
            Self::Bytes(_) | Self::Whole => "",
        }
    }
}

/// One thing that is wrong in a text: a code for programs, words for people, and its site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A stable short name of the kind of fault, such as `unknown-reference`.
    pub code: &'static str,
    /// Whether the work can go on.
    pub severity: Severity,
    /// One sentence fragment that says what is wrong, with names in backticks.
    pub message: String,
    /// A few words that stand beside the caret.
    pub label: Option<String>,
    /// How to mend it.
    pub hint: Option<String>,
    /// Where it is.
    pub site: Site,
    /// Other sites that belong to it, each with a few words: the edges of a cycle, the first of two names.
    pub related: Vec<(Site, String)>,
}

impl Fault {
    /// An error at `site`.
    pub fn new(code: &'static str, site: Site, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: shortened(message.into()),
            label: None,
            hint: None,
            site,
            related: Vec::new(),
        }
    }

    /// An error about the value at `pointer`.
    pub fn value(code: &'static str, pointer: impl Into<Pointer>, message: impl Into<String>) -> Self {
        Self::new(code, Site::Value(pointer.into()), message)
    }

    /// An error about the key of the member at `pointer`.
    pub fn key(code: &'static str, pointer: impl Into<Pointer>, message: impl Into<String>) -> Self {
        Self::new(code, Site::Key(pointer.into()), message)
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The same with words beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(shortened(label.into()));
        self
    }

    /// The same with "did you mean …" beside the caret, if there is a near name.
    #[must_use]
    pub fn did_you_mean(mut self, near: Option<&str>) -> Self {
        if let Some(near) = near {
            self.label = Some(shortened(format!("did you mean `{near}`?")));
        }
        self
    }

    /// The same with a hint how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(shortened(hint.into()));
        self
    }

    /// The same with one more site that belongs to it.
    #[must_use]
    pub fn related(mut self, site: Site, words: impl Into<String>) -> Self {
        self.related.push((site, shortened(words.into())));
        self
    }

    /// Whether nothing may start while this stands.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The pointer of its site; the root where it has none.
    pub fn pointer(&self) -> &str {
        self.site.pointer()
    }
}

/// A message of a length that people read. Names in it come from a text that somebody wrote, and may have any length:
/// what is left out is in the middle of the longest word.
fn shortened(text: String) -> String {
    const LONGEST: usize = 600;
    const KEPT: usize = 40;
    if text.len() <= LONGEST {
        return text;
    }
    let shorten = |word: &str| match word.char_indices().nth_back(KEPT) {
        Some((end, _)) if word.len() > 3 * KEPT => {
            format!("{}…{}", &word[..word.floor_char_boundary(KEPT)], &word[end..])
        }
        _ => word.to_owned(),
    };
    let mut short = text.split(' ').map(shorten).collect::<Vec<_>>().join(" ");
    if short.len() > 2 * LONGEST {
        short.truncate(short.floor_char_boundary(2 * LONGEST));
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fr_h17_a_message_is_short_however_long_the_names_are() {
        let long = format!("a{}z", "ü".repeat(500_000));
        let message = format!("operation `{long}` is of type `{long}`, which no handler serves");
        let fault = Fault::value("c", "/a", message.clone()).label(long.clone()).hint(message.clone());
        let fault = fault.related(Site::Whole, message);
        let said =
            [Some(&fault.message), fault.label.as_ref(), fault.hint.as_ref(), Some(&fault.related[0].1)];
        for said in said.into_iter().flatten() {
            assert!(said.len() < 1_000, "{}", said.len());
        }
        assert!(fault.message.starts_with("operation `aü") && fault.message.contains("üz` is of type `aü"));
        assert!(fault.message.ends_with("üz`, which no handler serves"), "{}", fault.message);
        let many = Fault::value("c", "/a", "word ".repeat(100_000));
        assert!(many.message.len() < 1_300);
        let kept = "x".repeat(600);
        assert_eq!(Fault::value("c", "/a", kept.clone()).message, kept);
    }
}
