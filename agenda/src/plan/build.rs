//! Builds a plan: resolves every name, type and reference of an agenda and reports all faults.

use super::batch::Batch;
use super::body::{Body, check_given, check_params};
use super::condition::{OutcomeGroup, When};
use super::edges::{Reason, Reasons, compile};
use super::exec::{check_exec, check_script};
use super::files::{PlannedFiles, check_operation};
use super::length::{check_delivery, check_length};
use super::names::{Known, Names};
use super::needs::{Needs, check_totals};
use super::payload::Referent;
use super::scope::Scope;
use super::shared_files::check_shared;
use super::spelling::check_spellings;
use super::types::{PlanContext, Types, no_route_fault};
use super::warm::check_warm;
use super::{Edge, ForEach, Graph, OpRef, Origin, Payload, Plan, PlannedOperation, RareFields, Serves};
use crate::document::{Agenda, Operation};
use crate::ops::OpIx;
use pop_contract::LaunchType;
use pop_document::Fault;
use pop_policy::{Lock, OnFail, Policies, Scope as PolicyScope};
use pop_registry::{AGENDA, Catalog};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Maximum number of operations of a run.
pub(crate) const MOST_OPERATIONS: usize = 4_000_000;

impl Plan {
    /// Builds the plan of an agenda with the handlers of a catalog. None if any of `faults` is an error.
    pub fn build(agenda: Agenda, catalog: &Catalog, on: LaunchType, faults: &mut Vec<Fault>) -> Option<Self> {
        let Agenda {
            identity,
            policies,
            handler,
            inputs,
            input_values,
            totals,
            operations,
            unread,
            spellings,
            files,
            result: _,
        } = agenda;
        if operations.len() > MOST_OPERATIONS {
            let message = format!("an agenda has at most {MOST_OPERATIONS} operations");
            faults.push(Fault::value("too-large", "/operations", message));
            return None;
        }
        let grows = operations
            .iter()
            .any(|operation| operation.rare.as_ref().is_some_and(|rare| rare.generator.is_some()));
        let names = Names::check(&operations, unread, 0, None, faults);
        let mut types = Types::new(catalog, on, &policies, handler.as_deref(), AGENDA, plan_list);
        types.totals = totals;
        let known = Known::of_agenda(&names);
        let scope = Scope {
            known,
            inputs: &inputs,
            has_items: false,
            depth: 0,
            document: files.main(),
            documents: &[],
            files: &files,
        };
        let mut batch = plan_list(operations, &scope, &mut types, faults);
        let input_values = input_values.map_or(Value::Null, Value::Object);
        batch.check_inputs(&input_values, faults);
        let graph = Graph::new(&batch.numbered().into());
        batch.check_cycles(0, Some(&graph), faults);
        check_last(&batch, faults);
        let source_files = check_shared(&batch, &graph, faults);
        batch.check(None, on, &inputs, faults);
        if !spellings.is_empty() {
            check_spellings(&spellings, &batch.by_place(), faults);
        }
        batch.mark_reads(0);
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
            labels: HashMap::new(),
            awaiting: HashMap::new(),
            generated: HashMap::new(),
            source_files,
        };
        if grows {
            // generated operations may read every result
            batch.planned.iter_mut().for_each(|planned| planned.is_read = true);
            plan.names = names;
        }
        if grows || batch.planned.iter().any(has_dispatch) {
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
        plan.await_generators(OpIx(0));
        Some(plan)
    }
}

/// Whether an operation calls handlers by type, or one inside it does.
fn has_dispatch(planned: &PlannedOperation) -> bool {
    match &planned.serves {
        Serves::Dispatch => true,
        Serves::Agenda(body) => body.operations().iter().any(has_dispatch),
        _ => false,
    }
}

/// Plans operations together.
pub(super) fn plan_list(
    operations: Vec<Operation>,
    scope: &Scope<'_>,
    types: &mut Types<'_>,
    faults: &mut Vec<Fault>,
) -> Batch {
    let mut batch = Batch::with_capacity(operations.len());
    for (index, operation) in operations.into_iter().enumerate() {
        plan_operation(operation, index, scope, types, &mut batch, faults);
    }
    batch
}

/// Plans one operation and adds it to `batch`, where it has this index.
fn plan_operation(
    mut operation: Operation,
    index: usize,
    scope: &Scope<'_>,
    types: &mut Types<'_>,
    batch: &mut Batch,
    faults: &mut Vec<Fault>,
) {
    let (on, catalog) = (types.on, types.catalog);
    let (resolved, mut policies) = types.of(&operation);
    let handler_type = Arc::clone(&resolved.name);
    let (mut serves, route) = match &resolved.serves {
        Ok((serves, route)) => (Some(serves.clone()), Some(Arc::clone(route))),
        Err(no_route) => {
            faults.push(no_route_fault(no_route, &operation, on));
            (None, None)
        }
    };
    check_warm(serves.as_ref(), types, &operation.pointer, faults);
    if serves == Some(Serves::Exec) {
        types.check_once(&operation.payload, faults, |faults| check_exec(&operation, catalog, on, faults));
    }
    let mut payload = std::mem::take(&mut operation.payload);
    let name = operation.name.clone();
    let rare = operation.rare.take();
    let has_items = scope.has_items || rare.as_ref().is_some_and(|rare| rare.for_each.is_some());
    let mut reasons = Reasons {
        has_items,
        is_finally: rare.as_ref().is_some_and(|rare| rare.finally.is_some()),
        ..Reasons::new(name.as_str(), scope)
    };
    if matches!(serves, Some(Serves::Agenda(_))) {
        check_params(&operation, faults);
        // it makes no attempts
        policies = Arc::new(Policies { skip: policies.skip.clone(), ..Policies::default() });
        // what remains of the payload: a file and the values of its inputs
        let rest = match payload.as_object() {
            Some(map) if map.contains_key("agenda") => Arc::clone(&payload),
            _ => Value::Object(serde_json::Map::new()).into(),
        };
        let whole = Arc::unwrap_or_clone(std::mem::replace(&mut payload, rest));
        let inside = Body::plan(&operation, whole, has_items, scope, types, faults);
        if let Some((body, inside)) = inside {
            serves = Some(Serves::Agenda(Arc::new(body)));
            reasons.found.extend(inside.of_result.iter().filter_map(Reason::outwards));
            batch.inside.push((index, inside));
        }
    }
    for depends_on in &operation.depends_on {
        reasons.depend(depends_on, faults);
    }
    let payload = match types.latest_payload(&payload) {
        Some(latest) => latest,
        None if operation.is_literal => types.share(Payload::fixed(payload)),
        None => {
            let place = || operation.pointer.join("payload");
            types.share_searched(compile(payload, &place, &mut reasons, faults))
        }
    };
    if let Some(Serves::Agenda(body)) = &serves
        && let Some(file) = &body.file
    {
        check_given(file, &operation, &payload, faults);
    }
    if serves == Some(Serves::Exec) {
        check_script(&operation, &payload, faults);
    }
    // lock keys and items are settled before the run can be summed up
    reasons.has_run = false;
    let params = || operation.pointer.join("params");
    for (key, partner) in policies.idle() {
        let message = format!("`{key}` of operation `{name}` has no effect without `{partner}`");
        faults.push(Fault::key("no-effect", params().join(key), message).warning());
    }
    let mut own = RareFields::default();
    if policies.lock.value != Lock::None {
        let key = policies.lock_key.value.clone().unwrap_or_else(|| Value::from(&*handler_type));
        own.lock_keys = Some(compile(key, &|| params().join("lockKey"), &mut reasons, faults));
    }
    let is_dispatch = serves == Some(Serves::Dispatch);
    if is_dispatch {
        own.own = operation.policies.take();
    }
    let is_dlq = policies.on_fail.value == OnFail::Dlq;
    if is_dlq {
        own.params = operation.params.take().map(|params| *params).unwrap_or_default();
    }
    if let Some(mut written) = rare {
        own.files = PlannedFiles::compile(&mut written, &params(), |value, at| {
            compile(value, &|| at.clone(), &mut reasons, faults)
        });
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
            .map(|pattern| Arc::new(When::resolve(pattern, &params().join("when"), &mut reasons, faults)));
        own.undoes = written.undoes.iter().filter_map(|name| reasons.undo(name, faults)).collect();
        own.is_cleanup = written.finally.is_some();
        own.action = written.action.map(String::into_boxed_str);
        own.generator = written.generator;
        own.for_each = written.for_each.map(|for_each| {
            let item_name = for_each.item_name.map(Value::String);
            let item_name =
                item_name.map(|text| compile(text, &|| params().join("itemName"), &mut reasons, faults));
            // the list itself cannot refer to an item of its own
            reasons.has_items = scope.has_items;
            let items = compile(for_each.items, &|| params().join("forEach"), &mut reasons, faults);
            ForEach { items, max_parallel: for_each.max_parallel, item_name, failures: for_each.failures }
        });
    }
    let edges = reasons.edges(&operation, faults);
    own.awaits = std::mem::take(&mut reasons.awaits);
    let is_decided = |edge: &Edge<OpRef>| reasons.decided_elsewhere.contains(&edge.on);
    own.is_cleanup |= edges.iter().any(|edge| edge.needs.accepts_bad() && !is_decided(edge));
    if payload.reads(Referent::Run) && !own.is_cleanup {
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
    // without a handler, its payload has no known meaning
    own.needs = serves.as_ref().and_then(|serves| Needs::of(&policies, serves, payload.template()));
    let has_rare = is_dlq
        || own.needs.is_some()
        || own.own.is_some()
        || own.lock_keys.is_some()
        || own.is_cleanup
        || own.is_conditional
        || own.when.is_some()
        || own.action.is_some()
        || own.generator.is_some()
        || own.files.is_some()
        || own.for_each.is_some()
        || !own.awaits.is_empty();
    let found = reasons.found;
    let planned = PlannedOperation {
        name,
        id: operation.id.take(),
        handler_type,
        route,
        serves: serves.unwrap_or(Serves::Exec),
        payload,
        policies,
        is_read: false,
        is_absorbed: false,
        rare: has_rare.then(|| Arc::new(own)),
        origin: None::<Origin>,
    };
    if let Some(totals) = &types.totals {
        check_totals(&planned, &operation.pointer, totals, &mut types.without_total, faults);
    }
    check_delivery(&planned, on, &operation.pointer, faults);
    check_length(&planned, &operation.pointer, faults);
    check_operation(&planned, catalog.exec_pod(), on, &operation.pointer, faults);
    let own_cache =
        planned.policies.use_cache.value && planned.policies.use_cache.scope == PolicyScope::Operation;
    if own_cache && !planned.may_use_cache() {
        let message = format!(
            "`useCache` of operation `{}` has no effect: its handler does not allow it",
            planned.name
        );
        let fault = Fault::key("no-effect", params().join("useCache"), message).warning();
        faults.push(fault.hint("set `cache.use: true` in the `policies` of its registry entry"));
    }
    batch.planned.push(planned);
    batch.places.push(operation.pointer);
    batch.reasons.push(found.into());
    batch.edges.push(edges.into());
}

/// An operation without `finally` cannot depend on one with `finally` that waits for all operations without `finally`.
fn check_last(batch: &Batch, faults: &mut Vec<Fault>) {
    for ((planned, edges), reasons) in batch.planned.iter().zip(&batch.edges).zip(&batch.reasons) {
        let named = |edge: &Edge<OpRef>| batch.planned.get(edge.on.fixed()?.index());
        let last = edges.iter().filter(|edge| named(edge).is_some_and(PlannedOperation::is_last));
        for edge in last.filter(|_| !planned.is_last()) {
            let Some(PlannedOperation { name: last, .. }) = named(edge) else { continue };
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
