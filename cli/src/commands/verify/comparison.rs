//! Compares outcomes, results and files of several launchers, and finds the first difference.

use pop_agenda::{History, OperationHistory, Outcome, RunOutcome};
use pop_document::Pointer;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Maximum length of a shown value, in characters.
const SHOWN: usize = 48;
/// Characters shown before the first difference.
const BEFORE: usize = 16;

/// Kind of the compared item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Run,
    Operation,
    File,
}

impl Subject {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Operation => "operation",
            Self::File => "file",
        }
    }
}

/// One item as observed under each launcher.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) subject: Subject,
    pub(super) name: String,
    /// Observed values in the order of the launchers; null where the item is missing.
    pub(super) seen: Vec<Value>,
}

/// First place at which the values differ.
#[derive(Debug, PartialEq)]
struct Difference {
    pointer: Pointer,
    /// Value at that place, in the order of the launchers; `None` where it is missing.
    values: Vec<Option<Value>>,
}

impl Compared {
    pub(super) fn is_equal(&self) -> bool {
        self.seen.windows(2).all(|pair| pair[0] == pair[1])
    }

    fn difference(&self) -> Option<Difference> {
        let values: Vec<Option<&Value>> = self.seen.iter().map(Some).collect();
        first_difference(&values, Pointer::root())
    }

    /// Short form of each observed value.
    pub(super) fn cells(&self) -> impl Iterator<Item = String> {
        self.seen.iter().map(|seen| match self.subject {
            _ if seen.is_null() => "missing".to_owned(),
            Subject::Run => format!("{} ({})", word(&seen["outcome"]), seen["exitCode"]),
            Subject::Operation => operation_cell(seen),
            Subject::File => file_cell(seen),
        })
    }

    /// `equal`, or the first difference; `names` are the launchers.
    pub(super) fn verdict(&self, names: &[String]) -> String {
        let Some(Difference { pointer, values }) = self.difference() else { return "equal".to_owned() };
        if pointer.as_str().is_empty() {
            let missing = names.iter().zip(&self.seen).filter(|(_, seen)| seen.is_null());
            return format!(
                "missing under {}",
                missing.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
            );
        }
        if self.subject == Subject::File && pointer.as_str() == "/digest" {
            return "contents differ".to_owned();
        }
        let texts =
            values.iter().map(|value| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string));
        let shown = shortened(&texts.collect::<Vec<_>>());
        let each = shown.iter().zip(names).map(|(shown, name)| format!("{shown} under {name}"));
        format!("{pointer}: {}", each.collect::<Vec<_>>().join(", "))
    }

    /// `{name, equal, under, difference}`; results are given by their digest.
    pub(super) fn as_json(&self, names: &[String]) -> Value {
        let under = names.iter().zip(&self.seen).map(|(name, seen)| {
            let mut seen = seen.clone();
            if let Some(result) = seen.as_object_mut().and_then(|seen| seen.remove("result")) {
                seen["resultDigest"] = json!(digest(&result));
            }
            (name.clone(), seen)
        });
        let difference = self.difference().map(|Difference { pointer, values }| {
            let there = names.iter().zip(values).filter_map(|(name, value)| Some((name.clone(), value?)));
            json!({"pointer": pointer.as_str(), "values": there.collect::<Map<_, _>>()})
        });
        json!({
            "name": self.name, "equal": difference.is_none(), "under": under.collect::<Map<_, _>>(), "difference": difference,
        })
    }
}

/// Compared fields of a run.
pub(super) fn run_seen(history: &History) -> Value {
    let outcome = history.ended.map(|(_, outcome)| outcome);
    json!({"outcome": outcome.map(RunOutcome::word), "exitCode": outcome.map(RunOutcome::exit_code)})
}

/// Compared fields of an operation. Paths into the workspace become relative, because workspaces differ.
pub(super) fn operation_seen(history: &OperationHistory, workspace: &Path) -> Value {
    let failure = history.failure().map(|failure| json!({"code": failure.code, "exit": failure.exit}));
    let result = history.result().map(|result| without_workspace(result, &workspace.to_string_lossy()));
    json!({
        "outcome": history.outcome().map(Outcome::word), "attempts": history.attempts.len(), "failure": failure, "result": result,
    })
}

fn without_workspace(value: &Value, workspace: &str) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace(workspace, ".")),
        Value::Array(items) => items.iter().map(|item| without_workspace(item, workspace)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(key, value)| (key.replace(workspace, "."), without_workspace(value, workspace)))
                .collect()
        }
        other => other.clone(),
    }
}

/// Descends while all values are maps, or all are lists.
fn first_difference(values: &[Option<&Value>], pointer: Pointer) -> Option<Difference> {
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        return None;
    }
    let maps: Option<Vec<_>> = values.iter().map(|value| value.and_then(Value::as_object)).collect();
    if let Some(maps) = maps {
        let keys: BTreeSet<&String> = maps.iter().flat_map(|map| map.keys()).collect();
        return keys.into_iter().find_map(|key| {
            let inner: Vec<_> = maps.iter().map(|map| map.get(key)).collect();
            first_difference(&inner, pointer.join(key))
        });
    }
    let lists: Option<Vec<_>> = values.iter().map(|value| value.and_then(Value::as_array)).collect();
    if let Some(lists) = lists {
        let longest = lists.iter().map(|list| list.len()).max().unwrap_or_default();
        return (0..longest).find_map(|index| {
            let inner: Vec<_> = lists.iter().map(|list| list.get(index)).collect();
            first_difference(&inner, pointer.join(index))
        });
    }
    Some(Difference { pointer, values: values.iter().map(|value| value.cloned()).collect() })
}

/// Cuts strings to a readable length that includes the first difference.
fn shortened(texts: &[String]) -> Vec<String> {
    let letters: Vec<Vec<char>> = texts.iter().map(|text| text.chars().collect()).collect();
    let first = letters.first().map(Vec::as_slice).unwrap_or_default();
    let same = letters.iter().map(|other| first.iter().zip(other).take_while(|(a, b)| a == b).count());
    let same = same.min().unwrap_or_default();
    let is_long = letters.iter().any(|text| text.len() > SHOWN);
    let from = if is_long { same.saturating_sub(BEFORE) } else { 0 };
    let cut = |text: &Vec<char>| {
        let shown: String = text.iter().skip(from).take(SHOWN).collect();
        let (before, after) =
            (if from > 0 { "…" } else { "" }, if text.len() > from + SHOWN { "…" } else { "" });
        format!("{before}{shown}{after}")
    };
    letters.iter().map(cut).collect()
}

fn operation_cell(seen: &Value) -> String {
    let mut words = vec![word(&seen["outcome"]).to_owned()];
    if let Some(code) = seen["failure"]["code"].as_str() {
        let exit = seen["failure"]["exit"].as_object().and_then(|exit| exit.iter().next());
        words.push(
            exit.map_or_else(|| format!("[{code}]"), |(kind, number)| format!("[{code}] {kind} {number}")),
        );
    }
    if !seen["result"].is_null() {
        words.push(digest(&seen["result"]).unwrap_or_default()[..8].to_owned());
    }
    let several = seen["attempts"].as_u64().filter(|attempts| *attempts > 1);
    words.join(" ") + &several.map(|attempts| format!(", {attempts} attempts")).unwrap_or_default()
}

fn file_cell(seen: &Value) -> String {
    match seen["digest"].as_str() {
        Some(digest) => format!("{} bytes {}", seen["size"], digest.get(..8).unwrap_or(digest)),
        None => seen["to"].as_str().map_or_else(|| "no file".to_owned(), |to| format!("-> {to}")),
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("not ended")
}

/// Digest of a result: BLAKE3 of its JSON text with sorted keys.
fn digest(result: &Value) -> Option<String> {
    (!result.is_null()).then(|| blake3::hash(result.to_string().as_bytes()).to_hex().to_string())
}

/// Summary line.
pub(super) fn summary(all: &[Compared], names: &[String]) -> String {
    let count = |subject: Subject| {
        let of = || all.iter().filter(|compared| compared.subject == subject);
        (of().count(), of().filter(|compared| !compared.is_equal()).count())
    };
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (operations, other_operations) = count(Subject::Operation);
    let (files, other_files) = count(Subject::File);
    let names = names.join(", ");
    if all.iter().all(Compared::is_equal) {
        let (operations, files) = (counted(operations, "operation"), counted(files, "file"));
        return format!("verify: {operations} and {files} are equal under {names}");
    }
    let (operations, files) = (counted(operations, "operation"), counted(files, "file"));
    let run = if count(Subject::Run).1 > 0 { "the run, " } else { "" };
    format!(
        "verify: {run}{other_operations} of {operations} and {other_files} of {files} differ under {names}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(subject: Subject, seen: &[Value]) -> String {
        let names = ["local", "docker", "kubernetes"].map(str::to_owned);
        Compared { subject, name: "x".to_owned(), seen: seen.to_vec() }.verdict(&names[..seen.len()])
    }

    #[test]
    fn first_difference_has_pointer_and_all_values() {
        let (long, other) = (format!("{}b{}", "a".repeat(90), "c".repeat(90)), "a".repeat(90));
        for (seen, expected) in [
            (vec![json!({"b": 1, "a": [1, 2]}), json!({"a": [1, 2], "b": 1})], "equal"),
            (vec![json!({"a": {"b": 1}}), json!({"a": {"b": 2}})], "/a/b: 1 under local, 2 under docker"),
            (vec![json!({"a": 1}), json!({"a": 1.0})], "/a: 1 under local, 1.0 under docker"),
            (
                vec![json!({"a": [1]}), json!({"a": [1, null]})],
                "/a/1: nothing under local, null under docker",
            ),
            (vec![json!({"a": {}}), json!({"a": []})], "/a: {} under local, [] under docker"),
            (
                vec![json!({"a": 1}), json!({"a": 1}), json!({"a": "x\n"})],
                r#"/a: 1 under local, 1 under docker, "x\n" under kubernetes"#,
            ),
            (vec![json!({"a": 1}), Value::Null], "missing under docker"),
            (
                vec![json!({"a": long}), json!({"a": other})],
                r#"/a: …aaaaaaaaaaaaaaaabccccccccccccccccccccccccccccccc… under local, …aaaaaaaaaaaaaaaa" under docker"#,
            ),
        ] {
            assert_eq!(verdict(Subject::Operation, &seen), expected);
        }
        let file = |digest: &str, size: u64| json!({"kind": "file", "digest": digest, "size": size});
        assert_eq!(verdict(Subject::File, &[file("a", 1), file("b", 2)]), "contents differ");
    }

    #[test]
    fn workspace_paths_become_relative() {
        let result = json!({"/w/local-1/k": ["in /w/local-1/a and /w/local-1", 1, null]});
        assert_eq!(without_workspace(&result, "/w/local-1"), json!({"./k": ["in ./a and .", 1, null]}));
    }
}
