//! Quantities in Kubernetes notation: CPU in thousandths of a core, memory in bytes.

use pop_document::{Fault, Fields};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// An amount of CPU, in thousandths of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(u64);

impl Cpu {
    /// CPU from thousandths of a core.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The amount in thousandths of a core.
    pub fn millis(self) -> u64 {
        self.0
    }
}

/// An amount of memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memory(u64);

impl Memory {
    /// Memory from bytes.
    pub fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The amount in bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

/// Error: the text is not a quantity of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be {must}, not `{text}`")]
pub struct QuantityError {
    text: String,
    must: &'static str,
    hint: Option<String>,
}

impl QuantityError {
    /// Suggested fix, if any.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

const CPU: &str = "an amount of CPU such as `250m` or `2`";
const MEMORY: &str = "an amount of memory such as `256Mi` or `2Gi`";

/// Suffixes of memory amounts and their factors.
const UNITS: [(&str, u64); 9] = [
    ("", 1),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
];

/// The most digits of a number: enough for any machine, and safe from overflow.
const MOST_DIGITS: usize = 18;

/// Parses a decimal number: its digits without the point, and the power of ten that divides them.
fn number(text: &str) -> Option<(u128, u128)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_good = is_number(whole) && is_number(part) && !whole.is_empty();
    if !is_good || text.ends_with('.') || whole.len() + part.len() > MOST_DIGITS {
        return None;
    }
    Some((format!("{whole}{part}").parse().ok()?, 10_u128.pow(part.len() as u32)))
}

/// Splits a text into its number and suffix.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

impl FromStr for Cpu {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let wrong = |hint: Option<String>| QuantityError { text: text.to_owned(), must: CPU, hint };
        let (digits, suffix) = split(text);
        let scale = match suffix {
            "" => 1_000,
            "m" => 1,
            _ => return Err(wrong(None)),
        };
        let (number, parts) = number(digits).ok_or_else(|| wrong(None))?;
        if !(number * scale).is_multiple_of(parts) {
            return Err(wrong(Some("the smallest amount of CPU is `1m`, a thousandth of a core".to_owned())));
        }
        Ok(Self(u64::try_from(number * scale / parts).map_err(|_| wrong(None))?))
    }
}

impl FromStr for Memory {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let wrong = |hint: Option<String>| QuantityError { text: text.to_owned(), must: MEMORY, hint };
        let (digits, suffix) = split(text);
        let Some((number, parts)) = number(digits) else { return Err(wrong(None)) };
        if suffix == "m" {
            let hint = match number.div_ceil(1_000 * parts) {
                0 | 1 => format!("`{text}` is one byte in Kubernetes; did you mean `{digits}Mi`?"),
                bytes => format!("`{text}` is {bytes} bytes in Kubernetes; did you mean `{digits}Mi`?"),
            };
            return Err(wrong(Some(hint)));
        }
        let Some((_, unit)) = UNITS.iter().find(|(unit, _)| *unit == suffix) else {
            return Err(wrong(Some(match similar_unit(suffix) {
                Some(unit) => format!("did you mean `{digits}{unit}`?"),
                None => {
                    "the units are Ki, Mi, Gi, Ti (1024 times the previous one) and k, M, G, T (1000 times)"
                        .to_owned()
                }
            })));
        };
        if suffix.is_empty() && parts > 1 {
            return Err(wrong(Some(format!("a number alone is bytes; did you mean `{digits}Gi`?"))));
        }
        let bytes = (number * u128::from(*unit)).div_ceil(parts);
        // Kubernetes uses signed numbers
        match u64::try_from(bytes) {
            Ok(bytes) if i64::try_from(bytes).is_ok() => Ok(Self(bytes)),
            _ => Err(wrong(None)),
        }
    }
}

/// The unit of another spelling, such as `mb` or `GiB`.
fn similar_unit(suffix: &str) -> Option<&'static str> {
    let lower = suffix.trim().to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let found = UNITS.iter().find(|(unit, _)| !unit.is_empty() && unit.eq_ignore_ascii_case(lower));
    found.map(|(unit, _)| *unit)
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            millis if millis.is_multiple_of(1_000) => write!(f, "{}", millis / 1_000),
            millis => write!(f, "{millis}m"),
        }
    }
}

impl fmt::Display for Memory {
    /// Writes the shortest exact spelling, preferring powers of 1024.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().rev().filter(|(_, unit)| self.0.is_multiple_of(*unit));
        let spelled = exact.map(|(suffix, unit)| format!("{}{suffix}", self.0 / unit));
        f.write_str(&spelled.min_by_key(String::len).unwrap_or_default())
    }
}

/// Reads the quantity in a field of a map; `0` means none.
pub fn quantity<Q>(fields: &mut Fields<'_, '_>, name: &str) -> Option<Q>
where
    Q: FromStr<Err = QuantityError> + ToString,
{
    let text = match fields.any(name)? {
        Value::Number(number) => number.to_string(),
        _ => fields.text(name)?.to_owned(),
    };
    match text.parse::<Q>() {
        Ok(quantity) => Some(quantity).filter(|quantity| quantity.to_string() != "0"),
        Err(error) => {
            let mut fault = Fault::value("wrong-value", fields.at(name), format!("`{name}` {error}"));
            if let Some(hint) = error.hint() {
                fault = fault.hint(hint);
            }
            fields.faults().push(fault);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_parsed_and_printed_like_in_kubernetes() {
        for (text, millis, written) in [
            ("250m", 250, "250m"),
            ("1", 1_000, "1"),
            ("1.0", 1_000, "1"),
            ("0.5", 500, "500m"),
            ("1500m", 1_500, "1500m"),
            ("2000m", 2_000, "2"),
            ("0", 0, "0"),
        ] {
            let cpu: Cpu = text.parse().unwrap();
            assert_eq!((cpu.millis(), cpu.to_string().as_str()), (millis, written), "{text}");
        }
        for text in ["", "m", "1.", ".5", "-1", "1 ", "1c", "0.0005", "1.5m", "1e3", "9999999999999999999"] {
            assert!(text.parse::<Cpu>().is_err(), "{text}");
        }
    }

    #[test]
    fn memory_is_parsed_and_printed_like_in_kubernetes() {
        for (text, bytes, written) in [
            ("256Mi", 256 << 20, "256Mi"),
            ("1.5Gi", 1536 << 20, "1536Mi"),
            ("1G", 1_000_000_000, "1G"),
            ("128M", 128_000_000, "128M"),
            ("1000M", 1_000_000_000, "1G"),
            ("2Ti", 2 << 40, "2Ti"),
            ("64Ki", 65_536, "64Ki"),
            ("1025", 1_025, "1025"),
            ("0", 0, "0"),
            ("0.3Ki", 308, "308"),
        ] {
            let memory: Memory = text.parse().unwrap();
            assert_eq!((memory.bytes(), memory.to_string().as_str()), (bytes, written), "{text}");
        }
        for text in ["", "Mi", "1..Mi", "-1Mi", "1e9", "999999999999999999Ti", "0.5", "1 Gi"] {
            assert!(text.parse::<Memory>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_unit_has_a_hint_with_the_right_one() {
        let hint = |text: &str| text.parse::<Memory>().unwrap_err().hint().map(str::to_owned);
        for (text, wanted) in [
            ("1000m", "`1000m` is one byte in Kubernetes; did you mean `1000Mi`?"),
            ("64000m", "`64000m` is 64 bytes in Kubernetes; did you mean `64000Mi`?"),
            ("512mb", "did you mean `512M`?"),
            ("1gi", "did you mean `1Gi`?"),
            ("2GiB", "did you mean `2Gi`?"),
            ("2 GB", "did you mean `2G`?"),
            ("0.5", "a number alone is bytes; did you mean `0.5Gi`?"),
        ] {
            assert_eq!(hint(text).as_deref(), Some(wanted));
        }
    }
}
