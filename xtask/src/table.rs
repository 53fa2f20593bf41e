//! Tables of promises: the rows in `docs/NAME.json`, joined with the results of their tests.
//!
//! A test belongs to a row if its name begins with the row's id: `f15_…`, or `f33_f35_…` for two rows. A table may have a
//! prefix before the ids: `fr_a1_…`. Equal rows and results give an equal page, so a check can compare it.

use crate::finish;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The content of `docs/NAME.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Title of the page.
    title: String,
    /// Introduction of the page.
    text: String,
    /// Heading of the scenario column.
    scenario: String,
    /// Prefix of the names of this table's tests, before the ids; without its underscore.
    #[serde(default)]
    prefix: Option<String>,
    rows: Vec<Row>,
}

/// One row of a table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// A letter and a number, for example `F15`.
    id: String,
    /// The event or the requirement.
    scenario: String,
    /// The behaviour of pop.
    promise: String,
    /// What pop does not cover.
    limit: Option<String>,
    /// Whether this version lacks the feature. Such a row needs a limit instead of a test.
    #[serde(default)]
    absent: bool,
}

/// Test results (`ok`, `FAILED`, `ignored`) by test name.
type Results = BTreeMap<String, String>;

/// Whether a table of this name exists.
pub(crate) fn exists(root: &Path, name: &str) -> bool {
    file(root, name, "json").is_file()
}

/// Writes the page of a table.
pub(crate) fn write(root: &Path, name: &str, results: &str) -> Result<()> {
    let (table, results) = read(root, name, results)?;
    fs::write(file(root, name, "md"), page(&table, &results, name))?;
    finish(name, table.rows.len(), &faults(&table, &results))
}

/// Checks that the page of a table is up to date and that each row has a passing test.
pub(crate) fn check(root: &Path, name: &str, results: &str) -> Result<()> {
    let (table, results) = read(root, name, results)?;
    let mut faults = faults(&table, &results);
    if fs::read_to_string(file(root, name, "md")).unwrap_or_default() != page(&table, &results, name) {
        faults.push(format!("docs/{name}.md is not up to date: `cargo xtask {name} RESULTS` writes it"));
    }
    finish(name, table.rows.len(), &faults)
}

fn file(root: &Path, name: &str, ending: &str) -> PathBuf {
    root.join("docs").join(name).with_extension(ending)
}

fn read(root: &Path, name: &str, results: &str) -> Result<(Table, Results)> {
    let rows = fs::read_to_string(file(root, name, "json"))?;
    let table: Table = serde_json::from_str(&rows).with_context(|| format!("docs/{name}.json"))?;
    let results = fs::read_to_string(results).with_context(|| format!("results `{results}`"))?;
    let results = parse_results(&results, table.prefix.as_deref());
    Ok((table, results))
}

/// Reads the lines `test path::name ... result` of `cargo test` for tests whose names begin with an id.
fn parse_results(text: &str, prefix: Option<&str>) -> Results {
    let parse = |line: &str| {
        let (path, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
        let name = path.split(' ').next()?.rsplit("::").next()?;
        let result = result.split([',', ' ']).next()?;
        (!ids_of(name, prefix).is_empty()).then(|| (name.to_owned(), result.to_owned()))
    };
    text.lines().filter_map(parse).collect()
}

/// The ids at the start of a test's name, after the table's prefix.
fn ids_of(test: &str, prefix: Option<&str>) -> Vec<String> {
    let test = match prefix {
        Some(prefix) => test.strip_prefix(prefix).and_then(|test| test.strip_prefix('_')).unwrap_or_default(),
        None => test,
    };
    let is_id = |word: &&str| {
        let digits = word.strip_prefix(|c: char| c.is_ascii_lowercase()).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    test.split('_').take_while(is_id).map(str::to_uppercase).collect()
}

fn tests_of<'r>(table: &Table, row: &Row, results: &'r Results) -> Vec<(&'r str, &'r str)> {
    let is_of = |test: &str| ids_of(test, table.prefix.as_deref()).contains(&row.id);
    results
        .iter()
        .filter(|(test, _)| is_of(test))
        .map(|(test, result)| (test.as_str(), result.as_str()))
        .collect()
}

fn faults(table: &Table, results: &Results) -> Vec<String> {
    let mut faults = Vec::new();
    let mut known = BTreeSet::new();
    for row in &table.rows {
        if !known.insert(row.id.as_str()) {
            faults.push(format!("{}: two rows have this id", row.id));
        }
        let tests = tests_of(table, row, results);
        faults.extend(
            tests.iter().filter(|(_, result)| *result == "FAILED").map(|(test, _)| format!("{test}: failed")),
        );
        if row.absent && row.limit.is_none() {
            faults.push(format!("{}: is absent, but has no limit", row.id));
        }
        if !row.absent && !tests.iter().any(|(_, result)| *result == "ok") {
            faults.push(format!("{}: has no passing test", row.id));
        }
    }
    // the ids of other tables have other letters
    let letters: BTreeSet<&str> = known.iter().filter_map(|id| id.get(..1)).collect();
    for test in results.keys() {
        let ids = ids_of(test, table.prefix.as_deref()).into_iter();
        let unknown = ids.filter(|id| letters.contains(&id[..1]) && !known.contains(id.as_str()));
        faults.extend(unknown.map(|id| format!("{test}: there is no row {id}")));
    }
    faults
}

fn page(table: &Table, results: &Results, name: &str) -> String {
    let mut page = format!(
        "# {}\n\n{}\n\nWritten by `cargo xtask {name}` from `docs/{name}.json` and the results of the tests.\n\n\
         | row | {} | what pop does | shown by | limits |\n|---|---|---|---|---|\n",
        table.title, table.text, table.scenario
    );
    for row in &table.rows {
        let tests: Vec<_> =
            tests_of(table, row, results).iter().map(|(test, result)| format!("`{test}` {result}")).collect();
        let cells = [
            row.id.clone(),
            row.scenario.clone(),
            row.promise.clone(),
            tests.join("<br>"),
            row.limit.clone().unwrap_or_default(),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        // writing to a string does not fail
        writeln!(page, "| {} |", cells.join(" | ")).ok();
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(row: &str) -> Table {
        let text = format!(r#"{{"title": "T", "text": "t", "scenario": "what happens", "rows": [{row}]}}"#);
        serde_json::from_str(&text).unwrap()
    }

    const RESULTS: &str = "running 3 tests\ntest a::b::f1_x ... ok\ntest f2_f1_y - should panic ... ok\n\
                           test f10_z ... ignored, why\ntest e9_other_table ... ok\ntest plain ... FAILED\n";

    #[test]
    fn a_test_belongs_to_the_rows_at_the_start_of_its_name() {
        let results = parse_results(RESULTS, None);
        let table = table(r#"{"id": "F1", "scenario": "a|b", "promise": "c"}"#);
        assert_eq!(tests_of(&table, &table.rows[0], &results), [("f1_x", "ok"), ("f2_f1_y", "ok")]);
        assert_eq!(
            page(&table, &results, "n").lines().last(),
            Some("| F1 | a\\|b | c | `f1_x` ok<br>`f2_f1_y` ok |  |")
        );
        assert_eq!(faults(&table, &results), ["f10_z: there is no row F10", "f2_f1_y: there is no row F2"]);
    }

    #[test]
    fn a_row_needs_a_passing_test_unless_absent_with_a_limit() {
        for (row, results, fault) in [
            (r#"{"id": "F1", "scenario": "", "promise": ""}"#, "", "F1: has no passing test"),
            (r#"{"id": "F1", "scenario": "", "promise": "", "absent": true}"#, "", "F1: is absent"),
            (
                r#"{"id": "F1", "scenario": "", "promise": ""}"#,
                "test f1 ... ignored",
                "F1: has no passing test",
            ),
            (
                r#"{"id": "F1", "scenario": "", "promise": ""}"#,
                "test f1 ... ok\ntest f1_x ... FAILED",
                "f1_x: failed",
            ),
        ] {
            let found = faults(&table(row), &parse_results(results, None));
            assert!(found.len() == 1 && found[0].starts_with(fault), "{found:?}");
        }
        let absent =
            table(r#"{"id": "F1", "scenario": "", "promise": "", "absent": true, "limit": "none yet"}"#);
        assert!(faults(&absent, &parse_results("", None)).is_empty());
    }

    #[test]
    fn a_prefix_separates_the_tests_of_two_tables() {
        let results =
            parse_results("test fr_a1_x ... ok\ntest a1_y ... ok\ntest fr_plain ... ok", Some("fr"));
        assert_eq!(results.keys().collect::<Vec<_>>(), ["fr_a1_x"]);
        let row = r#"{"id": "A1", "scenario": "", "promise": ""}"#;
        let table = Table { prefix: Some("fr".to_owned()), ..table(row) };
        assert_eq!(tests_of(&table, &table.rows[0], &results), [("fr_a1_x", "ok")]);
    }
}
