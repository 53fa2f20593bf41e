//! What is written where: data on standard output, words on standard error, faults with their place and a caret.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use pop_document::{Fault, Place, Severity, Source};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use serde_json::{Value, json};
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::ops::Range;

/// The widest part of a line that is shown; agendas may be one long line.
const SHOWN_BYTES: usize = 400;

/// Writes a line for people.
pub(crate) fn say(line: &str) {
    // without standard error there is nobody to tell
    writeln!(anstream::stderr(), "{line}").ok();
}

/// Writes data that is text.
pub(crate) fn print(text: &str) {
    print_bytes(text.as_bytes());
}

/// Writes data. When nobody reads it any more, the command is over; when it cannot be kept, that is an error.
pub(crate) fn print_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
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

/// A fault and the places of its sites.
struct Placed<'f> {
    fault: &'f Fault,
    place: Option<Place>,
    related: Vec<(Option<Place>, &'f str)>,
}

fn placed<'f>(source: &Source, faults: &'f [Fault]) -> Vec<Placed<'f>> {
    let sites: Vec<_> = faults
        .iter()
        .flat_map(|fault| std::iter::once(&fault.site).chain(fault.related.iter().map(|(site, _)| site)))
        .collect();
    let mut places = source.places(&sites).into_iter();
    let mut placed: Vec<Placed<'f>> = faults
        .iter()
        .map(|fault| Placed {
            fault,
            place: places.next().flatten(),
            related: fault
                .related
                .iter()
                .map(|(_, words)| (places.next().flatten(), words.as_str()))
                .collect(),
        })
        .collect();
    // in the order of the text, as people read it
    placed.sort_by_key(|placed| placed.place.as_ref().map_or(0, |place| place.bytes.start));
    placed
}

/// Tells faults of a text: each with file, line, column and a caret.
pub(crate) fn tell_faults(source: &Source, faults: &[Fault]) {
    let renderer = Renderer::styled().decor_style(DecorStyle::Ascii);
    for placed in placed(source, faults).into_iter().take(MOST_TOLD) {
        let told = renderer.render(&[report(source, &placed)]);
        match placed.place.as_ref().filter(|place| !is_short_enough(source, place)) {
            None => say(&format!("{told}\n")),
            // columns of an excerpt are counted from its beginning
            Some(place) => {
                let within =
                    source.text()[excerpt_of(source, place).start..place.bytes.start].chars().count();
                let at = |column: usize| format!("{}:{}:{column}", source.name(), place.line);
                say(&format!("{}\n", told.replacen(&at(within + 1), &at(place.column), 1)));
            }
        }
    }
    if faults.len() > MOST_TOLD {
        say(&format!("... and {} more; `pop check --output json` lists them all", faults.len() - MOST_TOLD));
    }
}

fn report<'a>(source: &'a Source, placed: &Placed<'a>) -> Group<'a> {
    let fault = placed.fault;
    let level = match fault.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(fault.message.as_str()).id(fault.code);
    let mut group = match &placed.place {
        Some(place) if is_short_enough(source, place) => {
            let label = fault.label.as_deref();
            let related = placed.related.iter().filter_map(|(place, words)| Some((place.as_ref()?, *words)));
            // only the lines from the first to the last that is meant; the whole text may be large
            let all = || related.clone().map(|(place, _)| place).chain([place]);
            let first = all().min_by_key(|place| place.bytes.start).unwrap_or(place);
            let last = all().max_by_key(|place| place.bytes.end).unwrap_or(place);
            let start = line_around(source, first).start;
            let lines = &source.text()[start..line_around(source, last).end];
            let span = |place: &Place| place.bytes.start - start..place.bytes.end - start;
            let primary = AnnotationKind::Primary.span(span(place)).label(label);
            let related =
                related.clone().map(|(place, words)| AnnotationKind::Context.span(span(place)).label(words));
            let snippet = Snippet::source(lines).line_start(first.line).path(source.name());
            title.element(snippet.annotation(primary).annotations(related))
        }
        Some(place) => title.element(excerpt(source, place, fault.label.as_deref())),
        None => title.element(annotate_snippets::Origin::path(source.name())),
    };
    if let Some(hint) = &fault.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    group
}

fn line_around(source: &Source, place: &Place) -> Range<usize> {
    let text = source.text();
    let start = text[..place.bytes.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[place.bytes.start..].find('\n').map_or(text.len(), |at| place.bytes.start + at);
    start..end
}

fn is_short_enough(source: &Source, place: &Place) -> bool {
    line_around(source, place).len() <= SHOWN_BYTES
}

/// The bytes of a part of a very long line.
fn excerpt_of(source: &Source, place: &Place) -> Range<usize> {
    let text = source.text();
    let line = line_around(source, place);
    let start = text.ceil_char_boundary(place.bytes.start.saturating_sub(SHOWN_BYTES / 4).max(line.start));
    start..text.floor_char_boundary((start + SHOWN_BYTES).min(line.end)).max(start)
}

/// A part of a very long line.
fn excerpt<'a>(
    source: &'a Source,
    place: &Place,
    label: Option<&'a str>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let Range { start, end } = excerpt_of(source, place);
    let caret = place.bytes.start - start..place.bytes.end.clamp(place.bytes.start, end) - start;
    Snippet::source(&source.text()[start..end])
        .line_start(place.line)
        .path(source.name())
        .annotation(AnnotationKind::Primary.span(caret).label(label))
}

/// Faults as data: `{file, line, column, pointer, code, message, hint}`.
pub(crate) fn faults_json(source: &Source, faults: &[Fault]) -> Vec<Value> {
    placed(source, faults)
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
