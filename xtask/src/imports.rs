//! The `use` declarations of a Rust file.

/// One name that a file imports.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// The path in the declaration, name by name.
    pub(crate) path: Vec<String>,
    /// The name under which it is imported.
    pub(crate) name: String,
    /// Whether it is a re-export.
    pub(crate) is_reexport: bool,
}

/// The imports at the top level of a file, except those of its tests.
pub(crate) fn imports(text: &str) -> Vec<Import> {
    let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut imports = Vec::new();
    let mut in_string = false;
    let mut declaration: Option<String> = None;
    for line in code.lines() {
        if declaration.is_none() && !in_string && is_declaration(line) {
            declaration = Some(String::new());
        }
        if let Some(code) = &mut declaration {
            code.push_str(line.split("//").next().unwrap_or_default());
            code.push(' ');
            if line.contains(';') {
                imports.extend(declaration.take().map(|code| expand_declaration(&code)).unwrap_or_default());
            }
        } else if !line.trim_start().starts_with("//") {
            // an odd number of quotes begins or ends a multi-line string
            let quotes = line.replace("\\\"", "").replace("'\"'", "").matches('"').count();
            in_string ^= quotes % 2 == 1;
        }
    }
    imports
}

/// Whether a line begins a declaration at the top level.
fn is_declaration(line: &str) -> bool {
    let line = line.strip_prefix("pub").map_or(line, |rest| match rest.strip_prefix('(') {
        Some(rest) => rest.split_once(") ").map_or("", |(_, rest)| rest),
        None => rest.trim_start(),
    });
    line.starts_with("use ")
}

fn expand_declaration(code: &str) -> Vec<Import> {
    let is_reexport = code.starts_with("pub");
    let Some((_, tree)) = code.split_once("use ") else { return Vec::new() };
    let tree = tree.split(';').next().unwrap_or_default();
    let mut paths = Vec::new();
    expand(tree, &[], &mut paths);
    let import = |(path, name)| Import { path, name, is_reexport };
    paths.into_iter().map(import).collect()
}

/// Adds the path and the name of each leaf of a tree such as `a::{b, c::{d, e as f}}`.
fn expand(tree: &str, before: &[String], paths: &mut Vec<(Vec<String>, String)>) {
    let tree = tree.trim();
    if let Some((head, list)) = tree.split_once('{') {
        let mut before = before.to_vec();
        before.extend(names(head));
        let list = list.trim_end().strip_suffix('}').unwrap_or(list);
        for part in parts(list) {
            expand(part, &before, paths);
        }
        return;
    }
    if tree.is_empty() {
        return;
    }
    let (path, name) = tree.split_once(" as ").unwrap_or((tree, ""));
    let mut whole = before.to_vec();
    whole.extend(names(path));
    // `self` in a list and `*` mean the module itself
    if whole.len() > 1 && whole.last().is_some_and(|last| last == "self" || last == "*") {
        whole.pop();
    }
    let name =
        if name.is_empty() { whole.last().cloned().unwrap_or_default() } else { name.trim().to_owned() };
    paths.push((whole, name));
}

fn names(path: &str) -> impl Iterator<Item = String> {
    path.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The parts of a list, split at commas outside inner lists.
fn parts(list: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_of_a_declaration_is_an_import() {
        let text = "pub(crate) use a::{self, b::{c, d as e}};\nuse f; // use g;\n";
        let found: Vec<(String, String, bool)> = imports(text)
            .into_iter()
            .map(|import| (import.path.join("::"), import.name, import.is_reexport))
            .collect();
        let import = |path: &str, name: &str, is_reexport| (path.to_owned(), name.to_owned(), is_reexport);
        assert_eq!(
            found,
            [
                import("a", "a", true),
                import("a::b::c", "c", true),
                import("a::b::d", "e", true),
                import("f", "f", false)
            ]
        );
    }
}
