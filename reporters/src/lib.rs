//! What is told of work: `status`, how a handler or the executor reports its progress to whoever launched it; and
//! `run`, what people and machines see of a whole run.

#[cfg(feature = "run")]
pub mod run;
pub mod status;
