//! What a new handler may be called.

use std::fmt;
use thiserror::Error;

/// The longest name: what a label of Kubernetes may have.
const LONGEST: usize = 63;

/// What Rust keeps for itself in edition 2024.
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
/// Names with which cargo makes no program, for they are its own or the compiler's.
const OF_CARGO: [&str; 9] =
    ["alloc", "build", "core", "deps", "examples", "incremental", "proc-macro", "std", "test"];
/// Packages that a handler in Rust is built with.
const PACKAGES: [&str; 6] = ["pop-handler-base", "schemars", "serde", "serde-json", "tempfile", "tokio"];
/// Operation types that need no entry in a registry.
const BUILT_IN: [&str; 2] = ["exec", "sample"];

/// The name of a handler: fit for an operation type, a package, an image, a pod and a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// A name that a handler cannot have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// It has letters that are not allowed, too many, or none.
    #[error(
        "`{given}` is no name for a handler: that is at most {LONGEST} lower-case letters, digits and single `-`, \
         with a letter first and no `-` last"
    )]
    Form {
        /// The name as given.
        given: String,
        /// The nearest name that is allowed.
        near: Option<Name>,
    },
    /// It means something already.
    #[error("`{given}` is no name for a handler: it is {meaning}")]
    Taken {
        /// The name as given.
        given: String,
        /// What it means.
        meaning: &'static str,
        /// The nearest name that is allowed.
        near: Name,
    },
}

impl NameError {
    /// The nearest name that is allowed, if one is near.
    pub fn near(&self) -> Option<&Name> {
        match self {
            Self::Form { near, .. } => near.as_ref(),
            Self::Taken { near, .. } => Some(near),
        }
    }
}

impl Name {
    /// Takes a text as a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let given = || text.to_owned();
        if !is_well_formed(text) {
            let near = Some(reshaped(text)).filter(|near| is_well_formed(near));
            return Err(NameError::Form { given: given(), near: near.map(Self::or_another) });
        }
        match meaning(text) {
            Some(meaning) => {
                Err(NameError::Taken { given: given(), meaning, near: Self::or_another(given()) })
            }
            None => Ok(Self(given())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as Rust writes it in a path.
    pub fn to_crate(&self) -> String {
        self.0.replace('-', "_")
    }

    /// A well-formed text, with a word more if it means something already.
    fn or_another(text: String) -> Self {
        Self(if meaning(&text).is_some() { format!("{text}-handler") } else { text })
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

/// The text with its capitals made small, all else that is not allowed made a dash, and its ends cut.
fn reshaped(text: &str) -> String {
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

fn meaning(text: &str) -> Option<&'static str> {
    let tables: [(&[&str], &str); 4] = [
        (&KEYWORDS, "a keyword of Rust"),
        (&OF_CARGO, "a name that cargo keeps for itself"),
        (&PACKAGES, "a package that handlers are built with"),
        (&BUILT_IN, "an operation type that is built in"),
    ];
    tables.into_iter().find(|(words, _)| words.contains(&text)).map(|(_, meaning)| meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_good_everywhere() {
        let longest = "a".repeat(LONGEST);
        for good in ["a", "probe", "my-handler", "h264-to-av1", "tests", &longest] {
            assert_eq!(Name::parse(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        assert_eq!(Name::parse("my-own-handler").unwrap().to_crate(), "my_own_handler");
    }

    #[test]
    fn a_bad_name_comes_with_the_nearest_good_one() {
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
    fn a_name_that_means_something_already_is_refused_with_the_reason() {
        for (taken, meaning) in [
            ("match", "a keyword of Rust"),
            ("gen", "a keyword of Rust"),
            ("test", "a name that cargo keeps for itself"),
            ("serde-json", "a package that handlers are built with"),
            ("exec", "an operation type that is built in"),
        ] {
            let error = Name::parse(taken).unwrap_err();
            assert!(error.to_string().ends_with(meaning), "{error}");
            assert_eq!(error.near().map(Name::as_str), Some(&*format!("{taken}-handler")));
        }
    }
}
