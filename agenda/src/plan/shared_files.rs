//! Warnings about declared files: two operations write one, nobody writes one that is read, or an operation reads one
//! without a dependency on its writer.
//!
//! Paths are looked up, and only patterns with wildcards are compared with all others. If there are too many, the plan
//! is not checked in this respect.

use super::batch::Batch;
use super::files::SourceFile;
use super::{Graph, PlannedOperation};
use crate::files::{FilePattern, quote};
use crate::name::OperationName;
use crate::ops::OpIx;
use crate::outcome::Outcome;
use pop_document::{Fault, Pointer, Site};
use std::collections::{HashMap, HashSet};

/// Maximum number of comparisons of patterns.
const MOST_COMPARED: usize = 4_000_000;
/// Maximum number of operations that are visited to find out which follow which.
const MOST_VISITED: usize = 4_000_000;
/// Maximum number of warnings of one kind.
const MOST_WARNINGS: usize = 100;

/// One pattern of an operation, relative to the folder in which programs start.
struct Declared<'p> {
    /// The operation of the agenda: that around it, if the operation is inside another one.
    op: OpIx,
    name: &'p OperationName,
    /// Whether several instances have this pattern.
    is_repeated: bool,
    is_write: bool,
    /// `*` stands in place of each reference.
    pattern: FilePattern,
    /// The path, if it is known before the run.
    path: Option<Box<str>>,
    site: Site,
}

/// Collects the patterns of a batch. `around` is the operation around it, and whether that one has several instances.
fn collect<'b>(batch: &'b Batch, around: Option<(OpIx, bool)>, all: &mut Vec<Declared<'b>>) {
    let of = |index: usize| {
        let (op, is_repeated) = around.unwrap_or((OpIx(index as u32), false));
        (op, is_repeated || batch.planned[index].for_each().is_some())
    };
    for (index, inside) in batch.inside_here() {
        collect(inside, Some(of(*index)), all);
    }
    for (index, (planned, place)) in batch.planned.iter().zip(&batch.places).enumerate() {
        let (op, is_repeated) = of(index);
        let Some(files) = planned.files() else { continue };
        let folder = planned.working_folder(planned.payload.template());
        for (key, list) in files.lists() {
            for (pointer, text, has_reference) in list.texts("*") {
                let from_start = match folder {
                    _ if text.starts_with('/') => text.clone(),
                    "" => text.clone(),
                    // the folder of an instance is unknown
                    folder if folder.contains("@<") => format!("**/{text}"),
                    folder => format!("{}/{text}", quote_steps(folder)),
                };
                let Ok(pattern) = FilePattern::parse(&from_start) else { continue };
                let is_known = !has_reference && !folder.contains("@<");
                let path = pattern.path().filter(|_| is_known).map(String::into_boxed_str);
                let site = Site::Value(Pointer::from(format!("{}{pointer}", place.join("params").join(key))));
                let (name, is_write) = (&planned.name, key == "writes");
                all.push(Declared { op, name, is_repeated, is_write, pattern, path, site });
            }
        }
    }
}

fn quote_steps(folder: &str) -> String {
    folder.split('/').map(quote).collect::<Vec<_>>().join("/")
}

/// Adds the warnings. Returns the files that no operation writes.
pub(super) fn check_shared(batch: &Batch, graph: &Graph, faults: &mut Vec<Fault>) -> Vec<SourceFile> {
    let mut all = Vec::new();
    collect(batch, None, &mut all);
    if all.is_empty() {
        return Vec::new();
    }
    let (writes, reads): (Vec<&Declared>, Vec<&Declared>) = all.iter().partition(|file| file.is_write);
    let mut check = Check { planned: &batch.planned, graph, visits: MOST_VISITED, writers: HashMap::new() };
    check.writes(&writes, &reads, faults);
    check.reads(&writes, &reads, faults)
}

struct Check<'p> {
    planned: &'p [PlannedOperation],
    graph: &'p Graph,
    /// Operations that may still be visited.
    visits: usize,
    /// The writers of each path.
    writers: HashMap<&'p str, Vec<&'p Declared<'p>>>,
}

impl<'p> Check<'p> {
    /// Warns of files that two operations write.
    fn writes(&mut self, writes: &[&'p Declared<'p>], reads: &[&'p Declared<'p>], faults: &mut Vec<Fault>) {
        let mut reads_of: HashMap<OpIx, Vec<&Declared<'_>>> = HashMap::new();
        for read in reads {
            reads_of.entry(read.op).or_default().push(read);
        }
        let mut count = 0;
        for file in writes {
            let Some(path) = &file.path else { continue };
            let others = self.writers.entry(path).or_default();
            let other = others.last().copied().filter(|other| other.op != file.op);
            others.push(file);
            if count >= MOST_WARNINGS {
                continue;
            }
            if file.is_repeated {
                let message = format!("each instance of operation `{}` writes `{path}`", file.name);
                let fault = Fault::new("shared-file", file.site.clone(), message).warning();
                faults.push(fault.hint("name the file by the item, for example \"out/@<pop.index>.txt\""));
                count += 1;
            }
            let Some(other) = other else { continue };
            let mut changes = |first: &Declared<'_>, second: &Declared<'_>| {
                let own = reads_of.get(&second.op);
                let reads_it = own.is_some_and(|own| own.iter().any(|read| read.pattern.covers(path)));
                reads_it && self.follows(second.op, first.op)
            };
            if changes(other, file) || changes(file, other) || self.is_either_or(other.op, file.op) {
                continue;
            }
            let (one, two) = (other.name, file.name);
            let message = format!("operations `{one}` and `{two}` both write `{path}`");
            let fault = Fault::new("shared-file", file.site.clone(), message).warning();
            let fault = fault.related(other.site.clone(), format!("`{one}` writes it here"));
            faults.push(fault.hint(
                "if the second changes the file, give it `dependsOn` the first and the file in `reads`",
            ));
            count += 1;
        }
    }

    /// Warns of files that are read without a dependency on their writer. Returns those that nobody writes.
    fn reads(
        &mut self,
        writes: &[&'p Declared<'p>],
        reads: &[&'p Declared<'p>],
        faults: &mut Vec<Fault>,
    ) -> Vec<SourceFile> {
        let has_wildcards = |file: &&&'p Declared<'p>| file.path.is_none();
        let wild: Vec<&Declared> = writes.iter().filter(has_wildcards).copied().collect();
        let wild_reads = reads.iter().filter(has_wildcards).count();
        let comparisons =
            wild.len().saturating_mul(reads.len()).saturating_add(wild_reads.saturating_mul(writes.len()));
        if comparisons > MOST_COMPARED {
            return Vec::new();
        }
        let (mut sources, mut count) = (Vec::new(), 0);
        for read in reads {
            let writers: Vec<&Declared> = match &read.path {
                Some(path) => {
                    let named = folders(path).filter_map(|path| self.writers.get(path)).flatten().copied();
                    named.chain(wild.iter().copied().filter(|write| write.pattern.covers(path))).collect()
                }
                None => {
                    let named = |write: &&&'p Declared<'p>| {
                        write.path.as_ref().is_some_and(|path| read.pattern.covers(path))
                    };
                    writes.iter().filter(named).copied().collect()
                }
            };
            let others = || writers.iter().filter(|write| !std::ptr::eq(write.name, read.name));
            for write in others() {
                // the order inside another operation is not known here
                if count >= MOST_WARNINGS
                    || read.op == write.op
                    || self.follows(read.op, write.op)
                    || self.follows(write.op, read.op)
                {
                    continue;
                }
                let (reader, writer) = (read.name, write.name);
                let message = format!(
                    "operation `{reader}` reads a file that `{writer}` writes, but does not depend on it"
                );
                let fault = Fault::new("no-order", read.site.clone(), message).warning();
                let fault = fault.related(write.site.clone(), format!("`{writer}` writes it here"));
                faults.push(fault.hint(format!("add `dependsOn: {writer}` to `{reader}`")));
                count += 1;
            }
            if let Some(path) = read.path.as_ref().filter(|_| others().next().is_none()) {
                let operation = read.name.as_str().into();
                sources.push(SourceFile { operation, path: path.clone(), site: read.site.clone() });
            }
        }
        sources
    }

    /// Whether `op` starts only after `on` has settled; true if that takes too long to find out.
    fn follows(&mut self, op: OpIx, on: OpIx) -> bool {
        let (mut seen, mut open) = (HashSet::new(), vec![op]);
        while let Some(next) = open.pop() {
            if self.visits == 0 {
                return true;
            }
            self.visits -= 1;
            for edge in self.graph.dependencies(next) {
                if edge.on == on {
                    return true;
                }
                if seen.insert(edge.on) {
                    open.push(edge.on);
                }
            }
        }
        false
    }

    /// Whether at most one of two operations runs to its end: one starts only if the other did not succeed, or both have
    /// a condition.
    fn is_either_or(&self, one: OpIx, other: OpIx) -> bool {
        let is_fallback = |of: OpIx, on: OpIx| {
            let mut edges = self.graph.dependencies(of);
            edges.any(|edge| edge.on == on && !edge.needs.contains(Outcome::Succeeded))
        };
        let has_condition = |op: OpIx| {
            let planned = &self.planned[op.index()];
            planned.policies.skip.value.is_some()
                || planned.rare.as_ref().is_some_and(|rare| rare.when.is_some() || !rare.groups.is_empty())
        };
        is_fallback(one, other) || is_fallback(other, one) || (has_condition(one) && has_condition(other))
    }
}

/// A path and the folders above it.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    let above = path.char_indices().rev().filter(|(_, letter)| *letter == '/').map(|(at, _)| &path[..at]);
    std::iter::once(path).chain(above)
}
