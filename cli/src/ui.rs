//! What is written where: data on standard output, words on standard error, faults with their place and a caret.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use pop_document::{Fault, Place, Severity, Source};
use serde_json::{Value, json};
use std::io::{IsTerminal as _, Write as _};

/// The widest part of a line that is shown; agendas may be one long line.
const SHOWN_BYTES: usize = 400;

/// Writes a line for people.
pub(crate) fn say(line: &str) {
    // without standard error there is nobody to tell
    writeln!(anstream::stderr(), "{line}").ok();
}

/// Writes data. When nobody reads it any more, the command is over.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Whether bars can be drawn.
pub(crate) fn can_draw() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    std::io::stderr().is_terminal()
        && !is_dumb
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The columns of the terminal.
pub(crate) fn columns() -> usize {
    rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| usize::from(size.ws_col)).max(20)
}

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
    for placed in placed(source, faults) {
        say(&format!("{}\n", renderer.render(&[report(source, &placed)])));
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
            let primary = AnnotationKind::Primary.span(place.bytes.clone()).label(label);
            let related = placed.related.iter().filter_map(|(place, words)| {
                Some(AnnotationKind::Context.span(place.as_ref()?.bytes.clone()).label(*words))
            });
            let snippet =
                Snippet::source(source.text()).path(source.name()).annotation(primary).annotations(related);
            title.element(snippet)
        }
        Some(place) => title.element(excerpt(source, place, fault.label.as_deref())),
        None => title.element(annotate_snippets::Origin::path(source.name())),
    };
    if let Some(hint) = &fault.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    group
}

fn line_around(source: &Source, place: &Place) -> std::ops::Range<usize> {
    let text = source.text();
    let start = text[..place.bytes.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[place.bytes.start..].find('\n').map_or(text.len(), |at| place.bytes.start + at);
    start..end
}

fn is_short_enough(source: &Source, place: &Place) -> bool {
    line_around(source, place).len() <= SHOWN_BYTES
}

/// A part of a very long line.
fn excerpt<'a>(
    source: &'a Source,
    place: &Place,
    label: Option<&'a str>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = source.text();
    let line = line_around(source, place);
    let start = text.ceil_char_boundary(place.bytes.start.saturating_sub(SHOWN_BYTES / 4).max(line.start));
    let end = text.floor_char_boundary((start + SHOWN_BYTES).min(line.end)).max(start);
    let caret = place.bytes.start - start..place.bytes.end.clamp(place.bytes.start, end) - start;
    let path = format!("{}:{}:{}", source.name(), place.line, place.column);
    Snippet::source(&text[start..end])
        .line_start(place.line)
        .path(path)
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
