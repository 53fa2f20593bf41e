//! The program under examination, and what it claims.

use std::ffi::OsString;
use std::time::Duration;

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
