//! Faults with their places, in text order, and rendered for terminals with file, line, column and a caret.

use crate::{Fault, Place, Severity, Source};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::ops::Range;

/// The longest part of a line that is shown, in bytes. A whole agenda may be one line.
const SHOWN_BYTES: usize = 400;

/// A fault and the places of its sites.
#[derive(Debug)]
pub struct PlacedFault<'f> {
    /// The fault.
    pub fault: &'f Fault,
    /// Place of the fault; none if the fault concerns the whole text.
    pub place: Option<Place>,
    related: Vec<(Option<Place>, &'f str)>,
}

impl<'f> PlacedFault<'f> {
    /// Finds the places of faults, and sorts the faults by place.
    pub fn all(source: &Source, faults: &'f [Fault]) -> Vec<Self> {
        let sites: Vec<_> = faults
            .iter()
            .flat_map(|fault| std::iter::once(&fault.site).chain(fault.related.iter().map(|(site, _)| site)))
            .collect();
        let mut places = source.places(&sites).into_iter();
        let mut placed: Vec<Self> = faults
            .iter()
            .map(|fault| Self {
                fault,
                place: places.next().flatten(),
                related: fault
                    .related
                    .iter()
                    .map(|(_, words)| (places.next().flatten(), words.as_str()))
                    .collect(),
            })
            .collect();
        placed.sort_by_key(|placed| placed.place.as_ref().map_or(0, |place| place.bytes.start));
        placed
    }

    /// Renders the fault for a terminal, in colour: file, line, column, a caret, a hint.
    pub fn render(&self, source: &Source) -> String {
        let renderer = Renderer::styled().decor_style(DecorStyle::Ascii);
        // the renderer replaces only the control characters of ASCII
        let is_control = |c: char| matches!(c, '\u{80}'..='\u{9f}');
        let rendered = renderer.render(&[report(source, self)]).replace(is_control, "\u{fffd}");
        match self.place.as_ref().filter(|place| !is_short_enough(source, place)) {
            None => rendered,
            // the renderer counts columns from the beginning of the excerpt
            Some(place) => {
                let within =
                    source.text()[excerpt_of(source, place).start..place.bytes.start].chars().count();
                let at = |column: usize| format!("{}:{}:{column}", harmless(source.name()), place.line);
                rendered.replacen(&at(within + 1), &at(place.column), 1)
            }
        }
    }
}

fn report<'a>(source: &'a Source, placed: &PlacedFault<'a>) -> Group<'a> {
    let fault = placed.fault;
    let level = match fault.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(fault.message.as_str()).id(fault.code);
    let mut group = match &placed.place {
        Some(place) if is_short_enough(source, place) => {
            let label = fault.label.as_deref().map(harmless);
            let related = placed.related.iter().filter_map(|(place, words)| Some((place.as_ref()?, *words)));
            // pass only the lines between the first and the last place, because the whole text may be large
            let all = || related.clone().map(|(place, _)| place).chain([place]);
            let first = all().min_by_key(|place| place.bytes.start).unwrap_or(place);
            let last = all().max_by_key(|place| place.bytes.end).unwrap_or(place);
            let start = line_around(source, first).start;
            let lines = &source.text()[start..line_around(source, last).end];
            let span = |place: &Place| place.bytes.start - start..place.bytes.end - start;
            let primary = AnnotationKind::Primary.span(span(place)).label(label);
            let related = related
                .clone()
                .map(|(place, words)| AnnotationKind::Context.span(span(place)).label(harmless(words)));
            let snippet = Snippet::source(lines).line_start(first.line).path(harmless(source.name()));
            title.element(snippet.annotation(primary).annotations(related))
        }
        Some(place) => title.element(excerpt(source, place, fault.label.as_deref().map(harmless))),
        None => title.element(annotate_snippets::Origin::path(harmless(source.name()))),
    };
    if let Some(hint) = &fault.hint {
        group = group.element(Level::HELP.message(harmless(hint)));
    }
    group
}

/// Replaces control characters in texts that the renderer prints unchanged.
fn harmless(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
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

/// The byte range of the excerpt of a very long line.
fn excerpt_of(source: &Source, place: &Place) -> Range<usize> {
    let text = source.text();
    let line = line_around(source, place);
    let start = text.ceil_char_boundary(place.bytes.start.saturating_sub(SHOWN_BYTES / 4).max(line.start));
    start..text.floor_char_boundary((start + SHOWN_BYTES).min(line.end)).max(start)
}

/// The excerpt of a very long line.
fn excerpt<'a>(
    source: &'a Source,
    place: &Place,
    label: Option<String>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let Range { start, end } = excerpt_of(source, place);
    let caret = place.bytes.start - start..place.bytes.end.clamp(place.bytes.start, end) - start;
    Snippet::source(&source.text()[start..end])
        .line_start(place.line)
        .path(harmless(source.name()))
        .annotation(AnnotationKind::Primary.span(caret).label(label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Site;

    /// The rendered fault without colours.
    fn rendered(source: &Source, fault: Fault) -> String {
        let rendered = PlacedFault::all(source, &[fault])[0].render(source);
        let mut parts = rendered.split("\u{1b}[");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |plain, part| plain + part.split_once('m').unwrap().1)
    }

    #[test]
    fn f19_control_characters_never_reach_the_terminal() {
        let text = "a: \u{1b}[2J\u{9b}2J\u{7f}\u{85}b";
        for text in [text.to_owned(), text.repeat(100)] {
            let source = Source::new(format!("{text}.json"), text.as_bytes()).unwrap();
            for site in [Site::Bytes(8..9), Site::Whole] {
                let fault =
                    Fault::new("c", site.clone(), text.as_str()).label(text.as_str()).hint(text.as_str());
                let rendered = rendered(&source, fault.related(site, text.as_str()));
                assert!(!rendered.contains(|c: char| c.is_control() && c != '\n'), "{rendered:?}");
            }
        }
    }

    #[test]
    fn a_long_line_is_shown_only_around_the_fault() {
        let source = Source::new("a.json", b"{\n \"a\": tru\n}").unwrap();
        let short = rendered(&source, Fault::value("c", "/a", "this is wrong").hint("mend it"));
        assert!(short.contains("a.json:2:7") && short.contains("\"a\": tru\n"), "{short}");
        let long = format!("{{\"x\": \"{}\",\n \"ä\": 1, \"b\": \"{}\"}}", "-".repeat(900), "ü".repeat(900));
        let source = Source::new("a.json", long.as_bytes()).unwrap();
        let long = rendered(&source, Fault::new("c", Site::Value("/b".into()), "this is wrong"));
        assert!(long.contains("a.json:2:15") && long.len() < 2_000, "{long}");
    }
}
