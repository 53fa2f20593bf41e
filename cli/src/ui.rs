//! Output: data on standard output, messages on standard error, faults with file, line and caret.

use pop_document::{Fault, PlacedFault, SECRET_LITERAL, Site, Source};
use pop_launchers::Mask;
use pop_reporters::run::{TerminalSize, visible_text};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Prints a message line on standard error.
pub(crate) fn say(line: &str) {
    // nothing can be reported without standard error
    writeln!(anstream::stderr(), "{line}").ok();
}

/// Prints text on standard output.
pub(crate) fn print(text: &str) {
    print_bytes(text.as_bytes());
}

/// Prints bytes on standard output; a terminal gets no control characters. If that
/// fails, the process exits like [`exit_unprinted`].
pub(crate) fn print_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let shown = out.is_terminal().then(|| visible_text(&String::from_utf8_lossy(bytes)));
    let bytes = shown.as_ref().map_or(bytes, |text| text.as_bytes());
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
        exit_unprinted(&error);
    }
}

/// Exits with 0 if the reader of standard output closed the pipe. Reports any other error, and exits with 1.
pub(crate) fn exit_unprinted(error: &std::io::Error) -> ! {
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    say(&format!("error: cannot write to standard output: {error}"));
    std::process::exit(1);
}

/// Whether the terminal can show progress bars.
pub(crate) fn can_draw() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    std::io::stderr().is_terminal()
        && !is_dumb
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Stops the terminal from echoing `^C` until dropped: the echo would shift the bars and leave a stale line.
pub(crate) struct QuietKeys(Option<Termios>);

impl QuietKeys {
    /// Turns the echo off, if standard input is a terminal in the foreground.
    pub(crate) fn hold() -> Self {
        let Ok(before) = tcgetattr(std::io::stdin()) else { return Self(None) };
        if !is_in_foreground() {
            return Self(None);
        }
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHOCTL);
        let is_set = tcsetattr(std::io::stdin(), OptionalActions::Now, &quiet).is_ok();
        Self(is_set.then_some(before))
    }
}

impl Drop for QuietKeys {
    fn drop(&mut self) {
        if let Some(before) = self.0.as_ref().filter(|_| is_in_foreground()) {
            // the terminal may be closed
            tcsetattr(std::io::stdin(), OptionalActions::Now, before).ok();
        }
    }
}

/// Whether this process is in the terminal's foreground group; the kernel stops a background process that changes it.
fn is_in_foreground() -> bool {
    tcgetpgrp(std::io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Size of the terminal on standard error. A terminal that does not know its size has 80 columns and 24 rows.
pub(crate) fn terminal_size() -> TerminalSize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    // xterm and GNU screen cut lines; tmux within xterm does not
    let is_set = |name| std::env::var_os(name).is_some();
    let or = |value: Option<u16>, default| value.filter(|value| *value > 0).map_or(default, usize::from);
    TerminalSize {
        columns: or(size.map(|size| size.ws_col), 80).max(20),
        rows: or(size.map(|size| size.ws_row), 24).max(2),
        has_reflow: is_set("TMUX") || !(is_set("XTERM_VERSION") || is_set("STY")),
    }
}

/// Width of the terminal on standard output in columns. `None` if standard output is no terminal.
pub(crate) fn stdout_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col).max(20))
}

/// Cuts a text at the front so that it has at most `columns` columns.
pub(crate) fn end_of(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(1);
    let end = text.chars().rev().take_while(|letter| {
        let width = letter.width().unwrap_or(0);
        let fits = width <= room;
        room = room.saturating_sub(width);
        fits
    });
    let end: Vec<char> = end.collect();
    std::iter::once('…').chain(end.into_iter().rev()).collect()
}

/// Formats rows as aligned columns.
pub(crate) fn table<Row: AsRef<[Cell]>, Cell: AsRef<str>>(rows: impl IntoIterator<Item = Row>) -> String {
    let mut text = String::new();
    add_table(&mut text, rows);
    text
}

/// Adds rows as aligned columns to a text.
pub(crate) fn add_table<Row: AsRef<[Cell]>, Cell: AsRef<str>>(
    text: &mut String,
    rows: impl IntoIterator<Item = Row>,
) {
    // all cells are in one string, because a large table would otherwise need many small allocations
    let (mut cells, mut cell_lengths, mut row_lengths) = (String::new(), Vec::new(), Vec::new());
    let mut widths = Vec::new();
    for row in rows {
        let row = row.as_ref();
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = columns(cell.as_ref()).max(*width);
            cells.push_str(cell.as_ref());
            cell_lengths.push(cell.as_ref().len());
        }
        row_lengths.push(row.len());
    }
    text.reserve(2 * cells.len());
    let (mut cells, mut cell_lengths) = (cells.as_str(), cell_lengths.into_iter());
    for row_length in row_lengths {
        let line = text.len();
        for (length, width) in cell_lengths.by_ref().take(row_length).zip(&widths) {
            let (cell, rest) = cells.split_at(length);
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - columns(cell) + 2));
            cells = rest;
        }
        text.truncate(line + text[line..].trim_end().len());
        text.push('\n');
    }
}

/// The columns that a text takes.
fn columns(text: &str) -> usize {
    // most texts are ASCII, and their width is their length
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) { text.len() } else { text.width() }
}

/// Maximum number of faults printed for one file.
const MAX_PRINTED: usize = 100;

/// The faults of an agenda by document: its own, and those of the agendas that it uses.
pub(crate) fn by_document<'t>(
    agenda: &'t Source,
    files: &'t BTreeMap<String, Source>,
    faults: &[Fault],
) -> Vec<(&'t Source, Vec<Fault>)> {
    let of = |document: Option<&str>| -> Vec<Fault> {
        faults.iter().filter(|fault| fault.document.as_deref() == document).cloned().collect()
    };
    let of_files = files.iter().map(|(name, source)| (source, of(Some(name))));
    std::iter::once((agenda, of(None))).chain(of_files).filter(|(_, faults)| !faults.is_empty()).collect()
}

/// Prints the faults of a file, each with line, column and a caret.
pub(crate) fn print_faults(source: &Source, faults: &[Fault]) {
    let (masked, faults) = (source.masked(faults), without_secrets(faults));
    for placed in PlacedFault::all(source, &faults).into_iter().take(MAX_PRINTED) {
        say(&format!("{}\n", placed.render(&masked)));
    }
    if faults.len() > MAX_PRINTED {
        say(&format!(
            "... and {} more faults; `pop check --output json` lists all of them",
            faults.len() - MAX_PRINTED
        ));
    }
}

/// Builds a mask of the secrets that the faults found.
pub(crate) fn mask_of(faults: &[Fault]) -> Mask {
    let secrets = faults.iter().filter(|fault| fault.code == SECRET_LITERAL);
    Mask::new(secrets.filter_map(|fault| match &fault.site {
        Site::Within(_, secret) => Some(secret.clone()),
        _ => None,
    }))
}

/// Masks the secrets that any of the faults found in the messages and lines of all faults.
fn without_secrets(faults: &[Fault]) -> Cow<'_, [Fault]> {
    let mask = mask_of(faults);
    if mask.is_empty() {
        return Cow::Borrowed(faults);
    }
    let words = |words: &Option<String>| words.as_ref().map(|words| mask.text(words).into_owned());
    let hidden = faults.iter().map(|fault| Fault {
        message: mask.text(&fault.message).into_owned(),
        label: words(&fault.label),
        hint: words(&fault.hint),
        ..fault.clone()
    });
    Cow::Owned(hidden.collect())
}

/// Formats faults as JSON: `{file, line, column, pointer, code, message, hint}`.
pub(crate) fn faults_json(source: &Source, faults: &[Fault]) -> Vec<Value> {
    PlacedFault::all(source, &without_secrets(faults))
        .iter()
        .map(|placed| {
            let fault = placed.fault;
            json!({
                "file": source.name(),
                "line": placed.place.as_ref().map(|place| place.line),
                "column": placed.place.as_ref().map(|place| place.column),
                "pointer": fault.pointer(),
                "code": fault.code,
                "severity": fault.severity.word(),
                "message": fault.message,
                "hint": fault.hint.as_ref().or(fault.label.as_ref()),
            })
        })
        .collect()
}
