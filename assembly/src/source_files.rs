//! Warns of files that operations read, that no operation writes, and that do not exist.

use crate::text_faults::TextFaults;
use pop_agenda::Plan;
use pop_document::Fault;
use std::path::Path;

/// Adds a warning for each of these files that is missing in the folder in which programs start.
pub(crate) fn find_source_files(plan: &Plan, folder: &Path, faults: &mut TextFaults) {
    let missing = plan.source_files().iter().filter(|source| !folder.join(&*source.path).exists());
    faults.agenda.extend(missing.map(|source| {
        let message = format!(
            "operation `{}` reads `{}`, which does not exist and which no operation writes",
            source.operation, source.path
        );
        let fault = Fault::new("missing-file", source.site.clone(), message).warning();
        fault.hint("create it before the run, or declare it in the `writes` of the operation that makes it")
    }));
}
