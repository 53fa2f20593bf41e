//! Reporters. `status`: a handler or the executor reports its progress to its launcher. `run`: a run is shown to people
//! and programs.

#[cfg(feature = "run")]
pub mod run;
pub mod status;
