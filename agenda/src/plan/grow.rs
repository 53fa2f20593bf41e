//! Growing: the operations that come into a plan while it runs, checked like those that are written.

use super::build::{Batch, MOST_OPERATIONS};
use super::names::{Known, Names};
use super::types::Types;
use super::{Edge, EdgeKind, Graph, Origin, Plan, PlannedOperation, RareFields};
use crate::document::Operation;
use crate::ops::OpIx;
use pop_document::{Fault, Pointer, kind_of};
use pop_registry::LOCAL;
use serde_json::Value;
use std::sync::Arc;

/// How many generators may stand above one another.
const MOST_LEVELS: u32 = 32;
/// The most faults of generated operations that are told.
const MOST_TOLD: usize = 3;

/// Operations that are to come behind those of a plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grown {
    planned: Vec<PlannedOperation>,
    edges: Vec<Vec<Edge>>,
    names: Names,
}

impl Grown {
    /// Operations that wait for nothing.
    pub(super) fn of(planned: Vec<PlannedOperation>) -> Self {
        Self { edges: vec![Vec::new(); planned.len()], planned, names: Names::default() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.planned.len()
    }
}

impl Plan {
    /// The instances of an operation, one for each of its items.
    pub(crate) fn instances(&self, of: OpIx, count: usize) -> Grown {
        let whole = self.operation(of);
        let rare = whole.rare.as_deref().cloned().unwrap_or_default();
        // what concerns the whole is not repeated in its parts
        let rare =
            RareFields { for_each: None, generator: None, is_last: false, is_conditional: false, ..rare };
        let has_rare =
            !rare.params.is_empty() || rare.lock_keys.is_some() || rare.action.is_some() || rare.is_cleanup;
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

    /// The operations that stand in a generator's result; words, if they are not such as an agenda may have.
    pub(crate) fn generated(&self, by: OpIx, result: &Value) -> Result<Grown, String> {
        let nothing = Grown::of(Vec::new());
        let (Some(generator), Some(roots)) = (self.operation(by).generator(), &self.roots) else {
            return Ok(nothing);
        };
        let at = &generator.operations;
        let Some(found) = at.find(result) else {
            return Err(format!("there is no `{at}` in its result, where the operations are to be"));
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
        let said_log_only = result.get("logOnly").and_then(Value::as_bool).unwrap_or_default();
        if generator.is_log_only || said_log_only {
            return Ok(nothing);
        }
        let depth = match self.operation(by).origin {
            Some(Origin::Generated { depth, .. }) => depth + 1,
            _ => 1,
        };
        if depth > MOST_LEVELS && !items.is_empty() {
            return Err(format!("more than {MOST_LEVELS} generators stand above one another"));
        }
        if self.len() + items.len() > MOST_OPERATIONS {
            return Err(format!("a run has at most {MOST_OPERATIONS} operations"));
        }
        let mut faults = Vec::new();
        let (operations, unread) = Operation::parse_list(items.clone(), at, &mut faults);
        let names = Names::check(&operations, unread, self.len(), Some(&self.names), &mut faults);
        let known = Known { own: &names, below: Some(&self.names) };
        let mut batch = Batch::plan(operations, known, &mut Types::of_roots(roots, LOCAL), &mut faults);
        self.check_generated(&batch, &mut faults);
        let told: Vec<String> = faults
            .iter()
            .filter(|fault| fault.is_error())
            .map(|fault| format!("{} (at `{}` of its result)", fault.message, fault.pointer()))
            .collect();
        if !told.is_empty() {
            let more = told.len().saturating_sub(MOST_TOLD);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            return Err(format!("{}{more}", told[..told.len().min(MOST_TOLD)].join("; ")));
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
                    "`finally` of the generated operation `{}` waits for the whole run: name in `dependsOn` what it is for",
                    planned.name
                );
                faults.push(Fault::value("misplaced-param", Pointer::root(), message));
            }
        }
        // what is generated can only wait in a circle among itself
        let own = |edges: &Vec<Edge>| -> Vec<Edge> {
            let own = edges.iter().filter(|edge| edge.on.index() >= first);
            own.map(|edge| Edge { on: OpIx((edge.on.index() - first) as u32), ..*edge }).collect()
        };
        let lists: Vec<Vec<Edge>> = batch.edges.iter().map(own).collect();
        let graph = Graph::new(&lists.into());
        let (_, left) = graph.order();
        for cycle in graph.cycles(&left) {
            let names: Vec<_> = cycle.iter().map(|op| batch.planned[op.index()].name.as_str()).collect();
            let message = format!("operations wait for one another: {}", names.join(" -> "));
            faults.push(Fault::value("cycle", Pointer::root(), message));
        }
        batch.check(Some(&self.operations), faults);
    }

    /// Takes operations in, behind those that are there.
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
