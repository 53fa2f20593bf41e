//! What is written where: data on standard output, words on standard error, faults with their place and a caret.

use pop_document::{Fault, PlacedFault, SECRET_LITERAL, Site, Source};
use pop_launchers::Mask;
use pop_reporters::run::visible_text;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal as _, Write as _};

/// Writes a line for people.
pub(crate) fn say(line: &str) {
    // without standard error there is nobody to tell
    writeln!(anstream::stderr(), "{line}").ok();
}

/// Writes data that is text.
pub(crate) fn print(text: &str) {
    print_bytes(text.as_bytes());
}

/// Writes data. On a terminal, control characters are replaced: a result or a command must not act on it. When nobody reads it any more, the command is over; when it cannot be kept, that is an error.
pub(crate) fn print_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let shown = out.is_terminal().then(|| visible_text(&String::from_utf8_lossy(bytes)));
    let bytes = shown.as_ref().map_or(bytes, |text| text.as_bytes());
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        say(&format!("error: standard output cannot be written: {error}"));
        std::process::exit(1);
    }
}

/// Whether bars can be drawn.
pub(crate) fn can_draw() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    std::io::stderr().is_terminal()
        && !is_dumb
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Keeps a terminal from showing `^C` for as long as it is held: it would push the bars a line down and leave one behind.
pub(crate) struct QuietKeys(Option<Termios>);

impl QuietKeys {
    /// Holds the terminal that keys are typed on, if there is one.
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
            // a terminal that is gone shows nothing
            tcsetattr(std::io::stdin(), OptionalActions::Now, before).ok();
        }
    }
}

/// Whether the terminal is ours to change; whoever changes it from the background is stopped.
fn is_in_foreground() -> bool {
    tcgetpgrp(std::io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// The columns of the terminal.
pub(crate) fn columns() -> usize {
    rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| usize::from(size.ws_col)).max(20)
}

/// The most faults of a text that are told to people.
const MOST_TOLD: usize = 100;

/// Tells faults of a text: each with file, line, column and a caret.
pub(crate) fn tell_faults(source: &Source, faults: &[Fault]) {
    let (veiled, faults) = (source.veiled(faults), without_secrets(faults));
    for placed in PlacedFault::all(source, &faults).into_iter().take(MOST_TOLD) {
        say(&format!("{}\n", placed.told(&veiled)));
    }
    if faults.len() > MOST_TOLD {
        say(&format!("... and {} more; `pop check --output json` lists them all", faults.len() - MOST_TOLD));
    }
}

/// A mask of the secrets that faults are about.
pub(crate) fn mask_of(faults: &[Fault]) -> Mask {
    let secrets = faults.iter().filter(|fault| fault.code == SECRET_LITERAL);
    Mask::new(secrets.filter_map(|fault| match &fault.site {
        Site::Within(_, secret) => Some(secret.clone()),
        _ => None,
    }))
}

/// The same faults, whose words do not repeat a secret that one of them is about.
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

/// Faults as data: `{file, line, column, pointer, code, message, hint}`.
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
