//! The files that operations declare in `reads` and `writes`, and warnings about files that two operations share.

use super::payload::Values;
use super::{BindError, Graph, Payload, Plan, PlannedOperation, Serves};
use crate::document::RareParams;
use crate::files::{DeclaredFiles, FilePattern, quote};
use crate::ops::OpIx;
use crate::outcome::Outcome;
use pop_contract::LaunchType;
use pop_document::{Fault, Pointer, Site};
use pop_registry::PodConfig;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Maximum number of patterns that are compared with one another.
const MOST_COMPARED: usize = 2_000;

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

    fn lists(&self) -> impl Iterator<Item = (&'static str, &Payload)> {
        let lists = [("reads", &self.reads), ("writes", &self.writes)];
        lists.into_iter().filter_map(|(key, list)| Some((key, list.as_ref()?)))
    }

    /// Adds a fault for each text that cannot become a pattern.
    pub(super) fn check(&self, name: &str, at: &Pointer, faults: &mut Vec<Fault>) {
        for (key, list) in self.lists() {
            for (pointer, text) in list.texts("x") {
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
            Serves::Resident(_) | Serves::Dispatch => "",
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
        Serves::Resident(_) | Serves::Dispatch => return None,
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
    at: &Pointer,
    faults: &mut Vec<Fault>,
) {
    let params = at.join("params");
    let name = &planned.name;
    let own = planned.policies.cache_files.value
        && planned.policies.cache_files.scope == pop_policy::Scope::Operation;
    if own && planned.files().is_none_or(|files| files.writes.is_none()) {
        let message = format!("`cacheFiles` of operation `{name}` has no effect without `writes`");
        faults.push(Fault::key("no-effect", params.join("cacheFiles"), message).warning());
    }
    let Some(files) = planned.files() else { return };
    files.check(name.as_str(), &params, faults);
    let key = if files.reads.is_some() { "reads" } else { "writes" };
    if planned.serves == Serves::Dispatch {
        let message = format!("`{key}` of operation `{name}` has no effect: its calls have their own files");
        faults.push(Fault::key("no-effect", params.join(key), message).warning());
        return;
    }
    let texts = |list: &Option<Payload>| -> Box<[Box<str>]> {
        let texts = list.iter().flat_map(|list| list.texts("x")).map(|(_, text)| text);
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

/// One pattern of an operation, relative to the folder in which programs start.
struct Declared {
    op: OpIx,
    is_write: bool,
    /// `*` stands in place of each reference.
    pattern: FilePattern,
    /// The path, if it is known before the run.
    path: Option<Box<str>>,
    site: Site,
}

fn declared(planned: &[PlannedOperation], places: &[Pointer]) -> Vec<Declared> {
    let mut all = Vec::new();
    for (index, (planned, place)) in planned.iter().zip(places).enumerate() {
        let Some(files) = planned.files() else { continue };
        let folder = planned.working_folder(planned.payload.template());
        for (key, list) in files.lists() {
            for (pointer, text) in list.texts("*") {
                let from_start = match folder {
                    _ if text.starts_with('/') => text.clone(),
                    "" => text.clone(),
                    // the folder of an instance is unknown
                    folder if folder.contains("@<") => format!("**/{text}"),
                    folder => format!("{}/{text}", quote_steps(folder)),
                };
                let Ok(pattern) = FilePattern::parse(&from_start) else { continue };
                let is_known = !list.has_reference_at(&pointer) && !folder.contains("@<");
                let path = pattern.path().filter(|_| is_known).map(String::into_boxed_str);
                let site = Site::Value(Pointer::from(format!("{}{pointer}", place.join("params").join(key))));
                all.push(Declared { op: OpIx(index as u32), is_write: key == "writes", pattern, path, site });
            }
        }
    }
    all
}

fn quote_steps(folder: &str) -> String {
    folder.split('/').map(quote).collect::<Vec<_>>().join("/")
}

/// Warns of files that two operations write, and of files that an operation reads without a dependency on their writer.
/// Returns the files that no operation writes.
pub(super) fn check_shared(
    planned: &[PlannedOperation],
    places: &[Pointer],
    graph: &Graph,
    faults: &mut Vec<Fault>,
) -> Vec<SourceFile> {
    let all = declared(planned, places);
    let name = |op: OpIx| &planned[op.index()].name;
    let (writes, reads): (Vec<&Declared>, Vec<&Declared>) = all.iter().partition(|file| file.is_write);
    let mut order = Order { graph, above: HashMap::new() };
    let mut writers: HashMap<&str, &Declared> = HashMap::new();
    for file in &writes {
        let Some(path) = &file.path else { continue };
        if planned[file.op.index()].for_each().is_some() {
            let message = format!("each instance of operation `{}` writes `{path}`", name(file.op));
            let fault = Fault::new("shared-file", file.site.clone(), message).warning();
            faults.push(fault.hint("name the file by the item, for example \"out/@<pop.index>.txt\""));
        }
        let Some(other) = writers.insert(path, file) else { continue };
        let mut changes = |first: &Declared, second: &Declared| {
            order.follows(second.op, first.op)
                && reads.iter().any(|read| read.op == second.op && read.pattern.covers(path))
        };
        if other.op == file.op || changes(other, file) || changes(file, other) {
            continue;
        }
        if is_either_or(planned, graph, other.op, file.op) {
            continue;
        }
        let message = format!("operations `{}` and `{}` both write `{path}`", name(other.op), name(file.op));
        let fault = Fault::new("shared-file", file.site.clone(), message).warning();
        let fault = fault.related(other.site.clone(), format!("`{}` writes it here", name(other.op)));
        faults.push(
            fault.hint(
                "if the second changes the file, give it `dependsOn` the first and the file in `reads`",
            ),
        );
    }
    let mut sources = Vec::new();
    for read in &reads {
        if writes.len().saturating_mul(reads.len()) > MOST_COMPARED * MOST_COMPARED {
            break;
        }
        let mut is_written = false;
        for write in writes.iter().filter(|write| write.op != read.op) {
            let is_one = match (&read.path, &write.path) {
                (Some(path), _) => write.pattern.covers(path),
                (None, Some(path)) => read.pattern.covers(path),
                (None, None) => false,
            };
            is_written |= is_one;
            if !is_one || order.follows(read.op, write.op) || order.follows(write.op, read.op) {
                continue;
            }
            let (reader, writer) = (name(read.op), name(write.op));
            let message = format!(
                "operation `{reader}` reads a file that `{writer}` writes, but does not depend on it"
            );
            let fault = Fault::new("no-order", read.site.clone(), message).warning();
            let fault = fault.related(write.site.clone(), format!("`{writer}` writes it here"));
            faults.push(fault.hint(format!("add `dependsOn: {writer}` to `{reader}`")));
        }
        if let Some(path) = read.path.as_ref().filter(|_| !is_written) {
            let operation = name(read.op).as_str().into();
            sources.push(SourceFile { operation, path: path.clone(), site: read.site.clone() });
        }
    }
    sources
}

/// Whether at most one of two operations runs to its end: one starts only if the other did not succeed, or both have a
/// condition.
fn is_either_or(planned: &[PlannedOperation], graph: &Graph, one: OpIx, other: OpIx) -> bool {
    let is_fallback = |of: OpIx, on: OpIx| {
        graph.dependencies(of).iter().any(|edge| edge.on == on && !edge.needs.contains(Outcome::Succeeded))
    };
    let has_condition = |op: OpIx| {
        let planned = &planned[op.index()];
        planned.policies.skip.value.is_some()
            || planned.rare.as_ref().is_some_and(|rare| rare.when.is_some() || !rare.groups.is_empty())
    };
    is_fallback(one, other) || is_fallback(other, one) || (has_condition(one) && has_condition(other))
}

/// Which operations follow others, computed once for each that is asked about.
struct Order<'g> {
    graph: &'g Graph,
    above: HashMap<OpIx, HashSet<OpIx>>,
}

impl Order<'_> {
    /// Whether `op` starts only after `on` has settled.
    fn follows(&mut self, op: OpIx, on: OpIx) -> bool {
        let graph = self.graph;
        let above = self.above.entry(op).or_insert_with(|| {
            let mut above = HashSet::new();
            let mut open = vec![op];
            while let Some(next) = open.pop() {
                let edges = graph.dependencies(next).iter().map(|edge| edge.on);
                open.extend(edges.filter(|on| above.insert(*on)));
            }
            above
        });
        above.contains(&on)
    }
}
