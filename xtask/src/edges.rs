//! Import rules: the allowed dependencies between crates, and no import cycles of files.

use crate::file_cycles::cycles;
use crate::finish;
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The rules in `edges.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Allowed {
    /// The crates that each crate may import.
    crates: BTreeMap<String, BTreeSet<String>>,
    /// Import cycles of files that are not resolved yet. The list may only shrink.
    open_circles: BTreeSet<BTreeSet<String>>,
}

/// Checks that each crate imports only crates that `edges.json` allows, that no allowed import is unused, and that no
/// files of a crate form an import cycle.
pub(crate) fn check(root: &Path) -> Result<()> {
    let text = fs::read_to_string(root.join("xtask/edges.json"))?;
    let allowed: Allowed = serde_json::from_str(&text)?;
    let metadata = metadata(root)?;
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    let mut found_cycles = BTreeSet::new();
    for package in metadata["packages"].as_array().context("cargo metadata has no packages")? {
        let name = crate_name(package["name"].as_str().context("a package has no name")?);
        seen.insert(name.to_owned());
        faults.extend(crate_faults(name, package, &allowed)?);
        let manifest =
            Path::new(package["manifest_path"].as_str().context("a package has no manifest path")?);
        let source = manifest.parent().context("a manifest has no folder")?.join("src");
        for cycle in cycles(&texts(&source)?) {
            let whole = |file| format!("{}/{file}", source.strip_prefix(root).unwrap_or(&source).display());
            found_cycles.insert(cycle.into_iter().map(whole).collect::<BTreeSet<String>>());
        }
    }
    let crates = allowed.crates.keys();
    faults.extend(
        crates
            .filter(|name| !seen.contains(*name))
            .map(|name| format!("xtask/edges.json: there is no crate `{name}`")),
    );
    faults.extend(cycle_faults(&found_cycles, &allowed.open_circles));
    finish("edges", seen.len(), &faults)
}

fn metadata(root: &Path) -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn crate_faults(name: &str, package: &Value, allowed: &Allowed) -> Result<Vec<String>> {
    let Some(may) = allowed.crates.get(name) else {
        return Ok(vec![format!("crate `{name}` is not in xtask/edges.json")]);
    };
    let found: BTreeSet<String> = package["dependencies"]
        .as_array()
        .context("a package has no dependencies")?
        .iter()
        .filter(|dependency| dependency["kind"].is_null() && !dependency["path"].is_null())
        .filter_map(|dependency| Some(crate_name(dependency["name"].as_str()?).to_owned()))
        .collect();
    let forbidden = found.difference(may).map(|to| format!("`{name}` must not import `{to}`"));
    let unused = may
        .difference(&found)
        .map(|to| format!("xtask/edges.json: `{name}` does not import `{to}`; remove it"));
    Ok(forbidden.chain(unused).collect())
}

/// Import cycles that are not listed, and listed ones that no longer exist.
fn cycle_faults(found: &BTreeSet<BTreeSet<String>>, open: &BTreeSet<BTreeSet<String>>) -> Vec<String> {
    let names = |cycle: &BTreeSet<String>| cycle.iter().cloned().collect::<Vec<_>>().join(", ");
    let new = found.difference(open).map(|cycle| format!("import cycle: {}", names(cycle)));
    let gone = open
        .difference(found)
        .map(|cycle| format!("xtask/edges.json: remove this resolved import cycle: {}", names(cycle)));
    new.chain(gone).collect()
}

/// The texts of the Rust files below a folder, by their relative paths.
fn texts(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop().filter(|next| next.is_dir()) {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(folder)?.to_str().context("a file name is not UTF-8")?;
                texts.insert(name.to_owned(), fs::read_to_string(&path)?);
            }
        }
    }
    Ok(texts)
}

fn crate_name(package: &str) -> &str {
    package.strip_prefix("pop-").unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_and_resolved_import_cycles_are_faults() {
        let cycle = |files: [&str; 2]| BTreeSet::from(files.map(str::to_owned));
        let (old, new, gone) = (cycle(["a", "b"]), cycle(["c", "d"]), cycle(["e", "f"]));
        let faults = cycle_faults(&[old.clone(), new].into(), &[old, gone].into());
        assert_eq!(
            faults,
            ["import cycle: c, d", "xtask/edges.json: remove this resolved import cycle: e, f"]
        );
    }
}
