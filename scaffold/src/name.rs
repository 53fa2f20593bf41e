//! The name of a new handler.

use std::fmt;
use thiserror::Error;

/// Longest name, in bytes: the limit of a Kubernetes label.
const LONGEST: usize = 63;

/// Keywords of Rust, edition 2024.
const KEYWORDS: [&str; 52] = [
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    "macro-rules",
];
/// Names of cargo or the compiler, which cargo refuses for a program.
const CARGO_NAMES: [&str; 9] =
    ["alloc", "build", "core", "deps", "examples", "incremental", "proc-macro", "std", "test"];
/// Dependencies of a handler in Rust.
const PACKAGES: [&str; 9] = [
    "pop-handler-base",
    "pop-operator",
    "pop-operator-runtime",
    "schemars",
    "serde",
    "serde-json",
    "tempfile",
    "tokio",
    "tracing-subscriber",
];
/// Built-in operation types.
const BUILT_IN: [&str; 2] = ["exec", "sample"];

/// The name of a handler: valid for an operation type, a package, an image, a pod and a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// An invalid name of a handler.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// The text is empty, too long, or has characters that are not allowed.
    #[error(
        "`{text}` is not a handler name: use at most {LONGEST} lower-case letters, digits and single `-`, \
         with a letter first and no `-` last"
    )]
    Form {
        /// The rejected text.
        text: String,
        /// The nearest valid name.
        near: Option<Name>,
    },
    /// The name has another meaning.
    #[error("`{text}` is not a handler name: it is {meaning}")]
    Taken {
        /// The rejected text.
        text: String,
        /// The other meaning, for example `a keyword of Rust`.
        meaning: &'static str,
        /// The nearest valid name.
        near: Name,
    },
}

impl NameError {
    /// The nearest valid name, if there is one.
    pub fn near(&self) -> Option<&Name> {
        match self {
            Self::Form { near, .. } => near.as_ref(),
            Self::Taken { near, .. } => Some(near),
        }
    }
}

impl Name {
    /// The kind of a custom resource: `my-sites` becomes `MySite`.
    pub(crate) fn to_kind(&self) -> String {
        let singular = self.0.strip_suffix('s').filter(|rest| rest.len() > 1 && !rest.ends_with('s'));
        let words = singular.unwrap_or(&self.0).split('-');
        let kind: String = words
            .flat_map(|word| {
                let mut letters = word.chars();
                letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
            })
            .collect();
        kind.chars().take(LONGEST - 2).collect()
    }

    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let owned = || text.to_owned();
        if !is_well_formed(text) {
            let near = Some(nearest_well_formed(text)).filter(|near| is_well_formed(near));
            return Err(NameError::Form { text: owned(), near: near.map(Self::without_other_meaning) });
        }
        match other_meaning(text) {
            Some(meaning) => {
                Err(NameError::Taken { text: owned(), meaning, near: Self::without_other_meaning(owned()) })
            }
            None => Ok(Self(owned())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a Rust identifier.
    pub fn to_crate(&self) -> String {
        self.0.replace('-', "_")
    }

    /// Makes a name of a well-formed text; appends `-handler` if the text has another meaning.
    fn without_other_meaning(text: String) -> Self {
        Self(if other_meaning(&text).is_some() { format!("{text}-handler") } else { text })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_well_formed(text: &str) -> bool {
    text.len() <= LONGEST
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('-').all(|part| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

/// Converts capitals to lower case and other invalid characters to dashes, and trims the ends.
fn nearest_well_formed(text: &str) -> String {
    let mut near = String::new();
    let mut was_small = false;
    for letter in text.chars() {
        if letter.is_ascii_uppercase() && was_small {
            near.push('-');
        }
        was_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        near.push(if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' });
    }
    let parts: Vec<&str> = near.split('-').filter(|part| !part.is_empty()).collect();
    let near = parts.join("-");
    let near = near.trim_start_matches(|first: char| !first.is_ascii_lowercase());
    near[..near.len().min(LONGEST)].trim_end_matches('-').to_owned()
}

/// The meaning that a text has already, if any.
fn other_meaning(text: &str) -> Option<&'static str> {
    let tables: [(&[&str], &str); 4] = [
        (&KEYWORDS, "a keyword of Rust"),
        (&CARGO_NAMES, "a name reserved by cargo"),
        (&PACKAGES, "a dependency of handlers"),
        (&BUILT_IN, "a built-in operation type"),
    ];
    tables.into_iter().find(|(words, _)| words.contains(&text)).map(|(_, meaning)| meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_names_are_accepted() {
        let longest = "a".repeat(LONGEST);
        for good in ["a", "probe", "my-handler", "h264-to-av1", "tests", &longest] {
            assert_eq!(Name::parse(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        assert_eq!(Name::parse("my-own-handler").unwrap().to_crate(), "my_own_handler");
    }

    #[test]
    fn invalid_name_comes_with_the_nearest_valid_one() {
        let too_long = "a".repeat(LONGEST + 1);
        let cut = "a".repeat(LONGEST);
        let cut_at_a_dash = format!("{}-bc", "a".repeat(LONGEST - 1));
        for (bad, near) in [
            ("", None),
            ("--", None),
            ("2", None),
            ("ф", None),
            ("../x", Some("x")),
            ("MyHandler", Some("my-handler")),
            ("HTTP2Get", Some("http2-get")),
            ("my_handler", Some("my-handler")),
            ("-a--b-", Some("a-b")),
            ("2x", Some("x")),
            ("Test", Some("test-handler")),
            ("größe", Some("gr-e")),
            (&too_long, Some(&*cut)),
            (&cut_at_a_dash, Some(&cut[..LONGEST - 1])),
        ] {
            let error = Name::parse(bad).unwrap_err();
            assert_eq!(error.near().map(Name::as_str), near, "{bad}");
            if let Some(near) = near {
                assert!(Name::parse(near).is_ok(), "{near}");
            }
        }
    }

    #[test]
    fn name_with_another_meaning_is_refused() {
        for (taken, meaning) in [
            ("match", "a keyword of Rust"),
            ("gen", "a keyword of Rust"),
            ("test", "a name reserved by cargo"),
            ("serde-json", "a dependency of handlers"),
            ("exec", "a built-in operation type"),
        ] {
            let error = Name::parse(taken).unwrap_err();
            assert!(error.to_string().ends_with(meaning), "{error}");
            assert_eq!(error.near().map(Name::as_str), Some(&*format!("{taken}-handler")));
        }
    }
}
