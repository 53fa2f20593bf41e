//! The project's own checks: `cargo xtask edges` compares what imports what with what may and looks for circles of files, `cargo xtask words` looks
//! for what must not stand in the project, `cargo xtask faults` and `cargo xtask rows` write or check a table of promises
//! and their tests.

mod edges;
mod file_circles;
mod imports;
mod table;
mod words;

use anyhow::{Context as _, Result, bail, ensure};
use std::io::Write as _;
use std::path::Path;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a folder")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["edges"] => edges::check(root),
        ["words"] => words::check(root),
        [name, "--check", results] if table::is_there(root, name) => table::check(root, name, results),
        [name, results] if table::is_there(root, name) => table::write(root, name, results),
        _ => bail!(
            "usage: cargo xtask edges | words | TABLE [--check] RESULTS (docs/TABLE.json: faults, rows)"
        ),
    }
}

/// Tells what was found, and fails if that is anything.
fn finish(what: &str, count: usize, faults: &[String]) -> Result<()> {
    for fault in faults {
        writeln!(std::io::stderr(), "{fault}")?;
    }
    ensure!(faults.is_empty(), "{what}: {} faults", faults.len());
    writeln!(std::io::stdout(), "{what}: {count} looked at, no faults")?;
    Ok(())
}
