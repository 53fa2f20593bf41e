//! `dependsOn`: names of operations, and groups of them of which any or all must have an outcome.

use pop_document::{Fault, Pointer, Site, kind_of};
use serde_json::Value;

/// A name in `dependsOn` and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependsOn {
    /// Name of an operation, perhaps with an outcome (`a.failed`).
    pub name: String,
    /// Pointer to the text that contains the name.
    pub pointer: Pointer,
}

impl DependsOn {
    /// Place of the name.
    pub(crate) fn site(&self) -> Site {
        Site::Within(self.pointer.clone(), self.name.clone())
    }
}

/// A condition over outcomes in `dependsOn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DependsOnGroup {
    /// One operation.
    Name(DependsOn),
    /// Every condition must hold.
    All(Vec<Self>),
    /// One condition must hold.
    Any(Vec<Self>),
}

const HINT: &str = "for example [a, b.failed], or {any: [a.failed, b.failed]}";

impl DependsOnGroup {
    /// Reads names (`"a, b"`, `["a", "b"]`), and groups (`{any: …}`, `{all: …}`) that may be nested. All of them must
    /// hold. Ignores spaces around names, and empty names.
    pub(super) fn parse(value: &Value, at: &Pointer, faults: &mut Vec<Fault>) -> (Vec<DependsOn>, Vec<Self>) {
        let (mut names, mut groups) = (Vec::new(), Vec::new());
        let mut open = if value.is_null() { Vec::new() } else { Self::list(value, at, faults) };
        open.reverse();
        while let Some(one) = open.pop() {
            match one {
                Self::Name(name) => names.push(name),
                Self::All(inner) => open.extend(inner.into_iter().rev()),
                Self::Any(_) => groups.push(one),
            }
        }
        (names, groups)
    }

    /// The conditions in a name, a list or a group.
    fn list(value: &Value, at: &Pointer, faults: &mut Vec<Fault>) -> Vec<Self> {
        match value {
            Value::String(text) => {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                names
                    .map(|name| Self::Name(DependsOn { name: name.to_owned(), pointer: at.clone() }))
                    .collect()
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.flat_map(|(index, item)| Self::list(item, &at.join(index), faults)).collect()
            }
            Value::Object(map) if !map.is_empty() => {
                let mut groups = Vec::new();
                for (key, inner) in map {
                    let at = at.join(key);
                    match key.as_str() {
                        "any" | "all" => {
                            let before = faults.len();
                            let inner = Self::list(inner, &at, faults);
                            if inner.is_empty() && faults.len() == before {
                                let message = format!("`{key}` in `dependsOn` names no operation");
                                faults.push(Fault::value("wrong-value", at, message).hint(HINT));
                            }
                            groups.push(if key == "any" { Self::Any(inner) } else { Self::All(inner) });
                        }
                        _ => {
                            let message = format!("a group of `dependsOn` is `any` or `all`, not `{key}`");
                            faults.push(Fault::key("wrong-value", at, message).hint(HINT));
                        }
                    }
                }
                groups
            }
            other => {
                let kind = kind_of(other);
                let message =
                    format!("`dependsOn` must name operations (\"a, b\" or [\"a\", \"b\"]), not {kind}");
                faults.push(Fault::value("wrong-type", at.clone(), message).hint(HINT));
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(group: &DependsOnGroup) -> String {
        let list = |inner: &[DependsOnGroup]| inner.iter().map(shown).collect::<Vec<_>>().join(" ");
        match group {
            DependsOnGroup::Name(DependsOn { name, pointer }) => format!("{name}@{pointer}"),
            DependsOnGroup::All(inner) => format!("all({})", list(inner)),
            DependsOnGroup::Any(inner) => format!("any({})", list(inner)),
        }
    }

    #[test]
    fn lists_and_groups_are_read_at_any_depth() {
        let mut faults = Vec::new();
        let nested = json!(["a", {"any": ["b", {"all": ["c", "d"]}]}]);
        for (value, names, groups) in [
            (json!(null), "", ""),
            (json!("a, b.failed"), "a@ b.failed@", ""),
            (json!(["a", "b, c", ""]), "a@/0 b@/1 c@/1", ""),
            (json!({"all": ["a", {"all": "b"}]}), "a@/all/0 b@/all/1/all", ""),
            (nested, "a@/0", "any(b@/1/any/0 all(c@/1/any/1/all/0 d@/1/any/1/all/1))"),
        ] {
            let (found, found_groups) = DependsOnGroup::parse(&value, &Pointer::root(), &mut faults);
            let found: Vec<_> = found.into_iter().map(|name| shown(&DependsOnGroup::Name(name))).collect();
            assert_eq!(found.join(" "), names, "{value}");
            assert_eq!(found_groups.iter().map(shown).collect::<String>(), groups, "{value}");
        }
        assert_eq!(faults, []);
        DependsOnGroup::parse(&json!([{"one": "a"}, null, {"any": []}]), &Pointer::root(), &mut faults);
        let said: Vec<_> = faults.iter().map(|fault| (fault.pointer(), fault.message.as_str())).collect();
        let expected = "`dependsOn` must name operations (\"a, b\" or [\"a\", \"b\"]), not null";
        assert_eq!(
            said,
            [
                ("/0/one", "a group of `dependsOn` is `any` or `all`, not `one`"),
                ("/1", expected),
                ("/2/any", "`any` in `dependsOn` names no operation"),
            ]
        );
    }
}
