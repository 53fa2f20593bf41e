//! The files that operations declare: their patterns before an attempt, and whether they are verified after it.

use super::{Scheduler, StartError};
use crate::files::DeclaredFiles;
use crate::gate::Gate;
use crate::ops::OpIx;
use crate::plan::BindError;
use serde_json::Value;
use std::sync::Arc;

impl Scheduler {
    /// The declared files of an operation with their references replaced; none if it declares none.
    pub(super) fn files_of(&self, op: OpIx, payload: &Value) -> Result<Option<DeclaredFiles>, StartError> {
        let Some(declared) = self.bind_files(op, payload)? else { return Ok(None) };
        match self.plan.files_problem(self.plan.operation(op), &declared) {
            Some(problem) => Err(StartError::Payload(problem)),
            None => Ok(Some(declared)),
        }
    }

    /// The patterns of an operation after their references were replaced; none if it declares no files. The dependencies
    /// must be settled.
    pub fn bind_files(&self, op: OpIx, payload: &Value) -> Result<Option<DeclaredFiles>, BindError> {
        let planned = self.plan.operation(op);
        let values = self.values(op);
        planned.files().map(|files| files.bind(planned.working_folder(payload), &values)).transpose()
    }

    /// The declared files of an operation that prepares an attempt or has one running.
    pub fn declared_files(&self, op: OpIx) -> Option<&Arc<DeclaredFiles>> {
        self.gates.passing.get(&op)?.gates.iter().find_map(|gate| match gate {
            Gate::Files(declared) => Some(declared),
            _ => None,
        })
    }

    /// Whether the success of an attempt counts only after a commit: of its versions, or of its files. Files that it only
    /// reads are compared with their digests before its result is cached.
    pub(super) fn needs_commit(&self, op: OpIx) -> bool {
        let is_cached = || {
            let passing = self.gates.passing.get(&op);
            passing.is_some_and(|passing| passing.gates.iter().any(|gate| matches!(gate, Gate::Cache(_))))
        };
        !self.versions(op).is_empty()
            || self.declared_files(op).is_some_and(|files| !files.writes.is_empty() || is_cached())
    }
}
