//! Checks and tables of this project.
//!
//! `cargo xtask edges` checks the imports between crates and finds import cycles of files. `cargo xtask words` finds
//! forbidden phrases. `cargo xtask faults` and `cargo xtask rows` write or check a table of promises and their tests.

mod edges;
mod file_cycles;
mod imports;
mod table;
mod words;

use anyhow::{Context as _, Result, bail, ensure};
use std::io::Write as _;
use std::path::Path;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace folder")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["edges"] => edges::check(root),
        ["words"] => words::check(root),
        [name, "--check", results] if table::exists(root, name) => table::check(root, name, results),
        [name, results] if table::exists(root, name) => table::write(root, name, results),
        _ => bail!(
            "usage: cargo xtask edges | words | TABLE [--check] RESULTS (docs/TABLE.json: faults, rows)"
        ),
    }
}

/// Prints the faults of a check, and fails if there are any. `count` is the number of files, crates or rows checked.
fn finish(check: &str, count: usize, faults: &[String]) -> Result<()> {
    for fault in faults {
        writeln!(std::io::stderr(), "{fault}")?;
    }
    ensure!(faults.is_empty(), "{check}: {} faults", faults.len());
    writeln!(std::io::stdout(), "{check}: {count} checked, no faults")?;
    Ok(())
}
