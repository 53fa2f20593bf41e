//! The project's own checks: `cargo xtask edges` compares what imports what with what may, `cargo xtask words` looks
//! for what must not stand in the project.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a folder")?;
    match std::env::args().nth(1).as_deref() {
        Some("edges") => edges(root),
        Some("words") => words(root),
        _ => bail!("usage: cargo xtask edges | words"),
    }
}

/// Checks that each crate imports only what `edges.json` lets it import, and that nothing listed is unused.
fn edges(root: &Path) -> Result<()> {
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

/// Looks for words that must not stand in the sources, and for files that grew too long to be known.
fn words(root: &Path) -> Result<()> {
    const LONGEST: usize = 800;
    // in two parts, so that this file does not find itself
    let forbidden =
        [concat!("todo", "!("), concat!("FIX", "ME"), concat!("XX", "X"), concat!("```", "ignore")];
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout)?;
    let mut faults = Vec::new();
    let mut count = 0;
    for file in listed.lines().filter(|file| Path::new(file).extension().is_some_and(|ending| ending == "rs"))
    {
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        count += 1;
        if !text.starts_with("//!") {
            faults.push(format!("{file}: does not begin by saying what it is (`//! ...`)"));
        }
        if text.lines().count() > LONGEST {
            faults.push(format!("{file}: has more than {LONGEST} lines"));
        }
        for (number, line) in text.lines().enumerate() {
            faults.extend(
                forbidden
                    .iter()
                    .filter(|word| line.contains(*word))
                    .map(|word| format!("{file}:{}: `{word}`", number + 1)),
            );
        }
    }
    finish("words", count, &faults)
}

fn finish(what: &str, count: usize, faults: &[String]) -> Result<()> {
    for fault in faults {
        writeln!(std::io::stderr(), "{fault}")?;
    }
    ensure!(faults.is_empty(), "{what}: {} faults", faults.len());
    writeln!(std::io::stdout(), "{what}: {count} looked at, no faults")?;
    Ok(())
}
