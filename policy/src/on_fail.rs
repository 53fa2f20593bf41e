//! onFail: what becomes of an operation, and of its run, after the last attempt failed.

use pop_document::{Fault, Pointer, kind_of, nearest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// What happens after the last attempt has failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OnFail {
    /// The operation is failed; nothing that needs it runs.
    #[default]
    Reply,
    /// The operation is settled as skipped, its result is null, the run goes on.
    Skip,
    /// Running operations are stopped and the run ends at once.
    Fatal,
}

const WORDS: [(&str, OnFail); 3] =
    [("REPLY", OnFail::Reply), ("SKIP", OnFail::Skip), ("FATAL", OnFail::Fatal)];

impl OnFail {
    /// Reads one of the words, in any letter case.
    pub fn parse(value: &Value, at: &Pointer, faults: &mut Vec<Fault>) -> Option<Self> {
        let Some(word) = value.as_str() else {
            let message = format!("`onFail` must be REPLY, SKIP or FATAL, not {}", kind_of(value));
            faults.push(Fault::value("wrong-type", at.clone(), message));
            return None;
        };
        let found = WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, rule)| *rule);
        if found.is_none() {
            faults.push(if word.eq_ignore_ascii_case("DLQ") {
                let message = "`onFail: DLQ` is not supported by this version";
                Fault::value("not-supported", at.clone(), message).hint("use REPLY, SKIP or FATAL")
            } else {
                let message = format!("`onFail` must be REPLY, SKIP or FATAL, not `{word}`");
                let near = nearest(word, WORDS.iter().map(|(name, _)| *name));
                Fault::value("wrong-value", at.clone(), message).did_you_mean(near)
            });
        }
        found
    }
}

impl fmt::Display for OnFail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WORDS.iter().find(|(_, rule)| rule == self).map_or("REPLY", |(name, _)| name))
    }
}
