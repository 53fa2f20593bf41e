//! Import cycles of files within one crate.

use crate::imports::{Import, imports};
use std::collections::{BTreeMap, BTreeSet};

/// The longest chain of re-exports that is followed to the definition of a name.
const MOST_REEXPORTS: usize = 8;

/// The path of a module from the root of its crate.
type Module = Vec<String>;

/// The import cycles among the files of a crate, each as sorted paths. `files` maps paths below `src` to texts.
pub(crate) fn cycles(files: &BTreeMap<String, String>) -> Vec<Vec<String>> {
    let tree = Tree::new(files);
    let edges: BTreeMap<&str, BTreeSet<&str>> =
        files.keys().map(|file| (file.as_str(), tree.imported_by(file))).collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|file| (*file, reachable(file, &edges))).collect();
    let mut cycles = BTreeSet::new();
    for (file, from_here) in &reached {
        let back = from_here.iter().filter(|other| reached[**other].contains(file));
        let cycle: BTreeSet<&str> = back.copied().collect();
        if cycle.len() > 1 {
            cycles.insert(cycle);
        }
    }
    cycles.into_iter().map(|cycle| cycle.into_iter().map(str::to_owned).collect()).collect()
}

/// All files that a file imports, directly or indirectly.
fn reachable<'f>(file: &'f str, edges: &BTreeMap<&'f str, BTreeSet<&'f str>>) -> BTreeSet<&'f str> {
    let mut found = BTreeSet::new();
    let mut next = vec![file];
    while let Some(file) = next.pop() {
        next.extend(edges[file].iter().filter(|other| found.insert(**other)));
    }
    found
}

/// The modules of a crate with their imports.
struct Tree<'f> {
    files: BTreeMap<Module, &'f str>,
    imports: BTreeMap<&'f str, Vec<Import>>,
}

impl<'f> Tree<'f> {
    fn new(files: &'f BTreeMap<String, String>) -> Self {
        Self {
            files: files.keys().map(|file| (module(file), file.as_str())).collect(),
            imports: files.iter().map(|(file, text)| (file.as_str(), imports(text))).collect(),
        }
    }

    /// The files that a file imports from. Re-exports do not count. Neither does a module's use of its own submodules,
    /// because they may import shared items from it.
    fn imported_by(&self, file: &str) -> BTreeSet<&'f str> {
        let is_across = |import: &&Import| {
            let first = import.path.first().map(String::as_str);
            !import.is_reexport && matches!(first, Some("crate" | "super"))
        };
        let used = self.imports[file].iter().filter(is_across);
        let found =
            used.filter_map(|import| self.defined_in(&self.absolute(&module(file), &import.path)?, 0));
        found.filter(|other| *other != file).collect()
    }

    /// The path of an import from the root of the crate; none for an import from another crate.
    fn absolute(&self, from: &[String], path: &[String]) -> Option<Module> {
        let mut at = match path.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => from.to_vec(),
            // without a prefix: a submodule, or another crate
            child => {
                let child = from.iter().cloned().chain([child.to_owned()]).collect::<Module>();
                self.files.contains_key(&child).then(|| from.to_vec())?
            }
        };
        for name in path {
            match name.as_str() {
                "crate" | "self" => {}
                "super" => drop(at.pop()),
                name => at.push(name.to_owned()),
            }
        }
        Some(at)
    }

    /// The file that defines the item at a path.
    fn defined_in(&self, path: &[String], depth: usize) -> Option<&'f str> {
        let count = (0..=path.len()).rev().find(|count| self.files.contains_key(&path[..*count]))?;
        let (module, rest) = path.split_at(count);
        let file = self.files[module];
        let reexport = rest.first().filter(|_| depth < MOST_REEXPORTS).and_then(|name| {
            self.imports[file].iter().find(|import| import.is_reexport && import.name == *name)
        });
        match reexport.and_then(|import| self.absolute(module, &import.path)) {
            Some(path) => self.defined_in(&path, depth + 1),
            None => Some(file),
        }
    }
}

/// The module of a file below `src`.
fn module(file: &str) -> Module {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    match path {
        "lib" | "main" | "mod" => Vec::new(),
        path => path.split('/').map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        cycles(&files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn files_that_import_each_other_are_a_cycle() {
        let found = cycles_of(&[
            ("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\npub use a::A;\n"),
            ("a.rs", "use crate::b::{B, self};\nuse std::fmt;\n"),
            ("b.rs", "use super::c::\n    {inner::{C, Other as Another}, More};\n"),
            ("c.rs", "pub(crate) use crate::d::D;\nuse crate::A;\n"),
            ("d.rs", "use crate::a::A;\n"),
        ]);
        assert_eq!(found, [["a.rs", "b.rs", "c.rs"]]);
    }

    #[test]
    fn submodule_use_is_no_cycle_and_re_exports_are_followed() {
        let files = |sibling| {
            [
                ("lib.rs", "mod outer;"),
                ("outer/mod.rs", "mod one;\nmod two;\npub use one::One;\nuse two::Two;\n"),
                ("outer/one.rs", "use super::two::Two;\n"),
                ("outer/two.rs", sibling),
            ]
        };
        assert!(cycles_of(&files("use super::Shared;\n")).is_empty());
        assert_eq!(cycles_of(&files("use super::One;\n")), [["outer/one.rs", "outer/two.rs"]]);
    }

    #[test]
    fn imports_in_tests_comments_and_strings_are_ignored() {
        let found = cycles_of(&[
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", "use crate::b::B;\n"),
            (
                "b.rs",
                "// use crate::a::A;\nconst T: &str = \"\nuse crate::a::A;\";\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n",
            ),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
