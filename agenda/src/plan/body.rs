//! Type `agenda`: the operations inside an operation. They are planned once, and added to the run for each instance.

use super::batch::Batch;
use super::edges::{Reasons, compile};
use super::names::{Known, Names};
use super::scope::{MOST_LEVELS, Scope};
use super::spelling::check_spellings;
use super::types::Types;
use super::{Edge, EdgeKind, OpRef, Origin, Payload, Plan, PlannedOperation};
use crate::document::{Agenda, InputSpecs, Operation, OperationList, name_of};
use crate::outcome::Outcomes;
use pop_document::{Fault, Pointer, kind_of, nearest};
use pop_policy::POLICIES;
use serde_json::{Map, Value};
use std::sync::Arc;
use thin_vec::ThinVec;

const FIELDS: [&str; 2] = ["operations", "result"];
const FILE_FIELDS: [&str; 2] = ["agenda", "inputs"];
/// The only policy of an operation that makes no attempts.
const SKIP: &str = "skipPattern";

/// The operations inside an operation of type `agenda`.
#[derive(Debug, Default)]
pub struct Body {
    operations: Vec<PlannedOperation>,
    edges: Vec<ThinVec<Edge<OpRef>>>,
    /// The result of the whole, with references to results of the operations.
    pub(crate) result: Option<Payload>,
    /// The agenda in a file of its own; none for operations written in place, which share the inputs around them.
    pub(crate) file: Option<BodyFile>,
}

/// An agenda in a file of its own.
#[derive(Debug)]
pub(crate) struct BodyFile {
    pub(crate) name: Box<str>,
    pub(crate) inputs: InputSpecs,
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

    /// Name of the file with the operations; none if they are written in place.
    pub fn file(&self) -> Option<&str> {
        self.file.as_ref().map(|file| &*file.name)
    }

    /// The dependencies of the operation with this index, in order.
    pub fn dependencies(&self, index: usize) -> &[Edge<OpRef>] {
        self.edges.get(index).map_or(&[], ThinVec::as_slice)
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
        if scope.depth >= MOST_LEVELS {
            let message =
                format!("operations of type `agenda` are nested more than {MOST_LEVELS} levels deep");
            faults.push(Fault::value("too-deep", whole.pointer.pointer(), message));
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
        if let Some(path) = payload.get("agenda") {
            let Value::String(path) = path else {
                let message = format!(
                    "`agenda` of operation `{name}` must be the path of a file, not {}",
                    kind_of(path)
                );
                faults.push(Fault::value("wrong-payload", at.join("agenda"), message));
                return None;
            };
            check_keys(&payload, &FILE_FIELDS, &at, faults);
            return Self::plan_file(whole, path, scope, types, faults);
        }
        check_keys(&payload, &FIELDS, &at, faults);
        let operations = match payload.remove("operations") {
            Some(Value::Array(operations)) if !operations.is_empty() => operations,
            Some(Value::Array(_)) | None => {
                let message = format!("operation `{name}` has no operations inside");
                let fault = Fault::value("missing-field", at, message);
                faults.push(fault.hint(
                    "type `agenda` needs the list `operations`, or the path of an `agenda`, in its payload",
                ));
                return None;
            }
            Some(other) => {
                let message =
                    format!("`operations` of operation `{name}` must be a list, not {}", kind_of(&other));
                faults.push(Fault::value("wrong-payload", at.join("operations"), message));
                return None;
            }
        };
        let list = OperationList::of(operations, at.join("operations"));
        let OperationList { operations, unread, faults: found, .. } = list;
        faults.extend(found);
        let inner = Scope { has_items, depth: scope.depth + 1, ..*scope };
        let result = payload.remove("result").map(|result| (result, at.join("result")));
        Some(Self::plan_list(whole, (operations, unread), result, Some(&scope.known), &inner, types, faults))
    }

    /// Plans an agenda in a file of its own. Its operations see nothing around them but its inputs.
    fn plan_file(
        whole: &Operation,
        path: &str,
        scope: &Scope<'_>,
        types: &mut Types<'_>,
        faults: &mut Vec<Fault>,
    ) -> Option<(Self, Batch)> {
        let at = whole.pointer.join("payload").join("agenda");
        let name = name_of(scope.document, path);
        if scope.document == name || scope.documents.contains(&name.as_str()) {
            let message = format!("`{name}` uses itself, directly or through another agenda");
            faults.push(Fault::value("cycle", at, message));
            return None;
        }
        if !scope.files.is_named(&name) {
            let message = format!("the agenda `{name}` cannot be read here");
            let hint = "only an agenda that is a file can use files; a generated operation cannot";
            faults.push(Fault::value("unreadable", at, message).hint(hint));
            return None;
        }
        // an unreadable file has a fault already
        let file = scope.files.find(&name)?;
        let mut own = Vec::new();
        let totals = &types.totals;
        let planned = Agenda::parse(file.root.clone(), &mut own).map(|agenda| {
            let Agenda { policies, handler, inputs, operations, unread, result, .. } = agenda;
            let mut types = Types::new(
                types.catalog,
                types.on,
                &policies,
                handler.as_deref(),
                pop_registry::AGENDA,
                types.plan_list,
            );
            types.totals.clone_from(totals);
            let mut documents = scope.documents.to_vec();
            documents.push(scope.document);
            let inner = Scope {
                inputs: &inputs,
                has_items: false,
                depth: scope.depth + 1,
                document: &name,
                documents: &documents,
                ..*scope
            };
            if operations.is_empty() {
                own.push(Fault::value("missing-field", "/operations", "the agenda has no operations"));
            }
            let result = result.map(|result| (result, Pointer::root().join("result")));
            let (mut body, mut batch) =
                Self::plan_list(whole, (operations, unread), result, None, &inner, &mut types, &mut own);
            check_spellings(&file.spellings, &batch.by_place(), &mut own);
            body.file = Some(BodyFile { name: name.as_str().into(), inputs });
            batch.document = Some(name.as_str().into());
            (body, batch)
        });
        faults.extend(own.into_iter().map(|fault| fault.in_document(&name)));
        planned
    }

    /// Plans operations inside an operation; `around` has the names around them that they may use.
    fn plan_list(
        whole: &Operation,
        (operations, unread): (Vec<Operation>, Vec<String>),
        result: Option<(Value, Pointer)>,
        around: Option<&Known<'_>>,
        scope: &Scope<'_>,
        types: &mut Types<'_>,
        faults: &mut Vec<Fault>,
    ) -> (Self, Batch) {
        let names = Names::check(&operations, unread, 0, None, faults);
        let inner = Scope { known: Known::of_body(&names, around), ..*scope };
        let mut batch = (types.plan_list)(operations, &inner, types, faults);
        let mut reasons = Reasons::new(whole.name.as_str(), &inner);
        let result = result.map(|(result, at)| compile(result, &|| at.clone(), &mut reasons, faults));
        batch.of_result = reasons.found;
        check_generators(&batch, faults);
        wait_in_body(&mut batch);
        batch.check_cycles(0, None, faults);
        batch.mark_reads(0);
        let body = Self {
            operations: std::mem::take(&mut batch.planned),
            edges: batch.edges.clone(),
            result,
            file: None,
        };
        // the checks that need the operations around it come later
        batch.planned.clone_from(&body.operations);
        (body, batch)
    }
}

/// Checks what is known of the inputs that an operation gives to the agenda in a file.
pub(super) fn check_given(file: &BodyFile, whole: &Operation, payload: &Payload, faults: &mut Vec<Fault>) {
    let at = whole.pointer.join("payload");
    let given = &payload.template()["inputs"];
    let none = Map::new();
    let given = match given {
        Value::Null => &none,
        Value::Object(given) => given,
        Value::String(text) if !payload.is_fixed() && text.contains("@<") => return,
        other => {
            let message =
                format!("`inputs` of operation `{}` must be a map, not {}", whole.name, kind_of(other));
            faults.push(Fault::value("wrong-payload", at.join("inputs"), message));
            return;
        }
    };
    let has_reference = |name: &str| {
        let below = Pointer::root().join("inputs").join(name);
        payload.holes().any(|hole| hole.as_str().starts_with(below.as_str()))
    };
    let at = if given.is_empty() { at } else { at.join("inputs") };
    for (name, value) in given {
        let Some(spec) = file.inputs.find(name) else {
            if !file.inputs.is_unread(name) {
                let message = format!("`{name}` is not an input of `{}`", file.name);
                let fault = Fault::key("unknown-input", at.join(name), message);
                faults.push(fault.did_you_mean(file.inputs.near(name)));
            }
            continue;
        };
        if let Some(problem) = spec.check(value).err().filter(|_| !has_reference(name)) {
            let message = format!("input `{name}` of `{}` {problem}", file.name);
            faults.push(Fault::value("wrong-input", at.join(name), message));
        }
    }
    for spec in file.inputs.iter().filter(|spec| spec.is_required && !given.contains_key(&spec.name)) {
        let message =
            format!("operation `{}` gives no value to input `{}` of `{}`", whole.name, spec.name, file.name);
        let hint = format!("add `inputs: {{{}: …}}` to its payload", spec.name);
        faults.push(Fault::value("missing-input", at.clone(), message).hint(hint));
    }
}

fn check_keys(payload: &Map<String, Value>, fields: &[&str], at: &Pointer, faults: &mut Vec<Fault>) {
    for key in payload.keys().filter(|key| !fields.contains(&key.as_str())) {
        let message = format!("the payload of type `agenda` has no field `{key}`");
        let fault = Fault::key("unknown-field", at.join(key), message);
        let near = nearest(key, fields.iter().copied());
        faults.push(fault.did_you_mean(near).hint(match fields {
            fields if fields.contains(&"agenda") => "beside `agenda` it has `inputs`",
            _ => "it has `operations` and `result`, or `agenda` and `inputs`",
        }));
    }
}

/// Reports params that are about attempts: the operation itself makes none.
pub(super) fn check_params(whole: &Operation, faults: &mut Vec<Fault>) {
    let is_idle = |key: &&String| POLICIES.contains(&key.as_str()) && *key != SKIP;
    for key in whole.params.iter().flat_map(|params| params.keys()).filter(is_idle) {
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
