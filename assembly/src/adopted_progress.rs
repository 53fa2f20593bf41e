//! Reads the progress of an earlier run from the launch data of a new one.

use crate::error::AssemblyError;
use pop_agenda::{Plan, PriorOutcomes};
use pop_contract::AgendaProgress;
use pop_executor::adopt;
use pop_field_retriever::LaunchDataWrapper;

/// Outcomes of operations in an earlier run, which a new run does not repeat.
#[derive(Debug, Default)]
pub struct AdoptedProgress {
    /// Operations with their outcome in the earlier run.
    pub operations: PriorOutcomes,
    /// One message for each ignored part of the progress, with the reason.
    pub warnings: Vec<String>,
}

impl AdoptedProgress {
    /// Reads the last progress of launch data. Progress that cannot be parsed is ignored with a warning.
    pub fn of(plan: &Plan, launch_data: &dyn LaunchDataWrapper) -> Result<Self, AssemblyError> {
        let Some(found) = launch_data.last_progress()? else { return Ok(Self::default()) };
        let warning = |why: String| format!("the last progress ({}): {why}", found.origin);
        Ok(match AgendaProgress::parse(&found.value) {
            Ok(progress) => {
                let refused = progress.refused.iter();
                let warnings = refused.map(|why| warning(format!("{why}; the entry is ignored"))).collect();
                Self { operations: adopt(plan, progress), warnings }
            }
            Err(error) => Self {
                operations: PriorOutcomes::default(),
                warnings: vec![warning(format!("{error}; it is ignored"))],
            },
        })
    }
}
