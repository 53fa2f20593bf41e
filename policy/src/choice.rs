//! A value that must be one of a few words.

use pop_document::{Fault, Pointer, kind_of, nearest};
use serde_json::Value;

/// Reads one of the words, in any letter case.
pub(crate) fn choose<T: Copy>(
    words: &[(&str, T)],
    name: &str,
    value: &Value,
    at: &Pointer,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let all = all.join(", ");
    let Some(text) = value.as_str() else {
        let message = format!("`{name}` must be one of {all}, not {}", kind_of(value));
        faults.push(Fault::value("wrong-type", at.clone(), message));
        return None;
    };
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, choice)| *choice);
    if found.is_none() {
        let message = format!("`{name}` must be one of {all}, not `{text}`");
        let near = nearest(text, words.iter().map(|(word, _)| *word));
        faults.push(Fault::value("wrong-value", at.clone(), message).did_you_mean(near));
    }
    found
}
