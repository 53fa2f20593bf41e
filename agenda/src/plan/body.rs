//! Type `agenda`: the operations inside an operation. They are planned once, and added to the run for each instance.

use super::batch::{Batch, Scope};
use super::edges::Reasons;
use super::grow::{Grown, MOST_LEVELS};
use super::names::{Known, Names};
use super::types::Types;
use super::{Edge, EdgeKind, OpRef, Origin, Payload, Plan, PlannedOperation, build};
use crate::document::{InputSpecs, Operation};
use crate::ops::OpIx;
use crate::outcome::Outcomes;
use pop_document::{Fault, Pointer, kind_of, nearest};
use pop_policy::POLICIES;
use serde_json::{Map, Value};
use std::sync::Arc;

const FIELDS: [&str; 2] = ["operations", "result"];
/// The only policy of an operation that makes no attempts.
const SKIP: &str = "skipPattern";

/// The operations inside an operation of type `agenda`.
#[derive(Debug, Default)]
pub struct Body {
    operations: Vec<PlannedOperation>,
    edges: Vec<Vec<Edge<OpRef>>>,
    /// The result of the whole, with references to results of the operations.
    pub(crate) result: Option<Payload>,
    /// The inputs of a file; none for operations written in place, which share the inputs around them.
    pub(crate) inputs: Option<InputSpecs>,
}

impl PartialEq for Body {
    /// Whether both are the same body, not an equal one.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Body {
    /// The operations, in order. Their names lack that of the whole.
    pub fn operations(&self) -> &[PlannedOperation] {
        &self.operations
    }

    /// The dependencies of the operation with this index, in order.
    pub fn dependencies(&self, index: usize) -> &[Edge<OpRef>] {
        self.edges.get(index).map_or(&[], Vec::as_slice)
    }

    /// Plans the payload of an operation of type `agenda`. `has_items` tells whether its operations have an item.
    pub(super) fn plan(
        whole: &Operation,
        payload: Value,
        has_items: bool,
        scope: &Scope<'_>,
        types: &mut Types<'_>,
        faults: &mut Vec<Fault>,
    ) -> Option<(Self, Batch)> {
        let name = &whole.name;
        let at = whole.pointer.join("payload");
        let depth = scope.depth + 1;
        if depth > MOST_LEVELS {
            let message =
                format!("operations of type `agenda` are nested more than {MOST_LEVELS} levels deep");
            faults.push(Fault::value("too-deep", whole.pointer.clone(), message));
            return None;
        }
        let Value::Object(mut payload) = payload else {
            let message = format!(
                "the payload of operation `{name}` must be a map with `operations`, not {}",
                kind_of(&payload)
            );
            faults.push(Fault::value("wrong-payload", at, message));
            return None;
        };
        check_keys(&payload, &at, faults);
        let operations = match payload.remove("operations") {
            Some(Value::Array(operations)) if !operations.is_empty() => operations,
            Some(Value::Array(_)) | None => {
                let message = format!("operation `{name}` has no operations inside");
                let fault = Fault::value("missing-field", at, message);
                faults.push(fault.hint("type `agenda` needs the list `operations` in its payload"));
                return None;
            }
            Some(other) => {
                let message =
                    format!("`operations` of operation `{name}` must be a list, not {}", kind_of(&other));
                faults.push(Fault::value("wrong-payload", at.join("operations"), message));
                return None;
            }
        };
        let (operations, unread) = Operation::parse_list(operations, &at.join("operations"), faults);
        let names = Names::check(&operations, unread, 0, None, faults);
        let known = Known::of_body(&names, Some(&scope.known));
        let inner = Scope { known, inputs: scope.inputs, has_items, depth };
        let mut batch = Batch::plan(operations, &inner, types, faults);
        let mut reasons = Reasons::new(name.as_str(), &inner);
        let result = payload.remove("result");
        let result = result.map(|result| build::compile(result, &at.join("result"), &mut reasons, faults));
        batch.of_result = reasons.found;
        check_generators(&batch, faults);
        wait_in_body(&mut batch);
        batch.check_cycles(0, faults);
        batch.mark_reads(0);
        let body = Self {
            operations: std::mem::take(&mut batch.planned),
            edges: batch.edges.clone(),
            result,
            inputs: None,
        };
        // the checks that need the operations around it come later
        batch.planned.clone_from(&body.operations);
        Some((body, batch))
    }
}

fn check_keys(payload: &Map<String, Value>, at: &Pointer, faults: &mut Vec<Fault>) {
    for key in payload.keys().filter(|key| !FIELDS.contains(&key.as_str())) {
        let message = format!("the payload of type `agenda` has no field `{key}`");
        let fault = Fault::key("unknown-field", at.join(key), message);
        faults.push(fault.did_you_mean(nearest(key, FIELDS)).hint("it has `operations` and `result`"));
    }
}

/// Reports params that are about attempts: the operation itself makes none.
pub(super) fn check_params(whole: &Operation, faults: &mut Vec<Fault>) {
    let is_idle = |key: &&String| POLICIES.contains(&key.as_str()) && *key != SKIP;
    for key in whole.params.keys().filter(is_idle) {
        let message = format!(
            "`{key}` has no effect on operation `{}`: type `agenda` makes no attempts of its own",
            whole.name
        );
        let fault = Fault::key("misplaced-param", whole.pointer.join("params").join(key), message);
        faults.push(fault.hint(match key.as_str() {
            "onFail" => "set `itemFailures` with `forEach`, or `onFail` on operations inside",
            _ => "set it on the operations inside",
        }));
    }
}

/// A generator adds operations to the agenda, not to the body.
fn check_generators(batch: &Batch, faults: &mut Vec<Fault>) {
    let generators =
        batch.planned.iter().zip(&batch.places).filter(|(planned, _)| planned.generator().is_some());
    for (planned, place) in generators {
        let message = format!(
            "operation `{}` is a generator, which is not possible inside type `agenda`",
            planned.name
        );
        let at = place.join("params").join("agenda.operation.generator");
        faults.push(
            Fault::key("misplaced-param", at, message).hint("use `forEach` for one operation per item"),
        );
    }
}

/// A `finally` operation without `dependsOn` waits for all others of its body.
fn wait_in_body(batch: &mut Batch) {
    let others: Vec<OpRef> = (0..batch.planned.len())
        .filter(|index| !batch.planned[*index].is_last())
        .map(OpRef::sibling)
        .collect();
    for (planned, edges) in batch.planned.iter_mut().zip(&mut batch.edges) {
        let Some(rare) = planned.rare.as_mut().filter(|rare| rare.is_last) else { continue };
        Arc::make_mut(rare).is_last = false;
        for on in &others {
            if edges.iter().all(|edge| edge.on != *on) {
                edges.push(Edge { on: *on, kind: EdgeKind::Follows, needs: Outcomes::ANY });
            }
        }
        edges.sort_unstable();
    }
}

impl Plan {
    /// The operations inside an operation of type `agenda`, to be added at the end of the plan.
    pub(crate) fn inside(&self, of: OpIx, body: &Body) -> Grown {
        let whole = self.operation(of);
        let first = self.len() as u32;
        let (name, is_absorbed) = (&whole.name, whole.is_absorbed);
        let planned = (0..).zip(&body.operations).map(|(index, inner)| PlannedOperation {
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
        let edges = body.edges.iter().map(|edges| {
            let mut edges: Vec<Edge> = edges.iter().map(|edge| edge.to(number(edge.on))).collect();
            edges.sort_unstable();
            edges
        });
        Grown::with_edges(planned.collect(), edges.collect())
    }

    /// All operations of the agenda and inside its operations, planned or to come. Generated ones are not among them.
    pub fn templates(&self) -> impl Iterator<Item = &PlannedOperation> {
        let mut open: Vec<&PlannedOperation> = Vec::new();
        let mut own =
            self.operations.values().filter(|planned| !matches!(planned.origin, Some(Origin::Inner { .. })));
        std::iter::from_fn(move || {
            let planned = open.pop().or_else(|| own.next())?;
            if let (Some(body), None | Some(Origin::Generated { .. } | Origin::Inner { .. })) =
                (planned.body(), planned.origin)
            {
                open.extend(body.operations.iter().rev());
            }
            Some(planned)
        })
    }
}
