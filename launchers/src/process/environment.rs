//! The variables that a program starts with, prepared once and shared by every spawn.

use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

/// A block of environment variables, ready for `execve`.
///
/// The base is written once and shared. [`with`](Self::with) overlays a few variables without copying the base.
/// `Debug` shows names only, since values may be secrets.
#[derive(Clone, Default)]
pub struct Environment {
    /// Sorted by name, each name once.
    base: Arc<[Variable]>,
    /// Sorted by name, each name once; overrides `base`.
    own: Vec<Variable>,
}

/// Why a variable cannot be passed to a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// The name is empty, or contains `=` or a NUL byte.
    #[error("invalid name `{}` of an environment variable", .name.escape_debug())]
    Name {
        /// The name that the caller passed, made printable.
        name: String,
    },
    /// The value contains a NUL byte. The message omits the value, which may be a secret.
    #[error("the value of the environment variable `{name}` contains a NUL byte")]
    Value {
        /// The variable's name.
        name: String,
    },
}

impl Environment {
    /// Prepares a base from names and values; the last value of a repeated name counts.
    pub fn new<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Result<Self, EnvironmentError>
    where
        N: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let base = sorted(built(variables))?;
        Ok(Self { base: base.into(), own: Vec::new() })
    }

    /// Overlays variables; the result shares the base with `self`.
    pub fn with<N, V>(&self, variables: impl IntoIterator<Item = (N, V)>) -> Result<Self, EnvironmentError>
    where
        N: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let own = sorted(self.own.iter().cloned().map(Ok).chain(built(variables)))?;
        Ok(Self { base: Arc::clone(&self.base), own })
    }

    /// The `NAME=value` strings, each name once: those of the base in their places, then the others.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &CStr> {
        self.variables().into_iter().map(|variable| variable.text.as_c_str())
    }

    fn variables(&self) -> Vec<&Variable> {
        let mut variables = Vec::with_capacity(self.base.len() + self.own.len());
        variables.extend(self.base.iter());
        for variable in &self.own {
            match self.base.binary_search_by(|base| base.name().cmp(variable.name())) {
                Ok(at) => variables[at] = variable,
                Err(_) => variables.push(variable),
            }
        }
        variables
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables = self.variables().into_iter();
        formatter
            .debug_list()
            .entries(variables.map(|variable| String::from_utf8_lossy(variable.name())))
            .finish()
    }
}

/// One `NAME=value` string.
#[derive(Clone)]
struct Variable {
    text: CString,
    name_length: usize,
}

impl Variable {
    fn build(name: &OsStr, value: &OsStr) -> Result<Self, EnvironmentError> {
        let (name_bytes, value_bytes) = (name.as_bytes(), value.as_bytes());
        let shown = || name.to_string_lossy().into_owned();
        if name_bytes.is_empty() || name_bytes.contains(&b'=') || name_bytes.contains(&0) {
            return Err(EnvironmentError::Name { name: shown() });
        }
        // one byte each for `=` and the terminating NUL
        let mut text = Vec::with_capacity(name_bytes.len() + value_bytes.len() + 2);
        text.extend_from_slice(name_bytes);
        text.push(b'=');
        text.extend_from_slice(value_bytes);
        let text = CString::new(text).map_err(|_| EnvironmentError::Value { name: shown() })?;
        Ok(Self { text, name_length: name_bytes.len() })
    }

    fn name(&self) -> &[u8] {
        self.text.as_bytes().get(..self.name_length).unwrap_or_default()
    }
}

fn built<N, V>(
    variables: impl IntoIterator<Item = (N, V)>,
) -> impl Iterator<Item = Result<Variable, EnvironmentError>>
where
    N: AsRef<OsStr>,
    V: AsRef<OsStr>,
{
    variables.into_iter().map(|(name, value)| Variable::build(name.as_ref(), value.as_ref()))
}

/// Sorts variables by name and keeps the last of each name.
fn sorted(
    variables: impl Iterator<Item = Result<Variable, EnvironmentError>>,
) -> Result<Vec<Variable>, EnvironmentError> {
    let mut sorted: Vec<Variable> = variables.collect::<Result<_, _>>()?;
    // a stable sort of the reversed list puts the last of each name first; dedup keeps that one
    sorted.reverse();
    sorted.sort_by(|left, right| left.name().cmp(right.name()));
    sorted.dedup_by(|left, right| left.name() == right.name());
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [(&str, &str); 0] = [];

    fn texts(environment: &Environment) -> Vec<String> {
        environment.entries().map(|entry| entry.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn later_variables_override_earlier_ones_and_the_base() {
        let base = Environment::new([("B", "1"), ("D", "2"), ("B", "3"), ("A", "")]).unwrap();
        assert_eq!(texts(&base), ["A=", "B=3", "D=2"]);
        let once = base.with([("E", "5"), ("B", "x"), ("C", "4"), ("B", "y")]).unwrap();
        assert_eq!(texts(&once), ["A=", "B=y", "D=2", "C=4", "E=5"]);
        let twice = once.with([("A", "z"), ("E", "=")]).unwrap();
        assert_eq!(texts(&twice), ["A=z", "B=y", "D=2", "C=4", "E=="]);
        assert_eq!(texts(&base), ["A=", "B=3", "D=2"]);
        assert_eq!(texts(&base.with(NONE).unwrap()), texts(&base));
        assert_eq!(texts(&Environment::default()), [""; 0]);
    }

    #[test]
    fn a_name_prefix_is_a_different_name() {
        let base = Environment::new([("PATH", "a"), ("PATHS", "b"), ("PATH_1", "c")]).unwrap();
        let with = base.with([("PATH", "x")]).unwrap();
        assert_eq!(texts(&with), ["PATH=x", "PATHS=b", "PATH_1=c"]);
    }

    #[test]
    fn base_is_shared() {
        let base = Environment::new([("A", "1")]).unwrap();
        let with = base.with([("B", "2")]).unwrap();
        assert!(std::ptr::eq(base.entries().next().unwrap(), with.entries().next().unwrap()));
    }

    #[test]
    fn names_and_values_invalid_for_execve_are_rejected() {
        for name in ["", "A=B", "A\0"] {
            let error = Environment::new([(name, "1")]).unwrap_err();
            assert_eq!(error, EnvironmentError::Name { name: name.to_owned() });
        }
        let error = Environment::default().with([("A", "secret\0")]).unwrap_err();
        assert_eq!(error.to_string(), "the value of the environment variable `A` contains a NUL byte");
    }

    #[test]
    fn debug_shows_no_value() {
        let with = Environment::new([("A", "hush")]).unwrap().with([("B", "hush")]).unwrap();
        assert_eq!(format!("{with:?}"), r#"["A", "B"]"#);
    }
}
