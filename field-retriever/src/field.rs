//! One setting: the names it goes by, the value found, where it was found, and its reading as a type.

use pop_contract::{LaunchType, UnknownLaunchType};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::num::{IntErrorKind, ParseIntError};
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;

/// The names under which one setting may be given.
///
/// A source that has no name for the setting is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldName {
    /// The name of the argument, in camel case and without dashes.
    pub argument: Option<&'static str>,
    /// The environment variables, the preferred spelling first.
    pub environment: &'static [&'static str],
    /// The key in the properties file.
    pub property: Option<Cow<'static, str>>,
}

impl FieldName {
    /// Names a setting that only an argument can give.
    pub const fn of_argument(name: &'static str) -> Self {
        Self { argument: Some(name), environment: &[], property: None }
    }

    /// Names a setting that only the environment can give, under any of the spellings.
    pub const fn of_environment(spellings: &'static [&'static str]) -> Self {
        Self { argument: None, environment: spellings, property: None }
    }

    /// Names a setting that only the properties file can give.
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

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "source", rename_all = "camelCase")]
pub enum Origin {
    /// An argument of the command line.
    Argument {
        /// Its name without dashes.
        name: String,
    },
    /// A variable of the environment.
    Environment {
        /// Its name as spelt there.
        name: String,
    },
    /// A line of the properties file.
    Property {
        /// The file as it was named.
        file: PathBuf,
        /// The line on which the key begins, counted from 1.
        line: u32,
        /// The key.
        key: String,
    },
    /// The value that holds when nobody gives one.
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

/// A value together with its origin.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Found<T> {
    /// The value.
    pub value: T,
    /// Where it was found.
    pub origin: Origin,
}

impl<T> Found<T> {
    /// Joins a value with its origin.
    pub const fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// Marks a value as the one that nobody gave.
    pub const fn defaulted(value: T) -> Self {
        Self { value, origin: Origin::Default }
    }

    /// Changes the value and keeps the origin.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Found<U> {
        Found { value: change(self.value), origin: self.origin }
    }
}

impl Found<String> {
    /// Reads the text as one of the plain types.
    ///
    /// Surrounding white space does not count, except for text itself.
    pub fn parse<T: FieldValue>(self) -> Result<Found<T>, FieldError> {
        match T::parse_field(&self.value) {
            Ok(value) => Ok(Found { value, origin: self.origin }),
            Err(expected) => Err(FieldError::Unfit { text: self.value, origin: self.origin, expected }),
        }
    }

    /// Reads the text as a type that has its own words and its own error.
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

/// A type that a setting can have.
pub trait FieldValue: Sized {
    /// Reads the text, or says with an article what it should have been.
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

/// A setting that cannot be used as it stands.
#[derive(Debug, Error)]
pub enum FieldError {
    /// The text is not of the type that the setting has.
    #[error("{} of {origin} is not {expected}", Quoted(.text))]
    Unfit {
        /// What was found.
        text: String,
        /// Where it was found.
        origin: Origin,
        /// What it should have been, with an article.
        expected: &'static str,
    },
    /// The text is none of the words that the setting knows.
    #[error("{} of {origin} is not understood", Quoted(.text))]
    Word {
        /// What was found.
        text: String,
        /// Where it was found.
        origin: Origin,
        /// What the type itself says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A setting without a default was given nowhere.
    #[error("no value for {name}")]
    Missing {
        /// The names under which it could be given.
        name: FieldName,
    },
}

impl FieldError {
    /// Says how to mend it.
    pub fn hint(&self) -> String {
        match self {
            Self::Unfit { origin, expected, .. } => mend(origin, expected),
            Self::Word { origin, .. } => mend(origin, "a known word"),
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

fn mend(origin: &Origin, expected: &str) -> String {
    match origin {
        Origin::Argument { name } => format!("give {expected} after `--{name}`"),
        Origin::Environment { name } => format!("set `{name}` to {expected}, or unset it"),
        Origin::Property { file, line, .. } => {
            format!("write {expected} on line {line} of {}, or remove that line", file.display())
        }
        Origin::Default => format!("give {expected}"),
    }
}

/// Text in backticks, short and on one line, whatever it holds.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl Quoted<'_> {
    const LENGTH: usize = 80;
}

impl fmt::Display for Quoted<'_> {
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
    fn a_bad_number_names_its_place_and_its_remedy() {
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
    fn good_values_keep_their_origin() {
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
    fn bad_values_say_what_was_expected() {
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
    fn words_keep_the_error_of_their_type() {
        let origin = Origin::Environment { name: "ADDRESS".into() };
        let error = Found::new("here".to_owned(), origin).parse_word::<std::net::IpAddr>().unwrap_err();
        assert_eq!(error.to_string(), "`here` of environment variable `ADDRESS` is not understood");
        assert_eq!(error.source().unwrap().to_string(), "invalid IP address syntax");
        assert_eq!(error.hint(), "set `ADDRESS` to a known word, or unset it");
    }

    #[test]
    fn a_missing_value_lists_every_way_to_give_it() {
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
    fn long_and_many_lined_text_is_shown_short_and_on_one_line() {
        let error = property(&format!("a\nb{}", "é".repeat(200))).parse::<i64>().unwrap_err().to_string();
        assert!(error.starts_with("`a\\nbé"), "{error}");
        assert!(error.chars().count() < 200, "{error}");
    }

    #[test]
    fn origins_are_data_for_machines() {
        let found = property("x");
        assert_eq!(
            serde_json::to_value(&found).unwrap(),
            serde_json::json!({"value": "x", "origin": {"source": "property", "file": "external.properties",
                "line": 7, "key": "operation.conductor.threadpool.size"}})
        );
        assert_eq!(Found::defaulted(1).map(|n| n + 1), Found::new(2, Origin::Default));
    }
}
