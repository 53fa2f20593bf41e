//! Tables for people: the printer columns of a definition, as `kubectl get` asks for them. Pure.

use super::definition::CustomKind;
use serde_json::{Value, json};

/// Whether a client prefers a table.
pub(crate) fn is_wanted(accept: &str) -> bool {
    let first = accept.split(',').next().unwrap_or_default();
    first.split(';').any(|part| part.trim() == "as=Table")
}

/// The table of a list, or of one object.
pub(crate) fn table(custom: &CustomKind, answer: &Value, now: jiff::Timestamp) -> Value {
    let usual = [json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})];
    let columns = if custom.columns.is_empty() { &usual[..] } else { &custom.columns };
    let mut definitions = vec![json!({
        "name": "Name", "type": "string", "format": "name", "priority": 0,
        "description": "Name must be unique within a namespace.",
    })];
    definitions.extend(columns.iter().map(|column| {
        let mut definition = column.clone();
        if let Some(fields) = definition.as_object_mut() {
            fields.remove("jsonPath");
        }
        for (field, value) in [("priority", json!(0)), ("format", json!("")), ("description", json!(""))] {
            if definition[field].is_null() {
                definition[field] = value;
            }
        }
        definition
    }));
    let row = |object: &Value| {
        let mut cells = vec![object["metadata"]["name"].clone()];
        cells.extend(columns.iter().map(|column| cell(column, object, now)));
        let metadata = json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
        });
        json!({"cells": cells, "object": metadata})
    };
    let rows: Vec<_> = match answer["items"].as_array() {
        Some(items) => items.iter().map(row).collect(),
        None => vec![row(answer)],
    };
    let metadata = json!({"resourceVersion": answer["metadata"]["resourceVersion"]});
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": definitions,
        "rows": rows,
    })
}

fn cell(column: &Value, object: &Value, now: jiff::Timestamp) -> Value {
    let found = find(object, column["jsonPath"].as_str().unwrap_or_default());
    let Some(first) = found.first() else { return Value::Null };
    match column["type"].as_str().unwrap_or_default() {
        "integer" | "number" => Some(*first).filter(|value| value.is_number()).cloned().unwrap_or_default(),
        "boolean" => Some(*first).filter(|value| value.is_boolean()).cloned().unwrap_or_default(),
        "date" => match first.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()) {
            Some(time) => age(now.as_second() - time.as_second()).into(),
            None => "<unknown>".into(),
        },
        _ => {
            let text = |value: &&Value| value.as_str().map_or(value.to_string(), str::to_owned);
            found.iter().map(text).collect::<Vec<_>>().join(" ").into()
        }
    }
}

/// The values at a path such as `.status.conditions[?(@.type=="Ready")].status`.
fn find<'v>(object: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = vec![object];
    let mut rest = path.trim_start_matches('{').trim_end_matches('}');
    while !rest.is_empty() {
        let (step, after) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
            None => {
                let name = rest.strip_prefix('.').unwrap_or(rest);
                // a dot in the name of a label is written as `\.`
                let is_end = |(at, _): &(usize, char)| !name[..*at].ends_with('\\');
                let end = name.char_indices().filter(|(_, sign)| ".[".contains(*sign)).find(is_end);
                name.split_at(end.map_or(name.len(), |(at, _)| at))
            }
        };
        let is_index = rest.starts_with('[');
        rest = after;
        found = found.into_iter().flat_map(|value| inner(value, step, is_index)).collect();
    }
    found.retain(|value| !value.is_null());
    found
}

fn inner<'v>(value: &'v Value, step: &str, is_index: bool) -> Vec<&'v Value> {
    if !is_index {
        return value.get(step.replace("\\.", ".")).into_iter().collect();
    }
    let entries = value.as_array().into_iter().flatten();
    if step == "*" {
        return entries.collect();
    }
    if let Some(condition) = step.strip_prefix("?(@.").and_then(|step| step.strip_suffix(')')) {
        let (field, wanted) = condition.split_once("==").unwrap_or((condition, ""));
        let wanted = wanted.trim().trim_matches(['"', '\'']);
        return entries.filter(|entry| entry[field.trim()] == wanted).collect();
    }
    let name = step.trim_matches(['"', '\'']);
    let entry = step.parse::<usize>().ok().and_then(|at| value.get(at));
    entry.or_else(|| value.get(name)).into_iter().collect()
}

/// A duration in seconds as kubectl prints it: its two largest units, or one if the time is long.
fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let both = |large: i64, unit: char, small: i64, small_unit: char| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{small_unit}"),
    };
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => both(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => both(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => both(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => both(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_values() {
        let object = json!({
            "metadata": {"labels": {"pop.io/run": "7"}},
            "status": {
                "n": 3, "conditions": [{"type": "A", "status": "False"}, {"type": "Ready", "status": "True"}],
            },
        });
        for (path, expected) in [
            (".status.n", json!([3])),
            (".status.conditions[?(@.type==\"Ready\")].status", json!(["True"])),
            (".status.conditions[0].type", json!(["A"])),
            (".status.conditions[*].type", json!(["A", "Ready"])),
            (".metadata.labels.pop\\.io/run", json!(["7"])),
            (".metadata.labels['pop.io/run']", json!(["7"])),
            (".none.at.all", json!([])),
        ] {
            assert_eq!(json!(find(&object, path)), expected, "{path}");
        }
    }

    #[test]
    fn an_age_has_at_most_two_units() {
        for (seconds, expected) in [
            (5, "5s"),
            (125, "2m5s"),
            (3_600, "60m"),
            (11_000, "3h3m"),
            (36_000, "10h"),
            (200_000, "2d7h"),
            (864_000, "10d"),
        ] {
            assert_eq!(age(seconds), expected);
        }
    }
}
