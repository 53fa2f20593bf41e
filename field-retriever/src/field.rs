//! One setting: its names, its value with origin, and conversion to a type.

use pop_contract::{LaunchType, UnknownLaunchType};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::num::{IntErrorKind, ParseIntError};
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;

/// The names of one setting in the sources.
///
/// A source without a name is skipped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldName {
    /// Name of the argument, in camel case without dashes.
    pub argument: Option<&'static str>,
    /// Environment variables, the preferred spelling first.
    pub environment: &'static [&'static str],
    /// Key in the properties file.
    pub property: Option<Cow<'static, str>>,
}

impl FieldName {
    /// A setting that only an argument can set.
    pub const fn of_argument(name: &'static str) -> Self {
        Self { argument: Some(name), environment: &[], property: None }
    }

    /// A setting that only the environment can set, in any of the spellings.
    pub const fn of_environment(spellings: &'static [&'static str]) -> Self {
        Self { argument: None, environment: spellings, property: None }
    }

    /// A setting that only the properties file can set.
    pub fn of_property(key: impl Into<Cow<'static, str>>) -> Self {
        Self { argument: None, environment: &[], property: Some(key.into()) }
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let argument = self.argument.map(|name| format!("argument `{name}`"));
        let variable = self.environment.first().map(|name| format!("environment variable `{name}`"));
        let property = self.property.as_deref().map(|key| format!("property `{key}`"));
        let names: Vec<String> = [argument, variable, property].into_iter().flatten().collect();
        f.write_str(&names.join(" or "))
    }
}

/// Origin of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "source", rename_all = "camelCase")]
pub enum Origin {
    /// A command-line argument.
    Argument {
        /// Name without dashes.
        name: String,
    },
    /// An environment variable.
    Environment {
        /// Name of the variable.
        name: String,
    },
    /// A line of the properties file.
    Property {
        /// Path of the file, as the user named it.
        file: PathBuf,
        /// Line of the key, from 1.
        line: u32,
        /// Key of the property.
        key: String,
    },
    /// The default value.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument { name } => write!(f, "argument `{name}`"),
            Self::Environment { name } => write!(f, "environment variable `{name}`"),
            Self::Property { file, line, key } => write!(f, "property `{key}` ({}:{line})", file.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// A value with its origin.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Found<T> {
    /// The value.
    pub value: T,
    /// Origin of the value.
    pub origin: Origin,
}

impl<T> Found<T> {
    /// A value from an origin.
    pub const fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// A default value.
    pub const fn defaulted(value: T) -> Self {
        Self { value, origin: Origin::Default }
    }

    /// Maps the value and keeps the origin.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Found<U> {
        Found { value: change(self.value), origin: self.origin }
    }
}

impl Found<String> {
    /// Parses the text as one of the simple types.
    ///
    /// Surrounding white space is ignored, except for `String`.
    pub fn parse<T: FieldValue>(self) -> Result<Found<T>, FieldError> {
        match T::parse_field(&self.value) {
            Ok(value) => Ok(Found { value, origin: self.origin }),
            Err(expected) => Err(FieldError::Unfit { text: self.value, origin: self.origin, expected }),
        }
    }

    /// Parses the text with the `FromStr` of a type, and keeps that type's error.
    pub fn parse_word<T>(self) -> Result<Found<T>, FieldError>
    where
        T: FromStr,
        T::Err: Error + Send + Sync + 'static,
    {
        match self.value.trim().parse() {
            Ok(value) => Ok(Found { value, origin: self.origin }),
            Err(source) => {
                Err(FieldError::Word { text: self.value, origin: self.origin, source: Box::new(source) })
            }
        }
    }
}

/// A type of a setting.
pub trait FieldValue: Sized {
    /// Parses the text. The error names the expected value, with an article.
    fn parse_field(text: &str) -> Result<Self, &'static str>;
}

impl FieldValue for String {
    fn parse_field(text: &str) -> Result<Self, &'static str> {
        Ok(text.to_owned())
    }
}

impl FieldValue for PathBuf {
    fn parse_field(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() { Err("a path") } else { Ok(Self::from(text)) }
    }
}

impl FieldValue for LaunchType {
    fn parse_field(text: &str) -> Result<Self, &'static str> {
        text.parse().map_err(|_: UnknownLaunchType| "one of `local`, `docker`, `kubernetes`")
    }
}

impl FieldValue for bool {
    fn parse_field(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("true") {
            Ok(true)
        } else if text.eq_ignore_ascii_case("false") {
            Ok(false)
        } else {
            Err("`true` or `false`")
        }
    }
}

impl FieldValue for f64 {
    fn parse_field(text: &str) -> Result<Self, &'static str> {
        text.trim().parse().ok().filter(|number: &Self| number.is_finite()).ok_or("a number")
    }
}

impl FieldValue for i64 {
    fn parse_field(text: &str) -> Result<Self, &'static str> {
        text.trim().parse().map_err(|e| describe_whole(&e, "a whole number", "a whole number of 64 bits"))
    }
}

impl FieldValue for u64 {
    fn parse_field(text: &str) -> Result<Self, &'static str> {
        parse_unsigned(text, "a whole number of 64 bits")
    }
}

impl FieldValue for u32 {
    fn parse_field(text: &str) -> Result<Self, &'static str> {
        parse_unsigned(text, "a whole number of 32 bits")
    }
}

fn parse_unsigned<T: FromStr<Err = ParseIntError>>(
    text: &str,
    range: &'static str,
) -> Result<T, &'static str> {
    let text = text.trim();
    text.parse().map_err(|e| {
        let negative = text.strip_prefix('-').is_some_and(|rest| rest.parse::<u64>().is_ok());
        let shape = if negative { "a whole number from 0 up" } else { "a whole number" };
        describe_whole(&e, shape, range)
    })
}

fn describe_whole(error: &ParseIntError, shape: &'static str, range: &'static str) -> &'static str {
    match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => range,
        _ => shape,
    }
}

/// Error in a setting.
#[derive(Debug, Error)]
pub enum FieldError {
    /// The text does not have the setting's type.
    #[error("{} of {origin} is not {expected}", QuotedText(.text))]
    Unfit {
        /// The invalid text.
        text: String,
        /// Origin of the text.
        origin: Origin,
        /// The expected value, with an article.
        expected: &'static str,
    },
    /// The text is not a word of the setting's type.
    #[error("{} of {origin} is not understood", QuotedText(.text))]
    Word {
        /// The invalid text.
        text: String,
        /// Origin of the text.
        origin: Origin,
        /// Error of the type.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A required setting has no value.
    #[error("no value for {name}")]
    Missing {
        /// Names of the setting in the sources.
        name: FieldName,
    },
}

impl FieldError {
    /// How to fix the error.
    pub fn hint(&self) -> String {
        match self {
            Self::Unfit { origin, expected, .. } => fix(origin, expected),
            Self::Word { origin, .. } => fix(origin, "a known word"),
            Self::Missing { name } => {
                let argument = name.argument.map(|argument| format!("give `--{argument} VALUE`"));
                let variable = name.environment.first().map(|variable| format!("set `{variable}`"));
                let property =
                    name.property.as_deref().map(|key| format!("write `{key}=VALUE` in the properties file"));
                let ways: Vec<String> = [argument, variable, property].into_iter().flatten().collect();
                ways.join(", or ")
            }
        }
    }
}

fn fix(origin: &Origin, expected: &str) -> String {
    match origin {
        Origin::Argument { name } => format!("give {expected} after `--{name}`"),
        Origin::Environment { name } => format!("set `{name}` to {expected}, or unset it"),
        Origin::Property { file, line, .. } => {
            format!("write {expected} on line {line} of {}, or remove that line", file.display())
        }
        Origin::Default => format!("give {expected}"),
    }
}

/// Displays any text in backticks, shortened and on one line.
pub(crate) struct QuotedText<'a>(pub(crate) &'a str);

impl QuotedText<'_> {
    const LENGTH: usize = 80;
}

impl fmt::Display for QuotedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`")?;
        for character in self.0.chars().take(Self::LENGTH) {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        f.write_str(if self.0.chars().nth(Self::LENGTH).is_some() { "…`" } else { "`" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(text: &str) -> Found<String> {
        let origin = Origin::Property {
            file: "external.properties".into(),
            line: 7,
            key: "operation.conductor.threadpool.size".into(),
        };
        Found::new(text.into(), origin)
    }

    fn expected<T: FieldValue + fmt::Debug>(text: &str) -> &'static str {
        match property(text).parse::<T>() {
            Err(FieldError::Unfit { expected, .. }) => expected,
            other => panic!("`{text}` gave {other:?}"),
        }
    }

    #[test]
    fn an_invalid_number_has_its_place_and_a_fix() {
        let error = property("abc").parse::<u64>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`abc` of property `operation.conductor.threadpool.size` (external.properties:7) is not a whole number"
        );
        assert_eq!(
            error.hint(),
            "write a whole number on line 7 of external.properties, or remove that line"
        );
    }

    #[test]
    fn valid_values_keep_their_origin() {
        assert_eq!(property("-45").parse::<i64>().unwrap().value, -45);
        assert_eq!(property(" 45 ").parse::<u64>().unwrap().value, 45);
        assert_eq!(property("7").parse::<u32>().unwrap().value, 7);
        assert_eq!(property("0.1").parse::<f64>().unwrap().value.to_bits(), 0.1_f64.to_bits());
        assert_eq!(property(" x ").parse::<String>().unwrap().value, " x ");
        for (text, value) in [("true", true), ("TRUE ", true), ("False", false)] {
            let found = property(text).parse::<bool>().unwrap();
            assert_eq!((found.value, found.origin), (value, property("").origin));
        }
    }

    #[test]
    fn errors_name_the_expected_value() {
        for text in ["yes", "1", "", "truee"] {
            assert_eq!(expected::<bool>(text), "`true` or `false`");
        }
        for text in ["", "1.5", "1_000", "0x10", "50 s"] {
            assert_eq!(expected::<i64>(text), "a whole number");
            assert_eq!(expected::<u64>(text), "a whole number");
        }
        for text in ["", "NaN", "inf", "1,5", "1e999"] {
            assert_eq!(expected::<f64>(text), "a number");
        }
        assert_eq!(expected::<u64>("-5"), "a whole number from 0 up");
        assert_eq!(expected::<i64>("99999999999999999999"), "a whole number of 64 bits");
        assert_eq!(expected::<u32>("4294967296"), "a whole number of 32 bits");
        assert_eq!(expected::<PathBuf>(""), "a path");
    }

    #[test]
    fn parse_word_keeps_the_error_of_the_type() {
        let origin = Origin::Environment { name: "ADDRESS".into() };
        let error = Found::new("here".to_owned(), origin).parse_word::<std::net::IpAddr>().unwrap_err();
        assert_eq!(error.to_string(), "`here` of environment variable `ADDRESS` is not understood");
        assert_eq!(error.source().unwrap().to_string(), "invalid IP address syntax");
        assert_eq!(error.hint(), "set `ADDRESS` to a known word, or unset it");
    }

    #[test]
    fn a_missing_value_lists_every_way_to_set_it() {
        let name = FieldName {
            argument: Some("agendaUrl"),
            environment: &["AGENDA_URL"],
            property: Some("agenda.url".into()),
        };
        let error = FieldError::Missing { name };
        assert_eq!(
            error.to_string(),
            "no value for argument `agendaUrl` or environment variable `AGENDA_URL` or property `agenda.url`"
        );
        assert_eq!(
            error.hint(),
            "give `--agendaUrl VALUE`, or set `AGENDA_URL`, or write `agenda.url=VALUE` in the properties file"
        );
    }

    #[test]
    fn long_text_is_shortened_to_one_line_in_messages() {
        let error = property(&format!("a\nb{}", "é".repeat(200))).parse::<i64>().unwrap_err().to_string();
        assert!(error.starts_with("`a\\nbé"), "{error}");
        assert!(error.chars().count() < 200, "{error}");
    }

    #[test]
    fn origins_are_serialized() {
        let found = property("x");
        assert_eq!(
            serde_json::to_value(&found).unwrap(),
            serde_json::json!({"value": "x", "origin": {"source": "property", "file": "external.properties",
                "line": 7, "key": "operation.conductor.threadpool.size"}})
        );
        assert_eq!(Found::defaulted(1).map(|n| n + 1), Found::new(2, Origin::Default));
    }
}
