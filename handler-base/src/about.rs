//! The author's part of a handler's description.

use pop_contract::Term;
use serde_json::Value;

/// The author's part of a handler's description: version, purpose, actions, failure codes and defaults.
///
/// ```
/// let about = pop_handler_base::About::new(env!("CARGO_PKG_VERSION"), "takes one picture out of a video")
///     .error("no-picture", "the video has no picture at that time");
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct About {
    pub(crate) version: Option<String>,
    pub(crate) sentence: Option<String>,
    pub(crate) actions: Vec<Term>,
    pub(crate) errors: Vec<Term>,
    pub(crate) defaults: Option<Value>,
}

impl About {
    /// Starts a description with the handler's version and a sentence about its purpose.
    pub fn new(version: impl Into<String>, about: impl Into<String>) -> Self {
        Self { version: Some(version.into()), sentence: Some(about.into()), ..Self::default() }
    }

    /// Adds an action.
    #[must_use]
    pub fn action(mut self, name: &str, about: &str) -> Self {
        self.actions.push(Term { name: name.to_owned(), about: about.to_owned() });
        self
    }

    /// Adds a failure code.
    #[must_use]
    pub fn error(mut self, code: &str, about: &str) -> Self {
        self.errors.push(Term { name: code.to_owned(), about: about.to_owned() });
        self
    }

    /// Sets the values of payload fields that are left out.
    #[must_use]
    pub fn defaults(mut self, defaults: impl Into<Value>) -> Self {
        self.defaults = Some(defaults.into());
        self
    }

    /// Merges the description of another capability of the same program.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.version = self.version.or(other.version);
        self.sentence = match (self.sentence, other.sentence) {
            (Some(one), Some(other)) => Some(format!("{one}; {other}")),
            (one, other) => one.or(other),
        };
        self.actions.extend(other.actions);
        for error in other.errors {
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
        self.defaults = self.defaults.or(other.defaults);
        self
    }
}
