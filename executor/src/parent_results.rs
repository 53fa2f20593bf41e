//! The results of the parent of a rerun: frozen when the run begins, and compared with operations that are about to run.
//!
//! The frozen records are a file among the inputs of the run, so the parent may be deleted meanwhile.

use crate::files::{changed_reads, changed_writes};
use crate::named_files::{FOLDER, FileFinder};
use pop_agenda::{
    Answer, DeclaredFiles, NamedFile, OpIx, OperationIdentity, ParentRecord, Plan, ReusableResult, Serves,
};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Most differences that a reason lists.
const MOST_CHANGES: usize = 5;

/// The bytes of the frozen records.
pub fn parent_bytes(records: &[ParentRecord]) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::new();
    for record in records {
        serde_json::to_writer(&mut bytes, record)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// The records of the parent, read when the first operation is compared.
pub(crate) struct ParentResults {
    file: PathBuf,
    finder: FileFinder,
    records: OnceLock<Result<HashMap<Box<str>, ParentRecord>, String>>,
}

/// An operation that may reuse the result of the parent.
pub(crate) struct Candidate<'c> {
    pub(crate) plan: &'c Plan,
    pub(crate) op: OpIx,
    /// Whether an operation before it ran again, with the same result.
    pub(crate) reads_repeated: bool,
    /// The files that it declares.
    pub(crate) declared: Option<&'c DeclaredFiles>,
}

impl ParentResults {
    /// The records in the folder of a run.
    pub(crate) fn of(file: PathBuf, finder: FileFinder) -> Self {
        Self { file, finder, records: OnceLock::new() }
    }

    /// Whether an operation is as it was in the parent. `payload` has its references replaced.
    pub(crate) fn compare(&self, candidate: &Candidate<'_>, payload: Option<&Value>) -> Answer {
        let payload = payload.ok_or_else(|| "its payload is not known".to_owned());
        match payload.and_then(|payload| self.reusable(candidate, payload)) {
            Ok(ReusableResult { run, named_files, files, value, .. }) => {
                Answer::Reused { result: value, run, named_files, files }
            }
            Err(why) => Answer::miss(why),
        }
    }

    fn reusable(&self, candidate: &Candidate<'_>, payload: &Value) -> Result<ReusableResult, String> {
        let Candidate { plan, op, reads_repeated, declared } = *candidate;
        let records = self.records.get_or_init(|| read(&self.file).map_err(|error| error.to_string()));
        let planned = plan.operation(op);
        let records = records
            .as_ref()
            .map_err(|error| format!("the records of the earlier run cannot be read: {error}"))?;
        let record = records.get(planned.name.as_str());
        let record = record.ok_or_else(|| "that run had no such operation".to_owned())?;
        let earlier = record.result.as_ref().map_err(|why| format!("in that run, {why}"))?;
        let mut changes = OperationIdentity::of(plan, op, payload).changes(&earlier.identity);
        if declared != earlier.files.as_ref().map(|files| &*files.declared) {
            changes.push("declared files (`reads`, `writes`)".to_owned());
        }
        if !changes.is_empty() {
            return Err(format!("changed: {}", listed(changes)));
        }
        if let Some(files) = &earlier.files {
            let start = &self.finder.start;
            let changes = changed_reads(start, files).into_iter().chain(changed_writes(start, files));
            let changes: Vec<String> = changes.map(|change| format!("declared file {change}")).collect();
            if !changes.is_empty() {
                return Err(listed(changes));
            }
        }
        let now = self.finder.find(planned, payload);
        let is_declared = self.finder.declared_paths(earlier.files.as_deref());
        let changes = file_changes(&earlier.named_files, &now, &|path| is_declared.contains(path));
        if !changes.is_empty() {
            return Err(listed(changes));
        }
        let declares_reads = declared.is_some_and(|declared| !declared.reads.is_empty());
        if reads_repeated && !declares_reads {
            let is_elsewhere = !self.finder.on.capabilities().uses_host_programs
                && matches!(planned.serves, Serves::Exec | Serves::Program(_));
            if is_elsewhere {
                return Err("an operation before it ran again, and the files that its container sees may have changed"
                    .to_owned());
            }
        }
        // what is in a folder is unknown, unless `reads` declares it, or it only takes files that `writes` declares
        let is_output = |folder: &NamedFile| {
            is_declared
                .iter()
                .any(|path| path.strip_prefix(&*folder.path).is_some_and(|rest| rest.starts_with('/')))
        };
        let is_open = |file: &&NamedFile| &*file.stamp == FOLDER && !is_output(file);
        if let Some(folder) = now.iter().find(is_open).filter(|_| !declares_reads) {
            return Err(format!(
                "it names the folder `{}`, whose content may have changed (declare its files in `reads`)",
                folder.path
            ));
        }
        Ok(earlier.clone())
    }
}

/// The differences between the files that an operation named after its attempt, and those that it names now. Declared
/// files are compared by their content elsewhere.
fn file_changes(then: &[NamedFile], now: &[NamedFile], is_declared: &dyn Fn(&str) -> bool) -> Vec<String> {
    let stamps = |files: &[NamedFile]| -> BTreeMap<Box<str>, Box<str>> {
        let files = files.iter().filter(|file| !is_declared(&file.path));
        files.map(|file| (file.path.clone(), file.stamp.clone())).collect()
    };
    let during = then.iter().filter(|file| file.changed && !is_declared(&file.path));
    let during = during.map(|file| {
        format!(
            "file `{}` changed while the operation ran (list it in `writes` if the operation writes it)",
            file.path
        )
    });
    let mut changes: Vec<String> = during.collect();
    let (then, now) = (stamps(then), stamps(now));
    for (path, stamp) in &then {
        match now.get(path) {
            None => changes.push(format!("`{path}` does not exist any more")),
            Some(other) if other != stamp => changes.push(format!("file `{path}` has changed")),
            Some(_) => {}
        }
    }
    let new = now.keys().filter(|path| !then.contains_key(*path));
    changes.extend(new.map(|path| format!("`{path}` is new")));
    changes
}

fn listed(mut changes: Vec<String>) -> String {
    let more = changes.len().saturating_sub(MOST_CHANGES);
    changes.truncate(MOST_CHANGES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", changes.join(", "))
}

fn read(file: &Path) -> io::Result<HashMap<Box<str>, ParentRecord>> {
    let mut records = HashMap::new();
    for line in BufReader::new(File::open(file)?).lines() {
        let record: ParentRecord = crate::journal::read_json(line?.as_bytes())?;
        records.insert(record.operation.clone(), record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, stamp: &str, changed: bool) -> NamedFile {
        NamedFile { path: path.into(), stamp: stamp.into(), changed }
    }

    #[test]
    fn changed_removed_and_new_files_are_named() {
        let then =
            [file("a", "1", false), file("b", "1", false), file("c", "1", true), file("d", "1", false)];
        let now =
            [file("a", "1", false), file("b", "2", false), file("c", "1", false), file("e", "1", false)];
        let expected = [
            "file `c` changed while the operation ran (list it in `writes` if the operation writes it)",
            "file `b` has changed",
            "`d` does not exist any more",
            "`e` is new",
        ];
        assert_eq!(file_changes(&then, &now, &|_| false), expected);
        assert_eq!(file_changes(&then[..2], &then[..2], &|_| false), Vec::<String>::new());
        assert_eq!(file_changes(&then[2..], &now[3..], &|path| path != "d"), [expected[2]]);
    }
}
