//! The HTML page: one file without any other, which needs no network and no server.
//!
//! The page is made from `report/page/` and embedded here as `page.html`, with the hashes of its script and its style in
//! its content security policy. The report follows as JSON in a data block. No text of a run can end that block, because
//! `<`, `>` and `&` are escaped in it, and the script only ever shows texts as texts.

mod chunk;
mod detail;
mod head;

use crate::model::Report;
use chunk::Chunk;
use head::Head;
use pop_agenda::OpIx;
use pop_contract::visible;
use serde::Serialize;
use std::borrow::Cow;

/// The page with places for title, connections and data.
const PAGE: &str = include_str!("page.html");

/// What the page shows, or what has changed since.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageData<'r> {
    /// Path of the stream of changes; none for a page that is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<&'r str>,
    head: Head<'r>,
    chunk: Chunk<'r>,
}

/// The report as a page.
pub fn page(report: &Report<'_>) -> Result<String, serde_json::Error> {
    write(report, None)
}

/// The report as a page that follows the run: `live` is the path of the stream of [`changes`] on the server of the page.
pub fn live_page(report: &Report<'_>, live: &str) -> Result<String, serde_json::Error> {
    write(report, Some(live))
}

/// The data of the page without the page, for another page that shows the run. JSON on one line.
pub fn data(report: &Report<'_>) -> Result<String, serde_json::Error> {
    serde_json::to_string(&PageData { live: None, head: Head::of(report), chunk: Chunk::of(report, None) })
}

/// What the page needs to follow the run: the operations `ops` as they are now, and the run as a whole. JSON on one line.
pub fn changes(report: &Report<'_>, ops: &[OpIx]) -> Result<String, serde_json::Error> {
    let chunk = Chunk::of(report, Some(ops));
    serde_json::to_string(&PageData { live: None, head: Head::of(report), chunk })
}

fn write(report: &Report<'_>, live: Option<&str>) -> Result<String, serde_json::Error> {
    let data = PageData { live, head: Head::of(report), chunk: Chunk::of(report, None) };
    let data = embedded(&serde_json::to_string(&data)?);
    let connect = if live.is_some() { "'self'" } else { "'none'" };
    let title = html(&visible(&format!("{} · pop report", report.run.agenda)));
    let mut page = String::with_capacity(PAGE.len() + data.len() + title.len());
    // each place is looked up in the page alone, never in what a run has put into another one
    let mut rest = PAGE;
    for (place, text) in [("{{connect}}", connect), ("{{title}}", &title), ("{{data}}", &data)] {
        let Some((before, after)) = rest.split_once(place) else { continue };
        page.push_str(before);
        page.push_str(text);
        rest = after;
    }
    page.push_str(rest);
    Ok(page)
}

/// JSON that cannot end its script element: these characters stand only within strings.
fn embedded(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            _ => safe.push(c),
        }
    }
    safe
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A text of one line for people, without characters that act, and cut if it is very long.
fn shown(text: &str, most: usize) -> Cow<'_, str> {
    let text = crate::cut::cut(text, most);
    let is_plain = text.chars().all(|c| c.is_ascii() && !c.is_ascii_control());
    if is_plain { text } else { Cow::Owned(visible(&text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_has_each_place_once_and_in_order() {
        let places = ["{{connect}}", "{{title}}", "{{data}}"];
        assert!(places.iter().all(|place| PAGE.matches(place).count() == 1), "{places:?}");
        let at = places.map(|place| PAGE.find(place));
        assert!(at.is_sorted(), "{at:?}");
    }

    #[test]
    fn data_cannot_end_its_element() {
        assert_eq!(
            embedded("\"</script><!--&\u{2028}\""),
            "\"\\u003c/script\\u003e\\u003c!--\\u0026\\u2028\""
        );
    }
}
