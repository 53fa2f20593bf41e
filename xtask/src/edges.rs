//! What imports what, compared with what may.

use crate::finish;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Checks that each crate imports only what `edges.json` lets it import, and that nothing listed is unused.
pub(crate) fn check(root: &Path) -> Result<()> {
    let text = fs::read_to_string(root.join("xtask/edges.json"))?;
    let allowed: BTreeMap<String, BTreeSet<String>> = serde_json::from_str(&text)?;
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().context("packages")? {
        let name = crate_name(package["name"].as_str().context("a package has a name")?);
        seen.insert(name.to_owned());
        let Some(may) = allowed.get(name) else {
            faults.push(format!("crate `{name}` is not in xtask/edges.json"));
            continue;
        };
        let found: BTreeSet<String> = package["dependencies"]
            .as_array()
            .context("dependencies")?
            .iter()
            .filter(|dependency| dependency["kind"].is_null() && !dependency["path"].is_null())
            .filter_map(|dependency| Some(crate_name(dependency["name"].as_str()?).to_owned()))
            .collect();
        faults.extend(found.difference(may).map(|to| format!("`{name}` must not import `{to}`")));
        faults.extend(may.difference(&found).map(|to| format!("`{name}` may import `{to}` and does not")));
    }
    faults.extend(
        allowed.keys().filter(|name| !seen.contains(*name)).map(|name| format!("there is no crate `{name}`")),
    );
    finish("edges", seen.len(), &faults)
}

fn crate_name(package: &str) -> &str {
    package.strip_prefix("pop-").unwrap_or(package)
}
