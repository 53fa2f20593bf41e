//! onFail: the outcome of an operation, and the effect on its run, after the last attempt failed.

use crate::choice::choose;
use crate::policy::Policy;
use crate::read;
use pop_document::{Fault, Pointer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Action after the last attempt has failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OnFail {
    /// The operation fails; its dependents do not run.
    #[default]
    Reply,
    /// The operation is skipped with the result null; the run continues.
    Skip,
    /// The operation goes to the dead-letter queue; its dependents do not run, the run continues.
    Dlq,
    /// The operation fails, running operations are stopped and the run ends.
    Fatal,
}

pub(crate) const ON_FAIL: Policy<OnFail> =
    Policy::new("onFail", |fields, key| read::with(fields, key, OnFail::parse), OnFail::to_string)
        .always_shown()
        .for_parts();

const WORDS: [(&str, OnFail); 4] =
    [("REPLY", OnFail::Reply), ("SKIP", OnFail::Skip), ("DLQ", OnFail::Dlq), ("FATAL", OnFail::Fatal)];

impl OnFail {
    /// Reads one of the words, in any letter case.
    pub fn parse(value: &Value, at: &Pointer, faults: &mut Vec<Fault>) -> Option<Self> {
        choose(&WORDS, "onFail", value, at, faults)
    }
}

impl fmt::Display for OnFail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WORDS.iter().find(|(_, rule)| rule == self).map_or("REPLY", |(name, _)| name))
    }
}
