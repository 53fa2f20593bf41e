//! Operations that are added to a plan during the run, with the same checks as those of an agenda.

use super::batch::Batch;
use super::body::Body;
use super::build::{MOST_OPERATIONS, plan_list};
use super::names::{Known, Names};
use super::scope::{MOST_LEVELS, Scope};
use super::types::Types;
use super::{Edge, EdgeKind, OpRef, Origin, Plan, PlannedOperation, RareFields};
use crate::document::{AgendaFiles, InputSpecs, ItemFailures, OperationList};
use crate::ops::OpIx;
use pop_document::{Fault, Pointer, kind_of};
use pop_registry::LOCAL;
use serde_json::Value;
use std::sync::Arc;

/// Maximum number of faults of generated operations in a message.
const MOST_SHOWN: usize = 3;

/// Operations to add at the end of a plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grown {
    planned: Vec<PlannedOperation>,
    edges: Vec<Vec<Edge>>,
    names: Names,
    /// Names of the items for people, by their order; empty if the operations are no named items.
    labels: Vec<Box<str>>,
}

impl Grown {
    /// Operations without dependencies.
    pub(super) fn of(planned: Vec<PlannedOperation>) -> Self {
        Self::with_edges(planned, Vec::new())
    }

    /// Operations with their dependencies.
    pub(super) fn with_edges(planned: Vec<PlannedOperation>, edges: Vec<Vec<Edge>>) -> Self {
        Self { planned, edges, ..Self::default() }
    }

    /// Name of each operation and the operations whose results it reads, in order.
    pub(crate) fn names_and_reads(&self) -> impl Iterator<Item = (&str, Vec<OpIx>)> {
        self.planned.iter().enumerate().map(|(index, planned)| {
            let edges = self.edges.get(index).into_iter().flatten();
            let reads = edges.filter(|edge| edge.kind == EdgeKind::Reads).map(|edge| edge.on);
            (planned.name.as_str(), reads.collect())
        })
    }

    /// Number of operations.
    pub(crate) fn len(&self) -> usize {
        self.planned.len()
    }
}

impl Plan {
    /// The instances of an operation, one per item. `labels` are the names of the items for people, if they have any.
    pub(crate) fn instances(&self, of: OpIx, count: usize, labels: Vec<Box<str>>) -> Grown {
        let whole = self.operation(of);
        let rare = whole.rare.as_deref().cloned().unwrap_or_default();
        let keeps_failures = rare.for_each.as_ref().is_some_and(|each| each.failures != ItemFailures::Fail);
        // these fields apply to the operation as a whole, not to its instances
        let rare = RareFields {
            for_each: None,
            generator: None,
            is_last: false,
            is_conditional: false,
            groups: Vec::new(),
            when: rare.when.clone().filter(|when| when.reads_item),
            ..rare
        };
        let has_rare = !rare.params.is_empty()
            || rare.lock_keys.is_some()
            || rare.action.is_some()
            || rare.is_cleanup
            || rare.files.is_some()
            || rare.when.is_some()
            || rare.needs.is_some();
        let rare = has_rare.then(|| Arc::new(rare));
        let instance = |index: u32| PlannedOperation {
            name: whole.name.instance(index),
            is_read: true,
            is_absorbed: whole.is_absorbed || keeps_failures,
            rare: rare.clone(),
            origin: Some(Origin::Part { of, index }),
            ..whole.clone()
        };
        Grown { labels, ..Grown::of((0..count as u32).map(instance).collect()) }
    }

    /// The operations inside an operation of type `agenda`, to be added at the end of the plan.
    pub(crate) fn inside(&self, of: OpIx, body: &Body) -> Grown {
        let whole = self.operation(of);
        let first = self.len() as u32;
        let (name, is_absorbed) = (&whole.name, whole.is_absorbed);
        let planned = (0..).zip(body.operations()).map(|(index, inner)| PlannedOperation {
            name: name.inner(&inner.name),
            is_absorbed,
            origin: Some(Origin::Inner { of, index }),
            ..inner.clone()
        });
        let number = |on: OpRef| match on {
            OpRef::Fixed(op) => op,
            OpRef::Inner { up: 0, index } => OpIx(first + index),
            OpRef::Inner { up, index } => self.resolve(of, OpRef::Inner { up: up - 1, index }),
        };
        let edges = (0..body.operations().len()).map(|index| {
            let mut edges: Vec<Edge> =
                body.dependencies(index).iter().map(|edge| edge.to(number(edge.on))).collect();
            edges.sort_unstable();
            edges
        });
        Grown::with_edges(planned.collect(), edges.collect())
    }

    /// The operations in the result of a generator, or a message if they break a rule.
    pub(crate) fn generated(&self, by: OpIx, result: &Value) -> Result<Grown, String> {
        let nothing = Grown::of(Vec::new());
        let (Some(generator), Some(context)) = (self.operation(by).generator(), &self.context) else {
            return Ok(nothing);
        };
        let at = &generator.operations;
        let Some(found) = at.find(result) else {
            return Err(format!("its result has no `{at}`, the location of the operations"));
        };
        if let Some(at) = &generator.params
            && let Some(params) = at.find(result)
            && !(params.is_object() || params.is_null())
        {
            return Err(format!("`{at}` of its result must be a map, not {}", kind_of(params)));
        }
        let Value::Array(items) = found else {
            return Err(format!("`{at}` of its result must be a list of operations, not {}", kind_of(found)));
        };
        let is_log_only = result.get("logOnly").and_then(Value::as_bool).unwrap_or_default();
        if generator.is_log_only || is_log_only {
            return Ok(nothing);
        }
        let depth = match self.operation(by).origin {
            Some(Origin::Generated { depth, .. }) => depth + 1,
            _ => 1,
        };
        if depth > MOST_LEVELS && !items.is_empty() {
            return Err(format!("generators are nested more than {MOST_LEVELS} levels deep"));
        }
        if self.len() + items.len() > MOST_OPERATIONS {
            return Err(format!("a run has at most {MOST_OPERATIONS} operations"));
        }
        let mut faults = Vec::new();
        let list = OperationList::of(items.clone(), at.clone());
        let OperationList { operations, unread, faults: found, .. } = list;
        faults.extend(found);
        let names = Names::check(&operations, unread, self.len(), Some(&self.names), &mut faults);
        let known = Known { below: Some(&self.names), ..Known::of_agenda(&names) };
        let files = AgendaFiles::default();
        let scope = Scope {
            known,
            inputs: &context.inputs,
            has_items: false,
            depth: 0,
            document: files.main(),
            documents: &[],
            files: &files,
        };
        let mut batch =
            plan_list(operations, &scope, &mut Types::of_context(context, LOCAL, plan_list), &mut faults);
        self.check_generated(by, &batch, &mut faults);
        let messages: Vec<String> = faults
            .iter()
            .filter(|fault| fault.is_error())
            .map(|fault| format!("{} (at `{}` of its result)", fault.message, fault.pointer()))
            .collect();
        if !messages.is_empty() {
            let more = messages.len().saturating_sub(MOST_SHOWN);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            return Err(format!("{}{more}", messages[..messages.len().min(MOST_SHOWN)].join("; ")));
        }
        for planned in &mut batch.planned {
            planned.origin = Some(Origin::Generated { by, depth });
            planned.is_read = true;
        }
        let edges = batch.numbered();
        Ok(Grown { planned: batch.planned, edges, names, labels: Vec::new() })
    }

    fn check_generated(&self, by: OpIx, batch: &Batch, faults: &mut Vec<Fault>) {
        let first = self.len();
        for planned in &batch.planned {
            if planned.is_last() {
                let message = format!(
                    "generated operation `{}` with `finally` would wait for the whole run: name its dependencies in `dependsOn`",
                    planned.name
                );
                faults.push(Fault::value("misplaced-param", Pointer::root(), message));
            }
        }
        // a cycle can only be among the generated operations, or lead through one that waits for all of them
        batch.check_cycles(first, None, faults);
        for (planned, edges) in batch.planned.iter().zip(batch.numbered()) {
            if let Some(waiter) = self.waits_for_generated(by, &edges) {
                let waiter = &self.operation(waiter).name;
                let message = format!(
                    "generated operation `{}` depends on `{waiter}`, which waits for everything that is generated",
                    planned.name
                );
                faults.push(Fault::value("cycle", Pointer::root(), message));
            }
        }
        let context = self.context.as_ref();
        let inputs = context.map(|context| &context.inputs);
        batch.check(Some(&self.operations), self.on, inputs.unwrap_or(&InputSpecs::default()), faults);
    }

    /// Adds operations at the end. Returns earlier operations that wait for some of them.
    pub(crate) fn grow(&mut self, grown: Grown) -> Vec<OpIx> {
        let Grown { planned, mut edges, names, labels } = grown;
        edges.resize(planned.len(), Vec::new());
        let first = self.len() as u32;
        self.labels.extend((first..).map(OpIx).zip(labels));
        self.graph.grow(edges.iter());
        for (planned, edges) in planned.into_iter().zip(&edges) {
            for edge in edges.iter().filter(|edge| edge.kind == EdgeKind::Reads) {
                debug_assert!(
                    self.operations.get(edge.on).is_none_or(|read| read.is_read),
                    "a result was not kept"
                );
            }
            self.operations.push(planned);
        }
        self.names.extend(names);
        self.await_generators(OpIx(first))
    }
}
