//! Builds a plan: resolves every name, type and reference of an agenda and reports all faults.

use super::condition::{OutcomeGroup, When};
use super::edges::{Reason, Reasons, check_cycles, check_fallbacks};
use super::exec::{check_exec, check_script};
use super::fit::check_fit;
use super::length::{check_delivery, check_length};
use super::names::{Known, Names};
use super::spelling::check_spellings;
use super::types::{PlanContext, Types, no_route_fault};
use super::warm::check_warm;
use super::{Edge, EdgeKind, ForEach, Graph, Origin, Payload, Plan, PlannedOperation, RareFields, Serves};
use crate::document::{Agenda, InputSpecs, Operation};
use crate::ops::{OpIx, OpMap};
use pop_contract::LaunchType;
use pop_document::{Fault, Pointer, Site};
use pop_policy::{Lock, OnFail, Scope};
use pop_registry::{AGENDA, Catalog};
use serde_json::Value;
use std::sync::Arc;

/// The built-in type of commands.
const EXEC: &str = "exec";
/// Maximum number of operations of a run.
pub(crate) const MOST_OPERATIONS: usize = 4_000_000;

impl Plan {
    /// Builds the plan of an agenda with the handlers of a catalog. None if any of `faults` is an error.
    pub fn build(agenda: Agenda, catalog: &Catalog, on: LaunchType, faults: &mut Vec<Fault>) -> Option<Self> {
        let Agenda { identity, policies, handler, inputs, input_values, operations, unread, spellings } =
            agenda;
        if operations.len() > MOST_OPERATIONS {
            let message = format!("an agenda has at most {MOST_OPERATIONS} operations");
            faults.push(Fault::value("too-large", "/operations", message));
            return None;
        }
        let grows = operations
            .iter()
            .any(|operation| operation.rare.as_ref().is_some_and(|rare| rare.generator.is_some()));
        let names = Names::check(&operations, unread, 0, None, faults);
        let mut types = Types::new(catalog, on, &policies, handler.as_deref(), &inputs, AGENDA);
        let needs_places = !spellings.is_empty() || !inputs.is_empty();
        let places: Vec<Pointer> = if needs_places {
            operations.iter().map(|operation| operation.pointer.clone()).collect()
        } else {
            Vec::new()
        };
        let mut batch = Batch::plan(operations, Known { own: &names, below: None }, &mut types, faults);
        let input_values = input_values.map_or(Value::Null, Value::Object);
        batch.check_inputs(&input_values, &places, faults);
        let graph = Graph::new(&batch.edges.clone().into());
        check_cycles(&graph, &|op| &batch.planned[op.index()], &batch.reasons, faults);
        check_last(&batch, faults);
        batch.check(None, on, &inputs, faults);
        check_spellings(&spellings, &places.into_iter().zip(&batch.planned).collect(), faults);
        for edges in &batch.edges {
            for edge in edges.iter().filter(|edge| edge.kind == EdgeKind::Reads) {
                batch.planned[edge.on.index()].is_read = true;
            }
        }
        if faults.iter().any(Fault::is_error) {
            return None;
        }
        let mut plan = Self {
            identity,
            operations: Vec::new().into(),
            graph,
            exec_pod: Arc::clone(catalog.exec_pod()),
            on,
            last: Vec::new(),
            context: None,
            names: Names::default(),
            inputs: Arc::new(input_values),
        };
        if grows {
            // generated operations may read every result
            batch.planned.iter_mut().for_each(|planned| planned.is_read = true);
            plan.names = names;
        }
        if grows || batch.planned.iter().any(|planned| planned.serves == Serves::Dispatch) {
            plan.context = Some(Arc::new(PlanContext {
                catalog: catalog.clone(),
                on,
                policies,
                assigned: handler,
                inputs,
            }));
        }
        plan.last = (0..)
            .map(OpIx)
            .zip(&batch.planned)
            .filter(|(_, planned)| planned.is_last())
            .map(|(op, _)| op)
            .collect();
        plan.operations = batch.planned.into();
        Some(plan)
    }
}

/// Operations that are planned together: those of an agenda, or those of one generator.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) planned: Vec<PlannedOperation>,
    /// Pointer of each operation; empty if nothing is known of payloads and results.
    places: Vec<Pointer>,
    pub(super) reasons: Vec<Vec<Reason>>,
    pub(super) edges: Vec<Vec<Edge>>,
}

impl Batch {
    pub(super) fn plan(
        operations: Vec<Operation>,
        known: Known<'_>,
        types: &mut Types<'_>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut batch = Self::default();
        // only needed to check what is known of payloads and results
        let is_exec = |operation: &Operation| operation.handler_type == EXEC;
        if types.catalog.entries().any(|entry| entry.description.is_some()) || operations.iter().any(is_exec)
        {
            batch.places = operations.iter().map(|operation| operation.pointer.clone()).collect();
        }
        for operation in operations {
            let (planned, reasons, edges) = plan_operation(operation, known, types, faults);
            batch.planned.push(planned);
            batch.reasons.push(reasons);
            batch.edges.push(edges);
        }
        batch
    }

    /// Checks the references to inputs whose values are known.
    fn check_inputs(&self, values: &Value, places: &[Pointer], faults: &mut Vec<Fault>) {
        if values.is_null() {
            return;
        }
        for (planned, place) in self.planned.iter().zip(places) {
            for (pointer, error) in planned.payload.unusable_inputs(values) {
                let at = Pointer::from(format!("{}{pointer}", place.join("payload")));
                let message = format!("`{}` of operation `{}` {}", error.token, planned.name, error.problem);
                faults.push(Fault::new("wrong-payload", Site::Within(at, error.token), message));
            }
        }
    }

    /// Checks references between these operations, and to operations that the plan had before.
    pub(super) fn check(
        &self,
        below: Option<&OpMap<PlannedOperation>>,
        on: LaunchType,
        inputs: &InputSpecs,
        faults: &mut Vec<Fault>,
    ) {
        let first = below.map_or(0, OpMap::len);
        let planned = |op: OpIx| {
            below.and_then(|below| below.get(op)).unwrap_or_else(|| &self.planned[op.index() - first])
        };
        for ((reader, edges), reasons) in self.planned.iter().zip(&self.edges).zip(&self.reasons) {
            check_fallbacks(reader, edges, reasons, &planned, faults);
        }
        check_fit(&self.planned, &self.places, first, on, &planned, inputs, faults);
    }
}

fn plan_operation(
    mut operation: Operation,
    known: Known<'_>,
    types: &mut Types<'_>,
    faults: &mut Vec<Fault>,
) -> (PlannedOperation, Vec<Reason>, Vec<Edge>) {
    let (on, catalog) = (types.on, types.catalog);
    let (resolved, policies) = types.of(&operation);
    let handler_type = Arc::clone(&resolved.name);
    let (serves, route) = match &resolved.serves {
        Ok((serves, route)) => (Some(serves.clone()), Some(Arc::clone(route))),
        Err(no_route) => {
            faults.push(no_route_fault(no_route, &operation, on));
            (None, None)
        }
    };
    check_warm(serves.as_ref(), types, &operation.pointer.join("type"), faults);
    if serves == Some(Serves::Exec) {
        check_exec(&operation, catalog, on, faults);
    }
    let payload = std::mem::take(&mut operation.payload);
    let name = operation.name.clone();
    let rare = operation.rare.take();
    let mut reasons = Reasons {
        name: name.as_str(),
        known,
        inputs: types.inputs,
        has_items: rare.as_ref().is_some_and(|rare| rare.for_each.is_some()),
        is_finally: rare.as_ref().is_some_and(|rare| rare.finally.is_some()),
        has_run: true,
        decided_elsewhere: Vec::new(),
        found: Vec::new(),
    };
    for depends_on in &operation.depends_on {
        reasons.depend(depends_on, faults);
    }
    let payload = if operation.is_literal {
        Payload::fixed(payload)
    } else {
        compile(payload, &operation.pointer.join("payload"), &mut reasons, faults)
    };
    if serves == Some(Serves::Exec) {
        check_script(name.as_str(), &payload, &operation.pointer.join("payload"), faults);
    }
    // lock keys and items are settled before the run can be summed up
    reasons.has_run = false;
    let params = operation.pointer.join("params");
    for (key, partner) in policies.idle() {
        let message = format!("`{key}` of operation `{name}` has no effect without `{partner}`");
        faults.push(Fault::key("no-effect", params.join(key), message).warning());
    }
    let mut own = RareFields::default();
    if policies.lock.value != Lock::None {
        let key = policies.lock_key.value.clone().unwrap_or_else(|| Value::from(&*handler_type));
        own.lock_keys = Some(compile(key, &params.join("lockKey"), &mut reasons, faults));
    }
    let is_dispatch = serves == Some(Serves::Dispatch);
    if is_dispatch {
        own.own = operation.policies.take();
    }
    let is_dlq = policies.on_fail.value == OnFail::Dlq;
    if is_dlq {
        own.params = std::mem::take(&mut operation.params);
    }
    if let Some(written) = rare {
        own.finally = written.finally;
        own.is_last =
            written.finally.is_some() && operation.depends_on.is_empty() && written.groups.is_empty();
        own.groups = written
            .groups
            .iter()
            .filter_map(|group| OutcomeGroup::resolve(group, &mut reasons, faults))
            .collect();
        own.when = written
            .when
            .map(|pattern| Arc::new(When::resolve(pattern, &params.join("when"), &mut reasons, faults)));
        own.is_cleanup = written.finally.is_some();
        own.action = written.action.map(String::into_boxed_str);
        own.generator = written.generator;
        own.for_each = written.for_each.map(|for_each| {
            // the list itself cannot refer to an item
            reasons.has_items = false;
            let items = compile(for_each.items, &params.join("forEach"), &mut reasons, faults);
            ForEach { items, max_parallel: for_each.max_parallel }
        });
    }
    let edges = reasons.edges(&operation, faults);
    let is_decided = |edge: &Edge| reasons.decided_elsewhere.contains(&edge.on);
    own.is_cleanup |= edges.iter().any(|edge| edge.needs.accepts_bad() && !is_decided(edge));
    if payload.reads_run() && !own.is_cleanup {
        let message =
            format!("operation `{name}` refers to `pop.run`, but the run has no outcome when it starts");
        let at = operation.pointer.join("payload");
        let hint = "only an operation with `finally`, or one that waits for an outcome such as `a.failed`, may refer to it";
        faults.push(Fault::value("unknown-reference", at, message).hint(hint));
    }
    let is_skipped_whole = |when: &Arc<When>| own.for_each.is_none() || !when.reads_item;
    own.is_conditional = edges.iter().any(|edge| !edge.needs.accepts_all_good())
        || own.when.as_ref().is_some_and(is_skipped_whole)
        || !own.groups.is_empty();
    let has_rare = is_dlq
        || own.own.is_some()
        || own.lock_keys.is_some()
        || own.is_cleanup
        || own.is_conditional
        || own.when.is_some()
        || own.action.is_some()
        || own.generator.is_some()
        || own.for_each.is_some();
    let found = reasons.found;
    let planned = PlannedOperation {
        name,
        id: operation.id.map(String::into_boxed_str),
        handler_type,
        route,
        serves: serves.unwrap_or(Serves::Exec),
        payload: Arc::new(payload),
        policies,
        is_read: false,
        rare: has_rare.then(|| Arc::new(own)),
        origin: None::<Origin>,
    };
    check_delivery(&planned, on, &operation.pointer.join("type"), faults);
    check_length(&planned, &operation.pointer.join("payload"), faults);
    let own_cache = planned.policies.use_cache.value && planned.policies.use_cache.scope == Scope::Operation;
    if own_cache && !planned.may_use_cache() {
        let message = format!(
            "`useCache` of operation `{}` has no effect: its handler does not allow it",
            planned.name
        );
        let fault = Fault::key("no-effect", params.join("useCache"), message).warning();
        faults.push(fault.hint("set `cache.use: true` in the `policies` of its registry entry"));
    }
    (planned, found, edges)
}

/// An operation without `finally` cannot depend on one with `finally` that waits for all operations without `finally`.
fn check_last(batch: &Batch, faults: &mut Vec<Fault>) {
    for ((planned, edges), reasons) in batch.planned.iter().zip(&batch.edges).zip(&batch.reasons) {
        let last = edges.iter().filter(|edge| batch.planned[edge.on.index()].is_last());
        for edge in last.filter(|_| !planned.is_last()) {
            let last = &batch.planned[edge.on.index()].name;
            let message = format!(
                "`{}` depends on `{last}`, which waits for every operation without `finally`",
                planned.name
            );
            let site = reasons.iter().find(|reason| reason.is_about(edge.on)).map(Reason::site);
            let hint = format!("name the dependencies of `{last}` in its `dependsOn`");
            faults.extend(site.map(|site| Fault::new("cycle", site, message).hint(hint)));
        }
    }
}

fn compile(value: Value, place: &Pointer, reasons: &mut Reasons<'_>, faults: &mut Vec<Fault>) -> Payload {
    Payload::compile(value, |token, at| {
        let at = Pointer::from(format!("{place}{at}"));
        reasons.refer(token, &at, faults)
    })
}
