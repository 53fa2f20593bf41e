//! Label and field selectors of lists and watches.

use crate::failure::Failure;
use serde_json::Value;

/// The label and field requirements of a list or watch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

impl Selector {
    /// Parses both selectors; an empty text selects everything.
    pub(crate) fn parse(labels: &str, fields: &str) -> Result<Self, Failure> {
        let labels = terms(labels).into_iter().map(requirement).collect::<Result<_, _>>()?;
        let fields = terms(fields).into_iter().map(field).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    pub(crate) fn is_match(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"][key].as_str();
        self.labels.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => {
                label(key).is_some_and(|has| values.iter().any(|value| value == has))
            }
            Requirement::NotIn(key, values) => {
                !label(key).is_some_and(|has| values.iter().any(|value| value == has))
            }
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Missing(key) => label(key).is_none(),
        }) && self.fields.iter().all(|(path, is_equal, value)| {
            let found = path.split('.').fold(object, |at, key| &at[key]);
            (found.as_str().unwrap_or_default() == value) == *is_equal
        })
    }
}

/// The parts of a selector, split at commas outside parentheses.
fn terms(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = text.split(|sign| {
        match sign {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        sign == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn requirement(term: &str) -> Result<Requirement, Failure> {
    let bad = || Failure::bad_request(format!("unable to parse requirement: found '{term}'"));
    let set = |rest: &str| -> Option<Vec<String>> {
        let inner = rest.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inner.split(',').map(|value| value.trim().to_owned()).collect())
    };
    let one = |key: &str, value: &str| (key.trim().to_owned(), vec![value.trim().to_owned()]);
    let found = if let Some((key, value)) = term.split_once("!=") {
        let (key, values) = one(key, value);
        Requirement::NotIn(key, values)
    } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        let (key, values) = one(key, value);
        Requirement::In(key, values)
    } else if let Some((key, rest)) = term.split_once(" notin ").or_else(|| term.split_once(" notin")) {
        Requirement::NotIn(key.trim().to_owned(), set(rest).ok_or_else(bad)?)
    } else if let Some((key, rest)) = term.split_once(" in ").or_else(|| term.split_once(" in")) {
        Requirement::In(key.trim().to_owned(), set(rest).ok_or_else(bad)?)
    } else if let Some(key) = term.strip_prefix('!') {
        Requirement::Missing(key.trim().to_owned())
    } else {
        Requirement::Exists(term.to_owned())
    };
    let (Requirement::In(key, _)
    | Requirement::NotIn(key, _)
    | Requirement::Exists(key)
    | Requirement::Missing(key)) = &found;
    let is_key = |sign: char| sign.is_ascii_alphanumeric() || "-_./".contains(sign);
    if key.is_empty() || !key.chars().all(is_key) { Err(bad()) } else { Ok(found) }
}

fn field(term: &str) -> Result<(String, bool, String), Failure> {
    const KNOWN: [&str; 14] = [
        "metadata.name",
        "metadata.namespace",
        "status.phase",
        "status.podIP",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "type",
        "reason",
        "involvedObject.uid",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.kind",
    ];
    let split = |sign: &str, is_equal| term.split_once(sign).map(|(path, value)| (path, is_equal, value));
    let found = split("!=", false).or_else(|| split("==", true)).or_else(|| split("=", true));
    let Some((path, is_equal, value)) = found else {
        let why = format!("invalid selector: '{term}'; can't understand '{term}'");
        return Err(Failure::bad_request(why));
    };
    if !KNOWN.contains(&path) {
        return Err(Failure::bad_request(format!("field label not supported: {path}")));
    }
    Ok((path.to_owned(), is_equal, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_have_the_syntax_of_kubectl() {
        let pod = json!({"metadata": {"name": "x", "labels": {"app": "pop", "pop.io/run": "7"}}, "status": {"phase": "Running"}});
        for (labels, fields, expected) in [
            ("", "", true),
            ("app=pop", "", true),
            ("app==pop,pop.io/run=7", "", true),
            ("app=other", "", false),
            ("app!=other", "", true),
            ("none!=other", "", true),
            ("app", "", true),
            ("!app", "", false),
            ("!none", "", true),
            ("app in (pop, other),pop.io/run", "", true),
            ("app notin (pop,other)", "", false),
            ("none notin (pop)", "", true),
            ("none in (pop)", "", false),
            ("", "metadata.name=x", true),
            ("", "metadata.name!=x", false),
            ("", "status.phase=Running,metadata.name=x", true),
            ("", "status.phase!=Running", false),
        ] {
            let selector = Selector::parse(labels, fields).unwrap();
            assert_eq!(selector.is_match(&pod), expected, "{labels} {fields}");
        }
        for (labels, fields) in [("a in b", ""), ("a b", ""), ("=x", ""), ("", "spec.other=1"), ("", "x")] {
            assert_eq!(Selector::parse(labels, fields).unwrap_err().code, 400, "{labels} {fields}");
        }
    }
}
