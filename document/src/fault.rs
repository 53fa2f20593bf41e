//! Faults in a text, with messages that help its author fix them.

use crate::Pointer;
use std::ops::Range;

/// Whether a fault prevents a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something without effect or with a surprising one; the run continues.
    Warning,
    /// Nothing starts while there is an error.
    Error,
}

impl Severity {
    /// The name in messages: `error` or `warning`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Location of a fault in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Site {
    /// The value at a pointer.
    Value(Pointer),
    /// The key of the member at a pointer.
    Key(Pointer),
    /// The first occurrence of a text in the string value at a pointer.
    Within(Pointer, String),
    /// A byte range of the text, for faults found before it is parsed.
    Bytes(Range<usize>),
    /// The text as a whole.
    Whole,
}

impl Site {
    /// The pointer of the site; the root if the site has none.
    pub fn pointer(&self) -> &str {
        match self {
            Self::Value(pointer) | Self::Key(pointer) | Self::Within(pointer, _) => pointer.as_str(),
            Self::Bytes(_) | Self::Whole => "",
        }
    }
}

/// One fault in a text: a code for programs, a message for people, and its site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Stable name of the kind of fault, such as `unknown-reference`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong: one sentence fragment, with names in backticks.
    pub message: String,
    /// Short text beside the caret.
    pub label: Option<String>,
    /// How to fix the fault.
    pub hint: Option<String>,
    /// Location of the fault.
    pub site: Site,
    /// Related sites, each with a short text: the edges of a cycle, the first of two equal names.
    pub related: Vec<(Site, String)>,
    /// Name of the document with the sites, if it is another one than the document that names it.
    pub document: Option<Box<str>>,
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
            document: None,
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

    /// Turns the fault into a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Sets the text beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(shortened(label.into()));
        self
    }

    /// Sets "did you mean …" beside the caret, if there is a similar name.
    #[must_use]
    pub fn did_you_mean(mut self, near: Option<&str>) -> Self {
        if let Some(near) = near {
            self.label = Some(shortened(format!("did you mean `{near}`?")));
        }
        self
    }

    /// Sets the hint how to fix the fault.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(shortened(hint.into()));
        self
    }

    /// Adds a related site with a short text.
    #[must_use]
    pub fn related(mut self, site: Site, text: impl Into<String>) -> Self {
        self.related.push((site, shortened(text.into())));
        self
    }

    /// Sets the document with the sites, unless it is known already.
    #[must_use]
    pub fn in_document(mut self, name: &str) -> Self {
        self.document.get_or_insert_with(|| name.into());
        self
    }

    /// Whether the fault is an error, so that nothing may start.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The pointer of the fault's site; the root if the site has none.
    pub fn pointer(&self) -> &str {
        self.site.pointer()
    }
}

/// Shortens a message. Names in it come from a text and may have any length, so the middle of long words is left out
/// first.
fn shortened(text: String) -> String {
    const LONGEST: usize = 600;
    const WORD_END: usize = 40;
    if text.len() <= LONGEST {
        return text;
    }
    let shorten = |word: &str| match word.char_indices().nth_back(WORD_END) {
        Some((end, _)) if word.len() > 3 * WORD_END => {
            format!("{}…{}", &word[..word.floor_char_boundary(WORD_END)], &word[end..])
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
    fn fr_h17_long_names_are_shortened_in_messages() {
        let long = format!("a{}z", "ü".repeat(500_000));
        let message = format!("operation `{long}` is of type `{long}`, which no handler serves");
        let fault = Fault::value("c", "/a", message.clone()).label(long.clone()).hint(message.clone());
        let fault = fault.related(Site::Whole, message);
        let texts =
            [Some(&fault.message), fault.label.as_ref(), fault.hint.as_ref(), Some(&fault.related[0].1)];
        for text in texts.into_iter().flatten() {
            assert!(text.len() < 1_000, "{}", text.len());
        }
        assert!(fault.message.starts_with("operation `aü") && fault.message.contains("üz` is of type `aü"));
        assert!(fault.message.ends_with("üz`, which no handler serves"), "{}", fault.message);
        let many = Fault::value("c", "/a", "word ".repeat(100_000));
        assert!(many.message.len() < 1_300);
        let longest = "x".repeat(600);
        assert_eq!(Fault::value("c", "/a", longest.clone()).message, longest);
    }
}
