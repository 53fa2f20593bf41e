//! Names of operations: grammar, collisions, and safe file names.

use std::borrow::Cow;
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// Maximum length of a name, in characters.
const LONGEST: usize = 128;
/// Maximum length of a file name, in bytes. Suffixes follow it, and file systems allow 255 bytes.
const LONGEST_FILE_NAME: usize = 160;
/// Number of digest digits at the end of a cut file name.
const DIGEST: usize = 32;

/// The name of an operation: 1 to 128 letters or digits of any script, `.`, `_`, `-` and spaces, beginning with
/// a letter or digit and not ending with a space.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationName(Box<str>);

/// Reason why a name is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty.
    #[error("the name of an operation must not be empty")]
    Empty,
    /// The name is too long.
    #[error("a name has at most {LONGEST} characters; this one has {0}")]
    TooLong(usize),
    /// The name does not begin with a letter or digit.
    #[error("a name begins with a letter or digit, not with {0:?}")]
    Beginning(char),
    /// The name contains an invalid character.
    #[error("a name contains only letters, digits, `.`, `_`, `-` and spaces, not {0:?}")]
    Character(char),
    /// The name ends with a space.
    #[error("a name does not end with a space")]
    Ending,
}

impl OperationName {
    /// Parses a name of an agenda.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let first = text.chars().next().ok_or(NameError::Empty)?;
        let count = text.chars().count();
        if count > LONGEST {
            return Err(NameError::TooLong(count));
        }
        if !first.is_alphanumeric() {
            return Err(NameError::Beginning(first));
        }
        let bad = |c: &char| !(c.is_alphanumeric() || is_mark(*c) || matches!(c, '.' | '_' | '-' | ' '));
        if let Some(bad) = text.chars().find(bad) {
            return Err(NameError::Character(bad));
        }
        if text.ends_with(' ') {
            return Err(NameError::Ending);
        }
        Ok(Self(text.into()))
    }

    /// The name of a part of this operation. `#` is not allowed in names of an agenda, so it collides with none.
    #[must_use]
    pub fn instance(&self, index: u32) -> Self {
        Self(format!("{self}#{index}").into())
    }

    /// The name of an operation inside this one. `/` is not allowed in names of an agenda, so it collides with none.
    #[must_use]
    pub fn inner(&self, name: &Self) -> Self {
        Self(format!("{self}/{name}").into())
    }

    /// Parses a name of an agenda, of a part or of an operation inside another one.
    pub fn parse_any(text: &str) -> Result<Self, NameError> {
        for mut written in text.split('/') {
            while let Some((whole, number)) = written.rsplit_once('#')
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
            {
                written = whole;
            }
            Self::parse(written)?;
        }
        Ok(Self(text.into()))
    }

    /// The name as the agenda has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Two names with the same key collide: they differ only in letter case or Unicode form.
    pub fn collision_key(text: &str) -> Cow<'_, str> {
        let is_key = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
        if is_key { text.into() } else { text.nfkc().collect::<String>().to_lowercase().into() }
    }

    /// A unique file name for the operation. Lower-case ASCII letters, digits, `.`, `_` and `-` are unchanged; any other
    /// byte becomes `%` and two hexadecimal digits. A too long result is cut and ends with `%~` and a digest.
    pub fn file_name(&self) -> String {
        let mut spelled = self.spelled();
        if spelled.len() > LONGEST_FILE_NAME {
            // the text is ASCII, and a cut escape before `%~` is harmless
            spelled.truncate(LONGEST_FILE_NAME - 2 - DIGEST);
            let digest = blake3::hash(self.0.as_bytes()).to_hex();
            spelled.push_str("%~");
            spelled.push_str(&digest[..DIGEST]);
        }
        spelled
    }

    fn spelled(&self) -> String {
        let mut spelled = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => spelled.push(byte as char),
                other => {
                    const HEX: &[u8; 16] = b"0123456789abcdef";
                    spelled.push('%');
                    spelled.push(HEX[usize::from(other >> 4)] as char);
                    spelled.push(HEX[usize::from(other & 15)] as char);
                }
            }
        }
        spelled
    }
}

/// Combining marks continue a letter in many scripts.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

impl fmt::Display for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f35_names_invalid_for_files_and_pods_are_refused() {
        for good in ["a", "probe.1", "9-x_y", "Vorschau groß", "影片 1", "e\u{301}"] {
            assert!(OperationName::parse(good).is_ok(), "{good}");
        }
        let long = "x".repeat(300);
        for (bad, error) in [
            ("", NameError::Empty),
            ("../x", NameError::Beginning('.')),
            ("a/b", NameError::Character('/')),
            ("-rf", NameError::Beginning('-')),
            ("a\u{7}", NameError::Character('\u{7}')),
            ("a\nb", NameError::Character('\n')),
            ("a>b", NameError::Character('>')),
            ("a:b", NameError::Character(':')),
            ("a ", NameError::Ending),
            (long.as_str(), NameError::TooLong(300)),
        ] {
            assert_eq!(OperationName::parse(bad), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn f33_names_collide_across_case_and_unicode_form() {
        let key = OperationName::collision_key;
        assert_eq!(key("Probe"), key("probe"));
        assert_eq!(key("\u{e9}"), key("e\u{301}"));
        assert_ne!(key("probe1"), key("probe2"));
    }

    #[test]
    fn file_names_are_safe_and_unique() {
        let file = |name| OperationName::parse(name).unwrap().file_name();
        assert_eq!(file("probe.1"), "probe.1");
        assert_eq!(file("A b"), "%41%20b");
        assert_ne!(file("a b"), file("a-b"));
        let (left, right) = ("影".repeat(127) + "a", "影".repeat(127) + "b");
        assert!(file(&left).len() <= LONGEST_FILE_NAME && file(&left) != file(&right));
    }
}
