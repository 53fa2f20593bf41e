//! Text of handlers, made harmless for a terminal.

/// Replaces control characters, which could move the cursor or hide text, by a visible sign.
pub fn visible(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && !matches!(c, '\t' | '\n') { '\u{fffd}' } else { c }).collect()
}
