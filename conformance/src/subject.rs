//! The program under examination, and the input of its trials.

use crate::launch::ConformanceError;
use crate::seen::Seen;
use pop_field_retriever::payload::{self, PayloadRule};
use serde_json::Value;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Number of segments of a compressed payload that is long enough.
const SEGMENTS: usize = 3;

/// The program under examination.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The program and its own arguments. It starts in other folders than this process, so paths are absolute.
    pub argv: Vec<String>,
    /// A payload (JSON) with which the program succeeds.
    pub payload: String,
    /// A payload that the program must refuse.
    pub bad_payload: Option<String>,
    /// Time limit of one launch.
    pub limit: Duration,
    /// Part of the limit that the program may use after SIGTERM.
    pub grace: Duration,
    /// `PATH`, the only variable inherited from this process.
    pub path: Option<OsString>,
}

/// What the program showed of itself; each claim binds it to more checks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Claims {
    pub(crate) reports: bool,
    pub(crate) reads_payload: bool,
    pub(crate) takes_launch_data: bool,
    /// Whether its description excludes compressed payloads.
    pub(crate) leaves_out_compressed: bool,
    /// Whether its description excludes payload files.
    pub(crate) leaves_out_files: bool,
}

/// The input of trials.
pub(crate) struct Given {
    pub(crate) run: String,
    pub(crate) payload: String,
    pub(crate) bad_payload: Option<String>,
    /// Variables with the plain payload; below, with the payload compressed in several segments.
    pub(crate) plain: Vec<(String, String)>,
    pub(crate) compressed: Vec<(String, String)>,
    pub(crate) claims: Claims,
    /// The first launch.
    pub(crate) first: Seen,
    /// Whether a repeated launch gives the same result.
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
