//! A block of lines at the bottom of a terminal that is drawn again and again, below lines that stay.
//!
//! *Guarantees.* The cursor stays at the end of the block. When the width of the terminal changes, the next frame erases
//! exactly the rows that the block occupies then, so nothing is left behind and no other line is lost. *Caveats.* That
//! needs to know whether the terminal reflows long lines, and a block that fits the height after a reflow.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The block as it was drawn last.
#[derive(Debug, Default)]
pub(crate) struct TerminalBlock {
    lines: Vec<String>,
    /// Columns of each line.
    widths: Vec<usize>,
    /// Columns of the terminal when the block was drawn.
    columns: usize,
    /// Whether the terminal breaks lines anew when its width changes. Otherwise it cuts them.
    has_reflow: bool,
}

impl TerminalBlock {
    /// Creates an empty block. `has_reflow` tells whether the terminal breaks lines anew when its width changes.
    pub(crate) fn new(has_reflow: bool) -> Self {
        Self { has_reflow, ..Self::default() }
    }

    /// Text that erases the block, prints `above` and draws `lines`, each at most `columns - 1` wide. Empty if nothing
    /// changes.
    pub(crate) fn frame(&mut self, above: &str, lines: Vec<String>, columns: usize) -> String {
        if above.is_empty() && lines == self.lines && columns == self.columns {
            return String::new();
        }
        let mut text = self.erase(columns);
        for line in above.lines() {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(&lines.join("\n"));
        self.widths = lines.iter().map(|line| width(line)).collect();
        (self.lines, self.columns) = (lines, columns);
        text
    }

    /// Forgets the block without erasing it: something else has written to the terminal.
    pub(crate) fn forget(&mut self) {
        self.lines.clear();
        self.widths.clear();
    }

    /// Text that erases the block.
    fn erase(&self, columns: usize) -> String {
        let rows: usize = self.widths.iter().map(|width| self.rows(*width, columns)).sum();
        match rows {
            0 => String::new(),
            1 => "\r\u{1b}[J".to_owned(),
            _ => format!("\r\u{1b}[{}A\u{1b}[J", rows - 1),
        }
    }

    /// Rows that a line of the block occupies now.
    fn rows(&self, width: usize, columns: usize) -> usize {
        if self.has_reflow { width.div_ceil(columns.max(1)).max(1) } else { 1 }
    }
}

/// Columns of a text with colours.
pub(crate) fn width(text: &str) -> usize {
    let mut plain = String::with_capacity(text.len());
    let mut is_sequence = false;
    for letter in text.chars() {
        match letter {
            '\u{1b}' => is_sequence = true,
            'm' if is_sequence => is_sequence = false,
            _ if !is_sequence => plain.push(letter),
            _ => {}
        }
    }
    plain.width()
}

/// Shortens a name to `columns` columns. The end of a name distinguishes it from others (`video#12`), so it stays, and so
/// does a part of the beginning.
pub(crate) fn shorten(name: &str, columns: usize) -> String {
    if name.width() <= columns {
        return name.to_owned();
    }
    let room = columns.saturating_sub(1);
    let head = taken(name.chars(), room / 3);
    let mut end: Vec<char> =
        taken(name.chars().rev(), room - head.iter().map(|c| c.width().unwrap_or(0)).sum::<usize>());
    end.reverse();
    head.into_iter().chain(['…']).chain(end).collect()
}

/// The first characters that fit into `room` columns.
fn taken(letters: impl Iterator<Item = char>, room: usize) -> Vec<char> {
    let mut used = 0;
    let fits = |letter: &char| {
        used += letter.width().unwrap_or(0);
        used <= room
    };
    letters.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A terminal of unlimited height that reflows: it keeps lines as they were written, and breaks them when it is asked
    /// for rows.
    struct Terminal {
        lines: Vec<Vec<char>>,
        /// Line and position of the cursor.
        cursor: (usize, usize),
        columns: usize,
        has_reflow: bool,
    }

    impl Terminal {
        fn rows_of(&self, line: usize) -> usize {
            if self.has_reflow { self.lines[line].len().div_ceil(self.columns).max(1) } else { 1 }
        }

        fn resize(&mut self, columns: usize) {
            self.columns = columns;
        }

        fn write(&mut self, text: &str) {
            let mut letters = text.chars().peekable();
            while let Some(letter) = letters.next() {
                let (line, at) = self.cursor;
                match letter {
                    '\n' => {
                        self.cursor = (line + 1, 0);
                        self.lines.resize(self.lines.len().max(line + 2), Vec::new());
                    }
                    '\r' => {
                        // a full row holds the cursor until the next letter
                        let row = at.saturating_sub(1) / self.columns;
                        self.cursor.1 = if self.has_reflow { row * self.columns } else { 0 };
                    }
                    '\u{1b}' => {
                        assert_eq!(letters.next(), Some('['));
                        let mut number = String::new();
                        while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                            number.push(digit);
                        }
                        match letters.next() {
                            Some('A') => self.up(number.parse().unwrap()),
                            Some('J') => {
                                let (line, at) = self.cursor;
                                self.lines.truncate(line + 1);
                                self.lines[line].truncate(at);
                            }
                            other => unreachable!("{other:?}"),
                        }
                    }
                    letter => {
                        self.lines[line].truncate(at);
                        self.lines[line].push(letter);
                        self.cursor.1 += 1;
                    }
                }
            }
        }

        fn up(&mut self, rows: usize) {
            for _ in 0..rows {
                let (line, at) = self.cursor;
                if at >= self.columns && self.has_reflow {
                    self.cursor.1 = at - self.columns;
                } else {
                    let above = line.checked_sub(1).unwrap();
                    self.cursor = (above, (self.rows_of(above) - 1) * self.columns);
                }
            }
        }
    }

    proptest! {
        /// Random lines, blocks and widths: every line is shown once, in order, and nothing else is left.
        #[test]
        fn fr_g1_resizing_loses_no_line_and_leaves_nothing_behind(
            steps in prop::collection::vec((prop::collection::vec(0_usize..200, 0..3), prop::collection::vec(1_usize..150, 0..12), 20_usize..150), 1..30),
            has_reflow: bool,
        ) {
            let mut terminal = Terminal { lines: vec![Vec::new()], cursor: (0, 0), columns: 80, has_reflow };
            let mut block = TerminalBlock::new(has_reflow);
            let mut wanted = Vec::new();
            for (above, lines, columns) in steps {
                terminal.resize(columns);
                let mut text = String::new();
                for length in above {
                    let line = format!("{}{}", wanted.len(), "x".repeat(length));
                    text.push_str(&line);
                    text.push('\n');
                    wanted.push(line);
                }
                let lines = lines.iter().map(|length| "─".repeat(*length.min(&(columns - 1)))).collect();
                terminal.write(&block.frame(&text, lines, columns));
            }
            terminal.write(&block.frame("", Vec::new(), terminal.columns));
            prop_assert_eq!(terminal.lines.pop(), Some(Vec::new()));
            let shown: Vec<String> = terminal.lines.iter().map(|line| line.iter().collect()).collect();
            prop_assert_eq!(shown, wanted);
        }
    }

    #[test]
    fn fr_g2_the_end_of_a_name_is_never_cut_off() {
        let long = "transcode-every-video-of-the-archive-into-three-renditions#12";
        for columns in 6..60 {
            let short = shorten(long, columns);
            assert!(short.ends_with("#12") && short.width() <= columns, "{short}");
        }
        assert_eq!(shorten(long, 20), "transc…renditions#12");
        assert_eq!(shorten("short", 5), "short");
        assert_eq!(shorten("日本語のとても長い名前#7", 12), "日…い名前#7");
    }

    #[test]
    fn colours_have_no_width() {
        assert_eq!(width("a \u{1b}[36m━━\u{1b}[0m 日"), 7);
    }
}
