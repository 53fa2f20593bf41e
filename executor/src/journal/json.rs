//! JSON that may contain a report of the greatest depth.

use serde::de::DeserializeOwned;

/// Deepest nesting of lists and maps in an event: the limit of a report, plus the levels of the event itself.
const MOST_LEVELS: usize = 160;

/// Parses JSON of pop that may contain a report of the greatest depth.
pub(crate) fn read_json<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    // nearly all JSON is within the parser's own depth limit
    serde_json::from_slice(json).or_else(|error| {
        if levels(json) > MOST_LEVELS {
            return Err(error);
        }
        let mut parser = serde_json::Deserializer::from_slice(json);
        parser.disable_recursion_limit();
        let value = T::deserialize(&mut parser)?;
        parser.end().map(|()| value)
    })
}

/// Depth of the nesting of lists and maps.
fn levels(json: &[u8]) -> usize {
    let (mut level, mut deepest, mut in_text) = (0_usize, 0, false);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => drop(bytes.next()),
            b'[' | b'{' if !in_text => {
                level += 1;
                deepest = deepest.max(level);
            }
            b']' | b'}' if !in_text => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
