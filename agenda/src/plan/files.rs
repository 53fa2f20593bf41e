//! The files that operations declare in `reads` and `writes`: their patterns, and whether pop can verify them.

use super::payload::Values;
use super::{BindError, Payload, Plan, PlannedOperation, Serves};
use crate::document::RareParams;
use crate::files::{DeclaredFiles, FilePattern, quote};
use pop_contract::LaunchType;
use pop_document::{ElementPointer, Fault, Pointer, Site};
use pop_registry::PodConfig;
use serde_json::Value;

/// The patterns of an operation, with references.
#[derive(Debug, Clone, Default)]
pub struct PlannedFiles {
    /// Files that it reads: a string or a list of strings.
    pub reads: Option<Payload>,
    /// Files that it writes.
    pub writes: Option<Payload>,
}

/// A file that an operation reads, that no operation writes, and that therefore must exist before the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Name of the operation.
    pub operation: Box<str>,
    /// Path, relative to the folder in which programs start.
    pub path: Box<str>,
    /// Place of the pattern in the agenda.
    pub site: Site,
}

impl PlannedFiles {
    /// Compiles the patterns of an operation; none if it has none.
    pub(super) fn compile(
        params: &mut RareParams,
        at: &Pointer,
        mut compile: impl FnMut(Value, &Pointer) -> Payload,
    ) -> Option<Box<Self>> {
        let mut read = |value: Option<Value>, key: &str| {
            value
                .filter(|value| *value != Value::Array(Vec::new()))
                .map(|value| compile(value, &at.join(key)))
        };
        let files =
            Self { reads: read(params.reads.take(), "reads"), writes: read(params.writes.take(), "writes") };
        (files.reads.is_some() || files.writes.is_some()).then(|| Box::new(files))
    }

    /// Replaces the references.
    pub(crate) fn bind(&self, folder: &str, values: &Values<'_>) -> Result<DeclaredFiles, BindError> {
        let texts = |patterns: &Option<Payload>| {
            let texts = patterns.as_ref().map(|patterns| patterns.bind_texts(values, quote)).transpose()?;
            Ok(texts.unwrap_or_default().into())
        };
        Ok(DeclaredFiles { folder: folder.into(), reads: texts(&self.reads)?, writes: texts(&self.writes)? })
    }

    pub(super) fn lists(&self) -> impl Iterator<Item = (&'static str, &Payload)> {
        let lists = [("reads", &self.reads), ("writes", &self.writes)];
        lists.into_iter().filter_map(|(key, list)| Some((key, list.as_ref()?)))
    }

    /// Adds a fault for each text that cannot become a pattern.
    pub(super) fn check(&self, name: &str, at: &Pointer, faults: &mut Vec<Fault>) {
        for (key, list) in self.lists() {
            for (pointer, text, _) in list.texts("x") {
                if let Err(problem) = FilePattern::parse(&text) {
                    let at = Pointer::from(format!("{}{pointer}", at.join(key)));
                    let message = format!("a pattern in `{key}` of operation `{name}` {problem}");
                    faults.push(Fault::value("bad-pattern", at, message));
                }
            }
        }
    }
}

impl PlannedOperation {
    /// The patterns of the files that the operation declares.
    pub fn files(&self) -> Option<&PlannedFiles> {
        self.rare.as_ref()?.files.as_deref()
    }

    /// The working directory for a payload, relative to the folder in which programs start; empty for that folder.
    pub(crate) fn working_folder<'v>(&'v self, payload: &'v Value) -> &'v str {
        match &self.serves {
            Serves::Exec => payload["workingDirectory"].as_str().unwrap_or_default(),
            Serves::Program(entry) => entry.working_directory.as_deref().unwrap_or_default(),
            Serves::Resident(_) | Serves::Dispatch | Serves::Agenda(_) => "",
        }
    }
}

impl Plan {
    /// Why pop cannot verify the files of an operation: its program may not see them. None if it can.
    pub(crate) fn files_problem(&self, planned: &PlannedOperation, files: &DeclaredFiles) -> Option<String> {
        files_problem(planned, &self.exec_pod, self.on, files)
    }

    /// The files that operations of the agenda read and that no operation writes.
    pub fn source_files(&self) -> &[SourceFile] {
        &self.source_files
    }
}

/// Why pop cannot verify these files.
pub(super) fn files_problem(
    planned: &PlannedOperation,
    exec_pod: &PodConfig,
    on: LaunchType,
    files: &DeclaredFiles,
) -> Option<String> {
    for text in files.reads.iter().chain(&files.writes) {
        if let Err(problem) = FilePattern::parse(text) {
            return Some(format!("the pattern `{text}` {problem}"));
        }
    }
    let capabilities = on.capabilities();
    let pod = match &planned.serves {
        Serves::Resident(_) | Serves::Dispatch | Serves::Agenda(_) => return None,
        Serves::Exec => exec_pod,
        Serves::Program(entry) => &entry.pod,
    };
    if capabilities.uses_host_programs {
        return None;
    }
    if !capabilities.reads_host_files && pod.workspace_mount_path.is_none() {
        return Some(format!(
            "it declares files, but its programs do not share a folder with pop under the {on} launcher"
        ));
    }
    // only the folder in which programs start is mounted
    let is_outside = |text: &str| {
        let folder = if files.folder.is_empty() { "." } else { &files.folder };
        let path = format!("{folder}/{text}");
        text.starts_with('/') || FilePattern::parse(&path).is_ok_and(|pattern| pattern.leaves_folder())
    };
    let outside = files.reads.iter().chain(&files.writes).find(|text| is_outside(text))?;
    Some(format!(
        "the file `{outside}` is outside the folder that its programs share with pop under the {on} launcher"
    ))
}

/// Adds the faults of one operation with files.
pub(super) fn check_operation(
    planned: &PlannedOperation,
    exec_pod: &PodConfig,
    on: LaunchType,
    at: &ElementPointer,
    faults: &mut Vec<Fault>,
) {
    let params = || at.join("params");
    let name = &planned.name;
    let own = planned.policies.cache_files.value
        && planned.policies.cache_files.scope == pop_policy::Scope::Operation;
    if own && planned.files().is_none_or(|files| files.writes.is_none()) {
        let message = format!("`cacheFiles` of operation `{name}` has no effect without `writes`");
        faults.push(Fault::key("no-effect", params().join("cacheFiles"), message).warning());
    }
    let Some(files) = planned.files() else { return };
    let params = params();
    files.check(name.as_str(), &params, faults);
    let key = if files.reads.is_some() { "reads" } else { "writes" };
    let parts = match planned.serves {
        Serves::Dispatch => Some("its calls"),
        Serves::Agenda(_) => Some("the operations inside"),
        _ => None,
    };
    if let Some(parts) = parts {
        let message = format!("`{key}` of operation `{name}` has no effect: {parts} have their own files");
        faults.push(Fault::key("no-effect", params.join(key), message).warning());
        return;
    }
    let texts = |list: &Option<Payload>| -> Box<[Box<str>]> {
        let texts = list.iter().flat_map(|list| list.texts("x")).map(|(_, text, _)| text);
        texts.filter(|text| FilePattern::parse(text).is_ok()).map(String::into_boxed_str).collect()
    };
    let folder = planned.working_folder(planned.payload.template());
    let folder = if folder.contains("@<") { "" } else { folder };
    let declared =
        DeclaredFiles { folder: folder.into(), reads: texts(&files.reads), writes: texts(&files.writes) };
    if let Some(problem) = files_problem(planned, exec_pod, on, &declared) {
        let message = format!("operation `{name}` cannot start: {problem}");
        let fault = Fault::key("not-launchable", params.join(key), message);
        let hint = if on.capabilities().reads_host_files {
            "declare files below the folder in which pop runs"
        } else {
            "set workspaceMountPath in its podConfig to mount the folder in which pop runs, or remove `reads` and `writes`"
        };
        faults.push(fault.hint(hint));
    }
}
