//! Totals of resources on the command line.

use crate::completion;
use crate::error::{CommandError, Kind};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use pop_agenda::{ResourceTotals, Resources};
use pop_assembly::{Surroundings, machine_resources};
use pop_field_retriever::LaunchType;
use pop_policy::ResourceError;
use std::ffi::OsStr;

/// Totals of the resources that running operations share.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ResourceArgs {
    /// Set totals of the resources that running operations share (`resources` in their params), such as gpu=2,license=3;
    /// repeatable [default: variable POP_RESOURCES, then cpu and memory of this machine for local processes; a resumed run keeps
    /// its totals]
    #[arg(long, value_name = "NAME=N", value_parser = resources, add = ArgValueCompleter::new(completion::resources))]
    pub(crate) resources: Vec<Resources>,
}

impl ResourceArgs {
    /// The variable that sets totals.
    const VARIABLE: &str = "POP_RESOURCES";

    /// The totals on the command line; the last one of a name counts.
    pub(crate) fn written(&self) -> Resources {
        self.resources.iter().rev().fold(Resources::default(), Resources::or)
    }

    /// The totals of a new run: those of the command line, then those of the variable, then those of this machine if it
    /// runs the programs. `needs_all`: whether a resource without a total is a fault even if no total is set.
    pub(crate) fn totals(
        &self,
        launcher: LaunchType,
        surroundings: &Surroundings,
        needs_all: bool,
    ) -> Result<ResourceTotals, CommandError> {
        let variable = surroundings.variable(Self::VARIABLE).map(OsStr::to_string_lossy).unwrap_or_default();
        let of_variable: Resources = variable.parse().map_err(|error: ResourceError| {
            let message = format!("variable `{}`: {error}", Self::VARIABLE);
            let refused = CommandError::new(Kind::Usage, message);
            match error.hint() {
                Some(hint) => refused.hint(hint),
                None => refused,
            }
        })?;
        let set = self.written().or(&of_variable);
        let are_complete = needs_all || !set.is_empty();
        let is_here = launcher.capabilities().uses_host_programs;
        let amounts = if is_here { set.or(&machine_resources()) } else { set };
        Ok(ResourceTotals { amounts, are_complete })
    }
}

fn resources(text: &str) -> Result<Resources, String> {
    text.parse().map_err(|error: ResourceError| match error.hint() {
        Some(hint) => format!("{error}: {hint}"),
        None => error.to_string(),
    })
}
