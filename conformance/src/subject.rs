//! The program that is examined, and what trials are made from.

use crate::launch::ConformanceError;
use crate::seen::Seen;
use pop_field_retriever::payload::{self, PayloadRule};
use serde_json::Value;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::time::Duration;

/// How many segments a compressed payload is cut into, if it is long enough.
const SEGMENTS: usize = 3;

/// The program that is examined.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The program and its own arguments. It is started in other folders than this process, so paths are absolute.
    pub argv: Vec<String>,
    /// A payload with which it succeeds: JSON.
    pub payload: String,
    /// A payload that it must refuse.
    pub bad_payload: Option<String>,
    /// How long one launch may take.
    pub limit: Duration,
    /// How much of that it may take after it was asked to stop.
    pub grace: Duration,
    /// The one variable that is taken over from this process.
    pub path: Option<OsString>,
}

/// What the program showed of itself, by which it is bound to more than every program.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Claims {
    pub(crate) reports: bool,
    pub(crate) reads_payload: bool,
    pub(crate) takes_launch_data: bool,
    /// Whether its description leaves compressed payloads out of the forms that it reads.
    pub(crate) leaves_out_compressed: bool,
    /// Whether its description leaves files out of the forms that it reads.
    pub(crate) leaves_out_files: bool,
}

/// What trials are made from.
pub(crate) struct Given {
    pub(crate) run: String,
    pub(crate) payload: String,
    pub(crate) bad_payload: Option<String>,
    /// The variables that carry the payload plain, and compressed in several segments.
    pub(crate) plain: Vec<(String, String)>,
    pub(crate) compressed: Vec<(String, String)>,
    pub(crate) claims: Claims,
    /// What was seen of the first launch.
    pub(crate) first: Seen,
    /// Whether the same launch gives the same result.
    pub(crate) is_repeatable: bool,
}

impl Given {
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
            first: Seen::default(),
            is_repeatable: true,
        })
    }

    /// The result of the first launch.
    pub(crate) fn result(&self) -> Value {
        self.first.judged().unwrap_or_default()
    }
}
