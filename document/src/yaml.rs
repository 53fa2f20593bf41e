//! YAML: parsed into a value under a budget, and parsed again with spans to find places.

use crate::json::{is_long_integer, long_integer_fault};
use crate::limits::{MAX_BYTES, MAX_DEPTH};
use crate::place::Spans;
use crate::spelling::{Spelling, may_differ};
use crate::{Fault, Pointer, Site};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, Spanned};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

/// Events and nodes of one text with expanded aliases, at most. Enough for about two million operations.
const MAX_NODES: usize = 32_000_000;
/// Bytes that aliases may copy, at most.
const MAX_COPIED_BYTES: usize = 64 * 1024 * 1024;

fn options(duplicate_keys: DuplicateKeyPolicy) -> serde_saphyr::Options {
    serde_saphyr::options! {
        duplicate_keys: duplicate_keys,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: MAX_NODES,
            max_total_scalar_bytes: MAX_BYTES,
            max_recorded_anchor_bytes: MAX_COPIED_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 1_000_000,
        },
    }
}

/// Parses YAML. Syntax errors, duplicate keys, integers that a value cannot hold and texts over budget are faults.
pub(crate) fn read(text: &str) -> Result<Value, Vec<Fault>> {
    let read = serde_saphyr::from_str_with_options::<Value>(text, options(DuplicateKeyPolicy::Error));
    let value = read.map_err(|error| match innermost(&error) {
        Error::DuplicateMappingKey { .. } => duplicate_faults(text, &error),
        innermost => vec![fault_of(text, &error, innermost)],
    })?;
    let mut faults = Vec::new();
    for_each_odd_scalar(text, &value, &mut |_, at, value| faults.extend(number_fault(text, at, value)));
    if faults.is_empty() { Ok(value) } else { Err(faults) }
}

/// The numbers and booleans of a valid text that print differently from how they are written.
pub(crate) fn spellings(text: &str, value: &Value) -> Vec<Spelling> {
    let mut found = Vec::new();
    for_each_odd_scalar(text, value, &mut |pointer, at, value| {
        found.extend(Spelling::of(pointer, &text[at], value));
    });
    found
}

/// The fault of an integer that a value cannot hold exactly.
fn number_fault(text: &str, at: Range<usize>, value: &Value) -> Option<Fault> {
    let written = &text[at.clone()];
    (value.is_f64() && is_long_integer(written)).then(|| long_integer_fault(written, at))
}

type ScalarCallback<'s> = &'s mut dyn FnMut(&Pointer, Range<usize>, &Value);

/// Calls back for each number and boolean with its byte range, if any word of the text may print differently.
fn for_each_odd_scalar(text: &str, value: &Value, on_scalar: ScalarCallback<'_>) {
    let words =
        text.split(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}' | ':'));
    if !words.into_iter().any(may_differ) {
        return;
    }
    if let Ok(root) =
        serde_saphyr::from_str_with_options::<Spanned<Tree>>(text, options(DuplicateKeyPolicy::Error))
    {
        walk_scalars(text, &root, value, &mut Pointer::root(), on_scalar);
    }
}

fn walk_scalars(
    text: &str,
    node: &Spanned<Tree>,
    value: &Value,
    pointer: &mut Pointer,
    on_scalar: ScalarCallback<'_>,
) {
    let depth = pointer.len();
    match (&node.value, value) {
        (Tree::Scalar, Value::Number(_) | Value::Bool(_)) => {
            if let Some(at) = bytes_of(text, &node.defined) {
                on_scalar(pointer, at, value);
            }
        }
        (Tree::List(nodes), Value::Array(items)) => {
            for (index, (node, item)) in nodes.iter().zip(items).enumerate() {
                pointer.push(&index.to_string());
                walk_scalars(text, node, item, pointer, on_scalar);
                pointer.truncate(depth);
            }
        }
        (Tree::Map(nodes), Value::Object(members)) => {
            for (key, node) in nodes {
                let Some(member) = members.get(&key.value) else { continue };
                pointer.push(&key.value);
                walk_scalars(text, node, member, pointer, on_scalar);
                pointer.truncate(depth);
            }
        }
        _ => {}
    }
}

/// The innermost error, without the wrappers for aliases and snippets.
fn innermost(error: &Error) -> &Error {
    let mut innermost = error;
    while let Error::WithSnippet { error, .. } | Error::AliasError { error, .. } = innermost {
        innermost = error;
    }
    innermost
}

fn site_of(text: &str, error: &Error) -> Site {
    error.location().and_then(|at| bytes_of(text, &at)).map_or(Site::Whole, Site::Bytes)
}

fn fault_of(text: &str, error: &Error, innermost: &Error) -> Fault {
    let site = site_of(text, error);
    let too_large = |what: &str| {
        let fault = Fault::new("too-large", site.clone(), format!("the text exceeds its size limit: {what}"));
        fault.hint("nested aliases (`*name`) multiply; write out their values")
    };
    let what = match innermost {
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => return too_deep(site),
        Error::Budget { breach: BudgetBreach::Anchors { .. }, .. } => {
            return too_large("too many anchors");
        }
        Error::Budget { breach: BudgetBreach::Aliases { .. }, .. } => {
            return too_large("too many aliases");
        }
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => return too_large("its aliases expand too much"),
        Error::UnknownAnchor { .. } => "this alias has no anchor before it".to_owned(),
        Error::MultipleDocuments { .. } => "the text has more than one document".to_owned(),
        other => {
            let message = other.without_snippet().to_string();
            let first = message.lines().next().unwrap_or(&message);
            first.split(" at line ").next().unwrap_or(first).trim().to_owned()
        }
    };
    // the scanner reports its own depth limit only in its message
    if what.starts_with("recursion limit") {
        return too_deep(site);
    }
    Fault::new("syntax", site, format!("this is not YAML: {what}"))
}

fn too_deep(site: Site) -> Fault {
    Fault::new("too-deep", site, format!("lists and maps are nested deeper than {MAX_DEPTH}"))
}

/// Parses again with duplicate keys allowed, and reports each of them.
fn duplicate_faults(text: &str, error: &Error) -> Vec<Fault> {
    let mut faults = Vec::new();
    if let Ok(root) =
        serde_saphyr::from_str_with_options::<Spanned<Tree>>(text, options(DuplicateKeyPolicy::PassThrough))
    {
        find_duplicates(text, &root.value, &mut faults);
    }
    if faults.is_empty() {
        let message = "a map has a duplicate key";
        faults.push(Fault::new("duplicate-key", site_of(text, error), message));
    }
    faults
}

fn find_duplicates(text: &str, tree: &Tree, faults: &mut Vec<Fault>) {
    match tree {
        Tree::Scalar => {}
        Tree::List(items) => items.iter().for_each(|item| find_duplicates(text, &item.value, faults)),
        Tree::Map(members) => {
            let mut seen: HashMap<&str, &Location> = HashMap::new();
            for (key, value) in members {
                // a key from a merge key is not a key of this map
                if key.referenced == key.defined {
                    match seen.get(key.value.as_str()) {
                        Some(first) => {
                            let site = bytes_of(text, &key.referenced).map_or(Site::Whole, Site::Bytes);
                            let message = format!("duplicate key `{}`", key.value);
                            let fault = Fault::new("duplicate-key", site, message);
                            faults.push(fault.label(format!("first on line {}", first.line())));
                        }
                        None => drop(seen.insert(&key.value, &key.referenced)),
                    }
                }
                find_duplicates(text, &value.value, faults);
            }
        }
    }
}

fn bytes_of(text: &str, at: &Location) -> Option<Range<usize>> {
    let span = at.span();
    if let (Some(start), Some(len)) = (span.byte_offset(), span.byte_len()) {
        let start = usize::try_from(start).ok()?;
        return Some(start..start + usize::try_from(len).ok()?.max(1));
    }
    let line = usize::try_from(at.line()).ok()?.checked_sub(1)?;
    let start = match line.checked_sub(1) {
        None => 0,
        Some(skip) => text.match_indices('\n').nth(skip)?.0 + 1,
    };
    let column = usize::try_from(at.column()).ok()?.saturating_sub(1);
    let offset = text[start..].char_indices().nth(column).map_or(text.len() - start, |(at, _)| at);
    Some(start + offset..start + offset + 1)
}

/// Finds the spans of the wanted pointers.
pub(crate) fn find(text: &str, wanted: &mut HashMap<&str, Spans>) {
    if let Ok(root) =
        serde_saphyr::from_str_with_options::<Spanned<Tree>>(text, options(DuplicateKeyPolicy::Error))
    {
        walk(text, &root, None, &mut Pointer::root(), wanted);
    }
}

fn walk(
    text: &str,
    node: &Spanned<Tree>,
    key: Option<&Location>,
    pointer: &mut Pointer,
    wanted: &mut HashMap<&str, Spans>,
) {
    if let Some(spans) = wanted.get_mut(pointer.as_str()) {
        *spans =
            Spans { key: key.and_then(|at| bytes_of(text, at)), value: bytes_of(text, &node.referenced) };
    }
    let depth = pointer.len();
    match &node.value {
        Tree::Scalar => {}
        Tree::List(items) => {
            for (index, item) in items.iter().enumerate() {
                pointer.push(&index.to_string());
                walk(text, item, None, pointer, wanted);
                pointer.truncate(depth);
            }
        }
        Tree::Map(members) => {
            for (key, value) in members {
                pointer.push(&key.value);
                walk(text, value, Some(&key.referenced), pointer, wanted);
                pointer.truncate(depth);
            }
        }
    }
}

/// The skeleton of a document, as far as places need it.
enum Tree {
    Scalar,
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }
    fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(member) = members.next_entry()? {
            map.push(member);
        }
        Ok(Tree::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fmt::Write as _;

    #[test]
    fn scalars_follow_yaml_1_2() {
        let value = read("a: no\nb: 0755\nc: 1_000\nd: true\ne: 1.5\nf: ~\ng: 12\n").unwrap();
        assert_eq!(
            value,
            json!({"a": "no", "b": "0755", "c": "1_000", "d": true, "e": 1.5, "f": null, "g": 12})
        );
    }

    #[test]
    fn merge_keys_and_aliases_are_expanded() {
        let value = read("base: &b {x: 1}\nuse: {<<: *b, y: 2}\nagain: *b\n").unwrap();
        assert_eq!(value["use"], json!({"x": 1, "y": 2}));
        assert_eq!(value["again"], json!({"x": 1}));
    }

    #[test]
    fn f36_alias_bombs_tabs_and_tags_are_faults() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let previous = format!("*a{}", level - 1);
            writeln!(bomb, "a{level}: &a{level} [{}]", vec![previous; 9].join(",")).unwrap();
        }
        assert_eq!(read(&bomb).unwrap_err()[0].code, "too-large");
        let quadratic = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 20_000].join(","));
        assert_eq!(read(&quadratic).unwrap_err()[0].code, "too-large");
        assert_eq!(read(&"[".repeat(200_000)).unwrap_err()[0].code, "too-deep");
        assert_eq!(read("a: *nope\n").unwrap_err()[0].code, "syntax");
        assert_eq!(read("a:\n\t- b\n").unwrap_err()[0].code, "syntax");
        assert_eq!(read("a: !!python/object:os.system x\n").unwrap_err()[0].code, "syntax");
    }
    #[test]
    fn each_duplicate_key_is_a_fault_with_both_places() {
        let faults = read("base: &b {x: 1}\na: {<<: *b, x: 2}\nb:\n  y: 1\n  y: 2\na: 3\n").unwrap_err();
        let found: Vec<_> = faults.iter().map(|f| (f.message.clone(), f.label.clone().unwrap())).collect();
        assert_eq!(
            found,
            [
                ("duplicate key `y`".to_owned(), "first on line 4".to_owned()),
                ("duplicate key `a`".to_owned(), "first on line 2".to_owned()),
            ]
        );
    }
}
