//! Operations that are added to a plan during the run, with the same checks as those of an agenda.

use super::build::{Batch, MOST_OPERATIONS};
use super::names::{Known, Names};
use super::types::Types;
use super::{Edge, EdgeKind, Graph, Origin, Plan, PlannedOperation, RareFields};
use crate::document::{InputSpecs, Operation};
use crate::ops::OpIx;
use pop_document::{Fault, Pointer, kind_of};
use pop_registry::LOCAL;
use serde_json::Value;
use std::sync::Arc;

/// Maximum depth of nested generators.
const MOST_LEVELS: u32 = 32;
/// Maximum number of faults of generated operations in a message.
const MOST_SHOWN: usize = 3;

/// Operations to add at the end of a plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grown {
    planned: Vec<PlannedOperation>,
    edges: Vec<Vec<Edge>>,
    names: Names,
}

impl Grown {
    /// Operations without dependencies.
    pub(super) fn of(planned: Vec<PlannedOperation>) -> Self {
        Self { edges: vec![Vec::new(); planned.len()], planned, names: Names::default() }
    }

    /// Names of the operations, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.planned.iter().map(|planned| planned.name.as_str())
    }

    /// Number of operations.
    pub(crate) fn len(&self) -> usize {
        self.planned.len()
    }
}

impl Plan {
    /// The instances of an operation, one per item.
    pub(crate) fn instances(&self, of: OpIx, count: usize) -> Grown {
        let whole = self.operation(of);
        let rare = whole.rare.as_deref().cloned().unwrap_or_default();
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
            || rare.when.is_some();
        let rare = has_rare.then(|| Arc::new(rare));
        let instance = |index: u32| PlannedOperation {
            name: whole.name.instance(index),
            is_read: true,
            rare: rare.clone(),
            origin: Some(Origin::Part { of, index }),
            ..whole.clone()
        };
        Grown::of((0..count as u32).map(instance).collect())
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
        let (operations, unread) = Operation::parse_list(items.clone(), at, &mut faults);
        let names = Names::check(&operations, unread, self.len(), Some(&self.names), &mut faults);
        let known = Known { own: &names, below: Some(&self.names) };
        let mut batch = Batch::plan(operations, known, &mut Types::of_context(context, LOCAL), &mut faults);
        self.check_generated(&batch, &mut faults);
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
        Ok(Grown { planned: batch.planned, edges: batch.edges, names })
    }

    fn check_generated(&self, batch: &Batch, faults: &mut Vec<Fault>) {
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
        // a cycle can only be among the generated operations
        let own = |edges: &Vec<Edge>| -> Vec<Edge> {
            let own = edges.iter().filter(|edge| edge.on.index() >= first);
            own.map(|edge| Edge { on: OpIx((edge.on.index() - first) as u32), ..*edge }).collect()
        };
        let lists: Vec<Vec<Edge>> = batch.edges.iter().map(own).collect();
        let graph = Graph::new(&lists.into());
        let (_, left) = graph.order();
        for cycle in graph.cycles(&left) {
            let names: Vec<_> = cycle.iter().map(|op| batch.planned[op.index()].name.as_str()).collect();
            let message = format!("operations depend on each other in a cycle: {}", names.join(" -> "));
            faults.push(Fault::value("cycle", Pointer::root(), message));
        }
        let context = self.context.as_ref();
        let inputs = context.map(|context| &context.inputs);
        batch.check(Some(&self.operations), self.on, inputs.unwrap_or(&InputSpecs::default()), faults);
    }

    /// Adds operations at the end.
    pub(crate) fn grow(&mut self, grown: Grown) {
        let Grown { planned, edges, names } = grown;
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
    }
}
