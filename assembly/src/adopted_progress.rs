//! The progress of an earlier run, as launch data hands it to a new one.

use crate::error::AssemblyError;
use pop_agenda::{Plan, PriorOutcome};
use pop_contract::AgendaProgress;
use pop_executor::adopt;
use pop_field_retriever::LaunchDataWrapper;

/// What an earlier run of the agenda had reached.
#[derive(Debug, Default)]
pub struct AdoptedProgress {
    /// The operations and what they had reached.
    pub operations: Vec<PriorOutcome>,
    /// What of the progress was ignored, and why.
    pub warnings: Vec<String>,
}

impl AdoptedProgress {
    /// Reads the last progress of launch data. One that cannot be read counts as none.
    pub fn of(plan: &Plan, launch_data: &dyn LaunchDataWrapper) -> Result<Self, AssemblyError> {
        let Some(found) = launch_data.last_progress()? else { return Ok(Self::default()) };
        let warning = |why: String| format!("the last progress ({}): {why}", found.origin);
        Ok(match AgendaProgress::parse(&found.value) {
            Ok(progress) => {
                let refused = progress.refused.iter();
                let warnings = refused.map(|why| warning(format!("{why}; the entry is ignored"))).collect();
                Self { operations: adopt(plan, progress), warnings }
            }
            Err(error) => {
                Self { operations: Vec::new(), warnings: vec![warning(format!("{error}; it is ignored"))] }
            }
        })
    }
}
