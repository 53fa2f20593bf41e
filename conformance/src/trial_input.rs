//! The input of trials.

use crate::error::ConformanceError;
use crate::launch_record::LaunchRecord;
use crate::subject::{Claims, Subject};
use pop_field_retriever::payload::{self, PayloadRule};
use serde_json::Value;
use std::num::NonZeroUsize;

/// Number of segments of a compressed payload that is long enough.
const SEGMENTS: usize = 3;

/// The input of trials.
pub(crate) struct TrialInput {
    pub(crate) run: String,
    pub(crate) payload: String,
    pub(crate) bad_payload: Option<String>,
    /// Variables with the plain payload; below, with the payload compressed in several segments.
    pub(crate) plain: Vec<(String, String)>,
    pub(crate) compressed: Vec<(String, String)>,
    pub(crate) claims: Claims,
    /// The first launch.
    pub(crate) first: LaunchRecord,
    /// Whether a repeated launch gives the same result.
    pub(crate) is_repeatable: bool,
}

impl TrialInput {
    pub(crate) fn new(subject: &Subject, run: &str) -> Result<Self, ConformanceError> {
        let payload = subject.payload.trim().to_owned();
        serde_json::from_str::<Value>(&payload).map_err(ConformanceError::NotJson)?;
        let plain = payload::encode(&payload, PayloadRule::Plain)?;
        let whole = payload::encode(&payload, PayloadRule::Compressed)?;
        let length = whole.iter().map(|(_, value)| value.len()).max().unwrap_or_default();
        let segment = NonZeroUsize::new(length.div_ceil(SEGMENTS)).unwrap_or(NonZeroUsize::MIN);
        let compressed = payload::encode_in_segments(&payload, PayloadRule::Compressed, segment)?;
        Ok(Self {
            run: run.to_owned(),
            payload,
            bad_payload: subject.bad_payload.clone(),
            plain,
            compressed,
            claims: Claims::default(),
            first: LaunchRecord::default(),
            is_repeatable: true,
        })
    }

    /// The result of the first launch.
    pub(crate) fn result(&self) -> Value {
        self.first.judged().unwrap_or_default()
    }
}
