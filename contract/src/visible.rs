//! Makes text of programs and users safe for a terminal: no control sequences, no lines that look like pop's own.

/// Returns the text as one line: line ends become `⏎`, other control characters and marks of text direction `�`.
pub fn visible(line: &str) -> String {
    if line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return line.to_owned();
    }
    line.trim_end_matches(['\n', '\r']).chars().map(|c| if c == '\n' { '⏎' } else { harmless(c) }).collect()
}

/// Returns the text with its lines: control characters and marks of text direction become `�`.
pub fn visible_text(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { c } else { harmless(c) }).collect()
}

/// Replaces a character that acts on a terminal. Marks of text direction would reorder the text beside them.
fn harmless(c: char) -> char {
    let directs =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    if (c.is_control() && c != '\t') || directs { '\u{fffd}' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fr_h7_message_stays_on_its_line_without_control_characters() {
        assert_eq!(visible("bad\nrun x succeeded after 1 s\n"), "bad⏎run x succeeded after 1 s");
        assert_eq!(visible("\u{1b}[2J a\u{9b}31m\t\u{202e}b"), "\u{fffd}[2J a\u{fffd}31m\t\u{fffd}b");
        assert_eq!(visible_text("a\r\nb\u{7}\n"), "a\u{fffd}\nb\u{fffd}\n");
        assert_eq!(visible("grün 日本 👍"), "grün 日本 👍");
    }
}
