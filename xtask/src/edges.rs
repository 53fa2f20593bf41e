//! What imports what, compared with what may: crates in layers, and no circles of files.

use crate::file_circles::circles;
use crate::finish;
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What `edges.json` allows.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Allowed {
    /// The crates that each crate imports.
    crates: BTreeMap<String, BTreeSet<String>>,
    /// Circles of files that are still to be mended. The list may only shrink.
    open_circles: BTreeSet<BTreeSet<String>>,
}

/// Checks that each crate imports only what `edges.json` lets it import, that nothing listed is unused, and that no files
/// of a crate import each other in a circle.
pub(crate) fn check(root: &Path) -> Result<()> {
    let text = fs::read_to_string(root.join("xtask/edges.json"))?;
    let allowed: Allowed = serde_json::from_str(&text)?;
    let metadata = metadata(root)?;
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    let mut found_circles = BTreeSet::new();
    for package in metadata["packages"].as_array().context("packages")? {
        let name = crate_name(package["name"].as_str().context("a package has a name")?);
        seen.insert(name.to_owned());
        faults.extend(crate_faults(name, package, &allowed)?);
        let manifest = Path::new(package["manifest_path"].as_str().context("a package has a manifest")?);
        let source = manifest.parent().context("a manifest has a folder")?.join("src");
        for circle in circles(&texts(&source)?) {
            let whole = |file| format!("{}/{file}", source.strip_prefix(root).unwrap_or(&source).display());
            found_circles.insert(circle.into_iter().map(whole).collect::<BTreeSet<String>>());
        }
    }
    let crates = allowed.crates.keys();
    faults.extend(
        crates.filter(|name| !seen.contains(*name)).map(|name| format!("there is no crate `{name}`")),
    );
    faults.extend(circle_faults(&found_circles, &allowed.open_circles));
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
        .context("dependencies")?
        .iter()
        .filter(|dependency| dependency["kind"].is_null() && !dependency["path"].is_null())
        .filter_map(|dependency| Some(crate_name(dependency["name"].as_str()?).to_owned()))
        .collect();
    let forbidden = found.difference(may).map(|to| format!("`{name}` must not import `{to}`"));
    let unused = may.difference(&found).map(|to| format!("`{name}` may import `{to}` and does not"));
    Ok(forbidden.chain(unused).collect())
}

/// Circles that are not listed, and listed ones that are gone.
fn circle_faults(found: &BTreeSet<BTreeSet<String>>, open: &BTreeSet<BTreeSet<String>>) -> Vec<String> {
    let names = |circle: &BTreeSet<String>| circle.iter().cloned().collect::<Vec<_>>().join(", ");
    let new =
        found.difference(open).map(|circle| format!("these files import each other: {}", names(circle)));
    let gone = open
        .difference(found)
        .map(|circle| format!("take this circle out of xtask/edges.json, it is gone: {}", names(circle)));
    new.chain(gone).collect()
}

/// The Rust files below a folder, by their paths from there.
fn texts(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop().filter(|next| next.is_dir()) {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(folder)?.to_str().context("a file has a name in UTF-8")?;
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
    fn a_new_circle_is_a_fault_and_so_is_a_listed_one_that_is_gone() {
        let circle = |files: [&str; 2]| BTreeSet::from(files.map(str::to_owned));
        let (old, new, gone) = (circle(["a", "b"]), circle(["c", "d"]), circle(["e", "f"]));
        let faults = circle_faults(&[old.clone(), new].into(), &[old, gone].into());
        assert_eq!(
            faults,
            [
                "these files import each other: c, d",
                "take this circle out of xtask/edges.json, it is gone: e, f"
            ]
        );
    }
}
