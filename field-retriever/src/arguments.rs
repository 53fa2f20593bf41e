//! Parsing of the command line of a handler or of the executor, in every accepted spelling.

use std::collections::BTreeSet;
use std::ffi::OsString;

use thiserror::Error;

use crate::field::{Found, Origin};
use crate::names;

/// An option without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// Print the handler's description.
    Describe,
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
}

impl Flag {
    /// Every flag.
    pub const ALL: [Self; 3] = [Self::Describe, Self::Help, Self::Version];

    /// The name after the dashes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Help => "help",
            Self::Version => "version",
        }
    }
}

/// A parsed command line.
///
/// `-propFile x`, `--propFile x`, `--prop-file x` and each of them with `=` mean the same, in any letter case. A value
/// that begins with a dash and a letter needs `=`. After `--` all arguments are positional words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    values: Vec<(String, String)>,
    flags: BTreeSet<Flag>,
    words: Vec<String>,
}

/// Error in a command line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArgumentError {
    /// No argument has this name.
    #[error("unknown argument `{given}`{}", suggest(.near.as_deref()))]
    Unknown {
        /// The argument as written, without its value.
        given: String,
        /// The most similar known name, if any.
        near: Option<String>,
    },
    /// The argument has no value, or an empty one.
    #[error("argument `{name}` has no value")]
    NoValue {
        /// The known name.
        name: String,
    },
    /// The flag has a value.
    #[error("flag `{name}` takes no value")]
    ValueOfFlag {
        /// Name of the flag.
        name: &'static str,
    },
    /// The argument occurs twice.
    #[error("argument `{name}` is given twice")]
    Twice {
        /// The known name.
        name: String,
    },
    /// The argument is not UTF-8.
    #[error("argument number {number} is not UTF-8 text")]
    NotText {
        /// Position of the argument, from 1.
        number: usize,
    },
}

impl ArgumentError {
    /// How to fix the error.
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { near: Some(near), .. } => format!("write `--{near}`"),
            Self::Unknown { near: None, .. } => {
                let known = names::argument::ALL.into_iter().chain(Flag::ALL.map(Flag::as_str));
                let known: Vec<String> = known.map(|name| format!("`--{name}`")).collect();
                format!("known arguments: {}", known.join(", "))
            }
            Self::NoValue { name } => {
                format!("write `--{name} VALUE`, or `--{name}=VALUE` when the value begins with a dash")
            }
            Self::ValueOfFlag { name } => format!("write `--{name}`"),
            Self::Twice { name } => format!("keep one `--{name}`"),
            Self::NotText { .. } => "write the argument in UTF-8".to_owned(),
        }
    }
}

fn suggest(near: Option<&str>) -> String {
    near.map(|name| format!(", did you mean `--{name}`?")).unwrap_or_default()
}

impl Arguments {
    /// Parses a command line without the program name.
    ///
    /// `extra` names the caller's own arguments, which take a value like the known ones.
    pub fn parse<A>(argv: A, extra: &[&str]) -> Result<Self, ArgumentError>
    where
        A: IntoIterator,
        A::Item: Into<OsString>,
    {
        let mut tokens = Vec::new();
        for (index, token) in argv.into_iter().enumerate() {
            let token = token.into().into_string();
            tokens.push(token.map_err(|_| ArgumentError::NotText { number: index + 1 })?);
        }
        let known: Vec<&str> = names::argument::ALL.iter().chain(extra).copied().collect();
        let mut arguments = Self::default();
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            if token == "--" {
                arguments.words.extend(tokens);
                break;
            }
            if !is_option(&token) {
                arguments.words.push(token);
                continue;
            }
            match OptionToken::read(&token, &known)? {
                OptionToken::Ignored => {}
                OptionToken::Flag(flag) => {
                    arguments.flags.insert(flag);
                }
                OptionToken::Value { name, value } => {
                    let value = value.or_else(|| tokens.next_if(|next| next != "--" && !is_option(next)));
                    arguments.add(name, value)?;
                }
            }
        }
        Ok(arguments)
    }

    /// Finds the value of an argument.
    pub fn find(&self, name: &str) -> Option<Found<String>> {
        let (name, value) = self.values.iter().find(|(given, _)| plain(given) == plain(name))?;
        Some(Found::new(value.clone(), Origin::Argument { name: name.clone() }))
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }

    /// Positional words, in order.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    fn add(&mut self, name: &str, value: Option<String>) -> Result<(), ArgumentError> {
        let name = name.to_owned();
        match value {
            None => Err(ArgumentError::NoValue { name }),
            Some(value) if value.is_empty() => Err(ArgumentError::NoValue { name }),
            Some(_) if self.find(&name).is_some() => Err(ArgumentError::Twice { name }),
            Some(value) => {
                self.values.push((name, value));
                Ok(())
            }
        }
    }
}

/// A parsed token that begins with a dash.
enum OptionToken<'a> {
    Ignored,
    Flag(Flag),
    Value { name: &'a str, value: Option<String> },
}

impl<'a> OptionToken<'a> {
    fn read(token: &str, known: &[&'a str]) -> Result<Self, ArgumentError> {
        let (given, value) = match token.split_once('=') {
            Some((given, value)) => (given, Some(value.to_owned())),
            None => (token, None),
        };
        let wanted = plain(given);
        if let Some(name) = known.iter().find(|name| plain(name) == wanted) {
            return Ok(Self::Value { name, value });
        }
        if value.is_none() && wanted == names::argument::IGNORED {
            return Ok(Self::Ignored);
        }
        match Flag::ALL.into_iter().find(|flag| flag.as_str() == wanted) {
            Some(flag) if value.is_some() => Err(ArgumentError::ValueOfFlag { name: flag.as_str() }),
            Some(flag) => Ok(Self::Flag(flag)),
            None => Err(ArgumentError::Unknown { given: given.to_owned(), near: nearest(&wanted, known) }),
        }
    }
}

/// Whether letters follow the dashes of a token; `-` and `-5` are not options.
fn is_option(token: &str) -> bool {
    token.starts_with('-') && token.trim_start_matches('-').starts_with(char::is_alphabetic)
}

/// The name in lower case without dashes.
fn plain(name: &str) -> String {
    name.replace('-', "").to_lowercase()
}

fn nearest(wanted: &str, known: &[&str]) -> Option<String> {
    let names = known.iter().copied().chain(Flag::ALL.map(Flag::as_str));
    pop_document::nearest(wanted, names).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, ArgumentError> {
        Arguments::parse(line.split_whitespace(), &["renditionCount"])
    }

    #[test]
    fn every_spelling_means_the_same() {
        for line in [
            "-launchType local",
            "--launchType local",
            "--launchType=local",
            "-launchType=local",
            "--launch-type local",
            "--launch-type=local",
            "-launch-type=local",
            "--LAUNCHTYPE local",
            "--Launch-Type=local",
        ] {
            let found = parse(line).unwrap().find("launchType").unwrap();
            assert_eq!(found.value, "local", "{line}");
            assert_eq!(found.origin, Origin::Argument { name: "launchType".into() }, "{line}");
        }
    }

    #[test]
    fn every_known_and_extra_name_takes_a_value() {
        for name in names::argument::ALL.iter().chain(&["renditionCount"]) {
            let arguments = parse(&format!("-{name} v=1")).unwrap();
            assert_eq!(arguments.find(name).unwrap().value, "v=1");
            assert_eq!(arguments.words(), [""; 0]);
        }
    }

    #[test]
    fn the_c_of_a_container_start_is_ignored() {
        let arguments = parse("-c agenda.json --launchType docker more -").unwrap();
        assert_eq!(arguments.words(), ["agenda.json", "more", "-"]);
        assert_eq!(arguments.find("launchType").unwrap().value, "docker");
        let arguments = parse("one -- --launchType two").unwrap();
        assert_eq!(arguments.words(), ["one", "--launchType", "two"]);
        assert_eq!(arguments.find("launchType"), None);
    }

    #[test]
    fn flags_stand_alone() {
        let arguments = parse("--describe -help").unwrap();
        let is_set: Vec<bool> = Flag::ALL.map(|flag| arguments.has(flag)).into();
        assert_eq!(is_set, [true, true, false]);
        assert!(parse("--version --version").unwrap().has(Flag::Version));
        let error = parse("--help=all").unwrap_err();
        assert_eq!(error.to_string(), "flag `help` takes no value");
    }

    #[test]
    fn unknown_names_are_errors_with_a_suggestion() {
        for (line, message) in [
            ("--lanchType local", "unknown argument `--lanchType`, did you mean `--launchType`?"),
            ("-payload-fil=x", "unknown argument `-payload-fil`, did you mean `--payloadFile`?"),
            ("--rendition-cuont 3", "unknown argument `--rendition-cuont`, did you mean `--renditionCount`?"),
            ("--descrbe", "unknown argument `--descrbe`, did you mean `--describe`?"),
            ("--verbose", "unknown argument `--verbose`"),
            ("-x", "unknown argument `-x`"),
            ("-c=1", "unknown argument `-c`"),
        ] {
            assert_eq!(parse(line).unwrap_err().to_string(), message);
        }
        assert!(parse("-x").unwrap_err().hint().contains("`--launchType`"));
    }

    #[test]
    fn a_missing_or_empty_value_is_an_error() {
        for line in
            ["--payloadFile", "--payloadFile --launchType local", "--payloadFile=", "--payloadFile --"]
        {
            assert_eq!(parse(line).unwrap_err().to_string(), "argument `payloadFile` has no value", "{line}");
        }
        let error = Arguments::parse(["--payloadFile", ""], &[]).unwrap_err();
        assert_eq!(error, ArgumentError::NoValue { name: "payloadFile".into() });
    }

    #[test]
    fn values_may_be_negative_or_with_equals_look_like_options() {
        for (line, value) in [
            ("--renditionCount -5", "-5"),
            ("--renditionCount -", "-"),
            ("--rendition-count=-x", "-x"),
            ("--renditionCount=a=b", "a=b"),
        ] {
            assert_eq!(parse(line).unwrap().find("renditionCount").unwrap().value, value);
        }
    }

    #[test]
    fn a_duplicate_argument_is_an_error() {
        let error = parse("-launchType local --launch-type=docker").unwrap_err();
        assert_eq!(error.to_string(), "argument `launchType` is given twice");
        assert_eq!(error.hint(), "keep one `--launchType`");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_text_are_an_error() {
        use std::os::unix::ffi::OsStringExt;
        let argv = [OsString::from("ok"), OsString::from_vec(vec![0xff])];
        assert_eq!(Arguments::parse(argv, &[]), Err(ArgumentError::NotText { number: 2 }));
    }
}
