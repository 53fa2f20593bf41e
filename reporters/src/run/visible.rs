//! Text of programs and users on its way to a terminal: nothing in it acts on the terminal or looks like a line of pop.

/// The text as one line: line ends become `⏎`, other control characters and marks of text direction `�`.
pub fn visible(line: &str) -> String {
    line.trim_end_matches(['\n', '\r']).chars().map(|c| if c == '\n' { '⏎' } else { harmless(c) }).collect()
}

/// The text with its lines: control characters and marks of text direction become `�`.
pub fn visible_text(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { c } else { harmless(c) }).collect()
}

/// A character that does not act on a terminal. Marks of text direction would reorder what stands beside them.
fn harmless(c: char) -> char {
    let directs =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    if (c.is_control() && c != '\t') || directs { '\u{fffd}' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fr_h7_a_message_stays_on_its_line_and_does_not_act_on_the_terminal() {
        assert_eq!(visible("bad\nrun x succeeded after 1 s\n"), "bad⏎run x succeeded after 1 s");
        assert_eq!(visible("\u{1b}[2J a\u{9b}31m\t\u{202e}b"), "\u{fffd}[2J a\u{fffd}31m\t\u{fffd}b");
        assert_eq!(visible_text("a\r\nb\u{7}\n"), "a\u{fffd}\nb\u{fffd}\n");
        assert_eq!(visible("grün 日本 👍"), "grün 日本 👍");
    }
}
