//! One module for each format of a report.

pub mod annotations;
pub mod csv;
mod instant;
pub mod junit;
pub mod markdown;

pub mod page;
pub mod trace;

use crate::model::Report;

/// The report as JSON (docs/formats/report.md), with a line end.
pub fn json(report: &Report<'_>) -> Result<String, serde_json::Error> {
    serde_json::to_string(report).map(|text| text + "\n")
}
