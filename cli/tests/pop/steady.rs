//! Replaces ids, times and durations in output by fixed placeholders for snapshots.

use std::path::Path;

/// What differs from run to run: `#` is a digit, `%` a hexadecimal one, `+` at least one digit.
const UNSTEADY: [(&str, &str); 8] = [
    ("%%%%%%%%-%%%%-%%%%-%%%%-%%%%%%%%%%%%", "$UUID"),
    ("########-######-%%%%", "$RUN"),
    ("####-##-## ##:##:##", "$TIME"),
    ("##-## ##:##", "$START"),
    ("##:##:##", "$CLOCK"),
    ("#############", "$MS"),
    ("process +", "process $PID"),
    ("+.# s", "$TOOK"),
];

/// Replaces the folder, and everything else that differs between runs, by placeholders.
pub(crate) fn steady(text: &str, folder: &Path) -> String {
    let text = without_usage(&text.replace(&folder.display().to_string(), "$BENCH"));
    let mut steady = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let found = UNSTEADY.iter().find_map(|(pattern, word)| Some((length(pattern, rest)?, *word)));
        match found {
            Some((length, word)) => {
                steady.push_str(word);
                rest = &rest[length..];
            }
            None => {
                steady.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    steady
}

/// Replaces what attempts used: lines of people that begin with `used`, and the JSON field.
fn without_usage(text: &str) -> String {
    let mut steady = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.trim_start().strip_prefix("used ") {
            Some(_) => {
                steady.push_str(&line[..line.len() - line.trim_start().len()]);
                steady.push_str("used $USAGE\n");
            }
            None => steady.push_str(line),
        }
    }
    for field in ["\"usage\":", "\"usage\": "] {
        let mut from = 0;
        while let Some(at) = steady[from..].find(&format!("{field}{{")) {
            let begin = from + at + field.len();
            let end = begin + steady[begin..].find('}').unwrap() + 1;
            steady.replace_range(begin..end, "$USAGE");
            from = begin;
        }
    }
    steady
}

/// How much of a text's beginning a pattern means.
fn length(pattern: &str, text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    for wanted in pattern.bytes() {
        let byte = *bytes.get(at)?;
        let fits = match wanted {
            b'#' | b'+' => byte.is_ascii_digit(),
            b'%' => byte.is_ascii_hexdigit(),
            _ => byte == wanted,
        };
        if !fits {
            return None;
        }
        at += 1;
        while wanted == b'+' && bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
    }
    Some(at)
}
